import { describe, expect, test } from 'vitest';
import { Referenced, ReferenceTracker } from './reference.ts';

class Thing extends Referenced {
  released = 0;

  protected override release(): void {
    this.released++;
  }

  use(): string {
    this.alive('using it');
    return 'used';
  }
}

function takeItHere(thing: Thing): Thing {
  return thing.get();
}

describe('Referenced', () => {
  test('groups-core.md 2: the maker holds one, get adds one, put to zero releases once', () => {
    const thing = new Thing('thing');
    expect(thing.count).toBe(1);
    expect(thing.get()).toBe(thing);
    expect(thing.count).toBe(2);
    thing.put();
    expect(thing.released).toBe(0);
    thing.put();
    expect([thing.count, thing.released]).toEqual([0, 1]);
  });

  test('`using` gives back what get took', () => {
    const thing = new Thing('thing');
    {
      using reference = thing.get();
      expect(reference.count).toBe(2);
    }
    expect(thing.count).toBe(1);
  });

  test('get, put and use after the last reference went are errors that name the object', () => {
    const thing = new Thing('group 7');
    expect(thing.use()).toBe('used');
    thing.put();
    for (const misuse of [() => thing.get(), () => thing.put(), () => thing.use()]) {
      expect(misuse).toThrow(/^group 7: .* after its last reference went \[EBADF\]$/);
    }
    expect([thing.count, thing.released]).toEqual([0, 1]);
  });
});

describe('ReferenceTracker', () => {
  test('lists what is live, in the order it was made, and nothing that is gone', () => {
    const tracker = new ReferenceTracker();
    const first = new Thing('first', tracker);
    const second = new Thing('second', tracker);
    const third = new Thing('third', tracker);
    first.get();
    second.put();
    expect(tracker.live()).toEqual([
      { name: 'first', count: 2 },
      { name: 'third', count: 1 },
    ]);
    expect(() => tracker.assertNone()).toThrow(/2 still held:\s+first \(2\)\s+third \(1\)/);
    third.put();
    first.put();
    first.put();
    expect(() => tracker.assertNone()).not.toThrow();
  });

  test('says where references were taken when asked to', () => {
    const tracker = new ReferenceTracker({ places: true });
    const thing = new Thing('thing', tracker);
    takeItHere(thing);
    const [leak] = tracker.live();
    expect(leak?.where).toHaveLength(2);
    expect(leak?.where?.[0]).toContain('reference.test.ts');
    expect(leak?.where?.[1]).toContain('takeItHere');
    expect(() => tracker.assertNone()).toThrow('takeItHere');
  });
});

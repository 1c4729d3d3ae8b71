import { describe, expect, test } from 'vitest';
import { Mutex } from './lock.ts';

describe('Mutex', () => {
  test('taking it twice is EDEADLK with both places', () => {
    const mutex = new Mutex('mutex of group 7');
    using _ = mutex.hold('for_each_dev');
    expect(() => mutex.hold('remove_device')).toThrow(
      'mutex of group 7: remove_device takes the lock that for_each_dev is holding [EDEADLK]',
    );
    expect(mutex.heldBy).toBe('for_each_dev');
  });

  test('it is free again at the end of the block, also after an error', () => {
    const mutex = new Mutex('mutex');
    expect(() => {
      using _ = mutex.hold('first');
      throw new TypeError('bug');
    }).toThrow(TypeError);
    expect(mutex.heldBy).toBeUndefined();
    using _ = mutex.hold('second');
    expect(mutex.heldBy).toBe('second');
  });

  test('disposing of an old hold twice does not release a new one', () => {
    const mutex = new Mutex('mutex');
    const old = mutex.hold('old');
    old[Symbol.dispose]();
    using _ = mutex.hold('new');
    old[Symbol.dispose]();
    expect(mutex.heldBy).toBe('new');
  });

  test('assertHeld passes only while someone holds it', () => {
    const mutex = new Mutex('mutex of group 7');
    expect(() => mutex.assertHeld('attaching')).toThrow('mutex of group 7: attaching needs the lock held');
    using _ = mutex.hold('place');
    expect(() => mutex.assertHeld('attaching')).not.toThrow();
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from './errors.ts';
import { NotifierChain, type Verdict } from './notifier.ts';

describe('NotifierChain', () => {
  test('an empty chain answers done', () => {
    expect(new NotifierChain().call('event')).toBe('done');
  });

  test('the answer is that of the last callback called', () => {
    const chain = new NotifierChain<string>();
    chain.register(() => 'ok');
    expect(chain.call('event')).toBe('ok');
    chain.register(() => {});
    expect(chain.call('event')).toBe('done');
  });

  test('NOTIFY_STOP and an error end the round; a thrown KernelError counts as returned', () => {
    const refused = new KernelError('EBUSY', 'device', 'is busy');
    const stops: (() => Verdict)[] = [
      () => 'stop',
      () => refused,
      () => {
        throw refused;
      },
    ];
    for (const stop of stops) {
      const chain = new NotifierChain<string>();
      const called: string[] = [];
      chain.register(stop, 1);
      chain.register((event) => void called.push(event));
      expect(chain.call('event')).toBe(stop === stops[0] ? 'stop' : refused);
      expect(called).toEqual([]);
    }
  });

  test('registering twice is EEXIST, unregistering a stranger ENOENT', () => {
    const chain = new NotifierChain<string>('bus pci');
    const callback = () => {};
    chain.register(callback);
    expect(() => chain.register(callback, 5)).toThrow('bus pci: callback is already registered [EEXIST]');
    chain.unregister(callback);
    expect(() => chain.unregister(callback)).toThrow('[ENOENT]');
    expect(chain.size).toBe(0);
  });

  test('changing the chain from inside a callback is EDEADLK, and possible again afterwards', () => {
    const chain = new NotifierChain<string>();
    const late = () => {};
    const answers: Verdict[] = [];
    const nosy = () => {
      chain.register(late);
    };
    chain.register(nosy);
    answers.push(chain.call('event'));
    expect(answers[0]).toMatchObject({ code: 'EDEADLK' });
    chain.unregister(nosy);
    chain.register(late);
    expect(chain.size).toBe(1);
  });

  test('a callback may start another round; what is not a KernelError passes through', () => {
    const chain = new NotifierChain<number>();
    const seen: number[] = [];
    chain.register((depth) => {
      seen.push(depth);
      if (depth < 3) chain.call(depth + 1);
      else throw new TypeError('bug');
    });
    expect(() => chain.call(1)).toThrow(TypeError);
    expect(seen).toEqual([1, 2, 3]);
    expect(() => chain.register(() => {})).not.toThrow();
  });

  test('property: callbacks run as a stable sort by falling priority', () => {
    const steps = fc.array(fc.record({ priority: fc.integer({ min: -3, max: 3 }), leaves: fc.boolean() }), {
      maxLength: 60,
      size: 'max',
    });
    fc.assert(
      fc.property(steps, (all) => {
        const chain = new NotifierChain<string>();
        const called: number[] = [];
        const callbacks = all.map((_, index) => () => void called.push(index));
        for (const [index, { priority }] of all.entries()) chain.register(callbacks[index]!, priority);
        for (const [index, { leaves }] of all.entries()) if (leaves) chain.unregister(callbacks[index]!);
        chain.call('event');
        const expected = all
          .map((entry, index) => ({ ...entry, index }))
          .filter(({ leaves }) => !leaves)
          .sort((a, b) => b.priority - a.priority)
          .map(({ index }) => index);
        expect(called).toEqual(expected);
      }),
    );
  });
});

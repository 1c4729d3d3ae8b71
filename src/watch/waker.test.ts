import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Waker } from './waker.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const signal = new AbortController().signal;

/** How often somebody who waits again and again has been woken. */
function count(waker: Waker): { times: number } {
  const woken = { times: 0 };
  const wait = async (): Promise<void> => {
    for (;;) {
      await waker.woken(signal);
      woken.times++;
    }
  };
  void wait();
  return woken;
}

test('an announcement wakes at once, and once more when things have settled', async () => {
  const waker = new Waker();
  const woken = count(waker);
  await vi.advanceTimersByTimeAsync(1000);
  expect(woken.times).toBe(0);
  waker.announce();
  await vi.advanceTimersByTimeAsync(0);
  expect(woken.times).toBe(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(woken.times).toBe(2);
});

test('what is announced while nobody waits is not lost', async () => {
  const waker = new Waker();
  waker.announce();
  const woken = count(waker);
  await vi.advanceTimersByTimeAsync(0);
  expect(woken.times).toBe(1);
});

test('a burst is not looked at event by event: at its first, right after it, and settled', async () => {
  const waker = new Waker();
  const woken = count(waker);
  for (let i = 0; i < 50; i++) waker.announce();
  await vi.advanceTimersByTimeAsync(1000);
  expect(woken.times).toBe(3);
});

test('the end of waiting ends it', async () => {
  const over = new AbortController();
  const woken = new Waker().woken(over.signal);
  over.abort();
  await expect(woken).resolves.toBeUndefined();
});

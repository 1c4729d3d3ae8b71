import { expect, test } from 'vitest';
import { FaultInjector } from '../iommu/fault-injector.ts';
import { FailNth } from './fail-nth.ts';
import type { Requester } from './fuse/request.ts';

const thread = (tid: number) => ({ tid, uid: 0, gid: 0 }) as Requester;

function make() {
  const faults = new FaultInjector();
  const failNth = new FailNth(faults);
  const file = failNth.file.open(thread(1), 2);
  const call = (tid: number, steps: number) =>
    failNth.during(tid, () => {
      for (let step = 1; step <= steps; step++) faults.step(`step ${step}`);
    });
  const write = (tid: number, text: string) => file.write!(thread(tid), Buffer.from(text), 0n);
  const read = (tid: number) => Buffer.from(file.read!(thread(tid), 10, 0n)).toString();
  return { call, write, read };
}

test('the N-th step fails, counted over several calls of the thread, and only once', () => {
  const { call, write, read } = make();
  write(1, '5');
  call(1, 3);
  expect(read(1)).toBe('2\n');
  expect(() => call(1, 3)).toThrow(/step 2: made to fail/);
  expect(read(1)).toBe('0\n');
  call(1, 9);
});

test('other threads are not concerned, and 0 takes it back', () => {
  const { call, write, read } = make();
  write(1, '1\n');
  call(2, 3);
  expect([read(1), read(2)]).toEqual(['1\n', '0\n']);
  write(1, '0');
  call(1, 3);
});

test('anything but a whole number is EINVAL', () => {
  const { write } = make();
  for (const wrong of ['', 'x', '-1', '1.5', '1e3', '12345678901'])
    expect(() => write(1, wrong)).toThrow(/EINVAL/);
});

import { describe, expect, it } from 'vitest';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { answerOf } from '../iommu/testing.ts';
import { accountFor } from './account.ts';
import { makeProcess, makeUser, type Process } from './process.ts';
import { ProcessMemory } from './process-memory.ts';

const user = makeUser('someone');

function process(pagesAllowed: number): Process {
  const memory = new ProcessMemory(new PhysicalMemory());
  return makeProcess({ memory, user, memlockLimit: BigInt(pagesAllowed) * 4096n + 4095n });
}

describe('accounting of pinned memory (iommufd.md 3)', () => {
  it('per user: the limit of the process against all the user has locked', () => {
    const [one, other] = [process(10), process(12)];
    accountFor(one, 'user').charge(10);
    expect(answerOf(() => accountFor(one, 'user').charge(1))).toBe('ENOMEM');
    accountFor(other, 'user').charge(2);
    expect(answerOf(() => accountFor(other, 'user').charge(1))).toBe('ENOMEM');
    expect([user.lockedPages, one.lockedPages, one.pinnedPages, other.pinnedPages]).toEqual([12, 0, 10, 2]);
    accountFor(one, 'user').uncharge(10);
    accountFor(other, 'user').uncharge(2);
    expect(user.lockedPages).toBe(0);
  });

  it('per process: each against its own limit', () => {
    const [one, other] = [process(4), process(4)];
    accountFor(one, 'process').charge(4);
    accountFor(other, 'process').charge(4);
    expect(answerOf(() => accountFor(one, 'process').charge(1))).toBe('ENOMEM');
    expect([one.lockedPages, one.pinnedPages, user.lockedPages]).toEqual([4, 4, 0]);
  });

  it('none: no limit, the process is still seen to have pinned', () => {
    const one = process(0);
    accountFor(one, 'none').charge(1000);
    expect([one.lockedPages, one.pinnedPages, accountFor(one, 'none').charged]).toEqual([0, 1000, 1000]);
  });

  it('gives back no more than was charged', () => {
    const one = process(9);
    accountFor(one, 'user').charge(1);
    expect(answerOf(() => accountFor(one, 'user').uncharge(2))).toBe('EINVAL');
    accountFor(one, 'user').uncharge(1);
  });
});

/** Issue section 5, in-kernel users of address spaces: what they pin, read and write, and what they move between. */

import { describe, expect, test } from 'vitest';
import { Access } from '../../../src/iommufd/access.ts';
import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { TestOp } from '../../../src/iommufd/selftest/numbers.ts';
import { mockDomain, unmap } from '../calls.ts';
import { PAGE } from '../machine.ts';
import { everyStep } from './every-step.ts';
import { AREAS, IoasStage, SITUATIONS } from './stage.ts';

const LOOK_UP = 'object look-up';

describe.each(SITUATIONS)('$name: every step fails once', (situation) => {
  const tryAll = (prepare: (on: IoasStage) => () => unknown) =>
    everyStep(() => new IoasStage(situation), prepare);
  const pinned = situation.pinned === true;

  test('create, and release', () => {
    const made: Access[] = [];
    const steps = tryAll((on) => () => {
      const access = Access.create(on.context, {});
      made.push(access);
      access.release();
    });
    expect(steps).toEqual(['object id']);
  });

  test('attach', () => {
    const steps = tryAll((on) => {
      on.access.detach();
      return () => on.access.attach(on.ioas);
    });
    expect(steps).toEqual([LOOK_UP, 'access entry']);
  });

  test('replace', () => {
    const steps = tryAll((on) => () => on.access.replace(on.other));
    expect(steps).toEqual([LOOK_UP, 'access entry']);
  });

  test('detach', () => {
    expect(tryAll((on) => () => on.access.detach())).toEqual([]);
  });

  describe('pin', () => {
    test.each([
      ['a page', AREAS.even, PAGE, 0],
      ['an area, to write to', AREAS.even, 4n * PAGE, 1],
      ['all three areas', AREAS.even, 9n * PAGE, 0],
      ['parts of two, to write to', AREAS.even + 3n * PAGE, 3n * PAGE, 1],
      ['what is pinned in part', AREAS.even + 2n * PAGE, 5n * PAGE, 0],
    ])('%s', (_, iova, length, flags) => {
      tryAll((on) => () => on.pin(iova, length, flags));
    });

    test('the very pages another pin has', () => {
      const steps = tryAll((on) => {
        on.pin(AREAS.scattered, 3n * PAGE);
        return () => on.pin(AREAS.scattered, 3n * PAGE);
      });
      expect(steps).toEqual([]);
    });
  });

  test('unpin', () => {
    const steps = tryAll((on) => {
      on.pin(AREAS.even + 2n * PAGE, 3n * PAGE);
      return () => on.access.unmap(AREAS.even + 2n * PAGE, PAGE);
    });
    expect(steps).toEqual([]);
  });

  test('unmap of what is pinned, which asks for it back', () => {
    const steps = tryAll((on) => {
      on.pin(AREAS.even + 2n * PAGE, 3n * PAGE);
      return () => unmap(on.context, on.ioas, AREAS.even, 7n * PAGE);
    });
    expect(steps).toEqual([LOOK_UP]);
  });

  test.each([
    ['read', 0],
    ['write', 1],
    ['read through page frames', 4],
    ['write through page frames', 5],
  ])('%s, within one page and across many', (_, flags) => {
    for (const [iova, length] of [
      [AREAS.even + 100n, 3000],
      [AREAS.even + 100n, 4096 * 6],
    ] as const) {
      tryAll((on) => () => on.access.rw(iova, new Uint8Array(length), flags));
    }
  });

  test('read and write of memory whose process is gone', () => {
    for (const flags of [0, 1]) {
      const steps = tryAll((on) => {
        if (situation.mocks === undefined && situation.group === undefined) {
          on.pin(AREAS.even, 4n * PAGE);
        }
        on.memory.exit();
        return () => on.access.rw(AREAS.even + 10n, new Uint8Array(12_000), flags);
      });
      expect(steps).toEqual(['page batch']);
    }
  });

  describe('the ops of the selftest', () => {
    const withHandle = (on: IoasStage): number => {
      const request = { id: on.ioas, flags: 1, outAccessFd: 0 };
      testCmd(on.context, TestOp.CreateAccess, request);
      return request.outAccessFd;
    };

    test('CREATE_ACCESS', () => {
      const steps = tryAll((on) => {
        const request = on.watch({ id: on.ioas, flags: 1, outAccessFd: 0 });
        return () => testCmd(on.context, TestOp.CreateAccess, request);
      });
      expect(steps).toEqual(['access file', 'object id', LOOK_UP, 'access entry', 'access descriptor']);
    });

    test('ACCESS_PAGES and DESTROY_ACCESS_PAGES', () => {
      tryAll((on) => {
        const id = withHandle(on);
        const range = { iova: AREAS.even + PAGE, length: 3n * PAGE, uptr: on.even + PAGE };
        const request = on.watch({ id, flags: 1, outAccessPagesId: 7, ...range });
        return () => testCmd(on.context, TestOp.AccessPages, request);
      });
      const steps = tryAll((on) => {
        const id = withHandle(on);
        const range = { iova: AREAS.even, length: 9n * PAGE, uptr: 0n };
        const request = { id, flags: 0, outAccessPagesId: 0, ...range };
        testCmd(on.context, TestOp.AccessPages, request);
        const { outAccessPagesId: accessPagesId } = request;
        return () => testCmd(on.context, TestOp.DestroyAccessPages, { id, accessPagesId });
      });
      expect(steps).toEqual([]);
    });

    test('ACCESS_RW', () => {
      for (const flags of [0, 1, 4, 5]) {
        tryAll((on) => {
          const request = { id: withHandle(on), iova: AREAS.even, length: 5000n, uptr: on.scratch, flags };
          return () => testCmd(on.context, TestOp.AccessRw, request);
        });
      }
    });

    test('ACCESS_REPLACE_IOAS, with pages pinned', () => {
      tryAll((on) => {
        const id = withHandle(on);
        const range = { iova: AREAS.even, length: 4n * PAGE, uptr: 0n };
        testCmd(on.context, TestOp.AccessPages, { id, flags: 0, outAccessPagesId: 0, ...range });
        return () => testCmd(on.context, TestOp.AccessReplaceIoas, { id, ioasId: on.other });
      });
    });

    test('ADD_RESERVED and SET_TEMP_MEMORY_LIMIT', () => {
      tryAll((on) => () => {
        testCmd(on.context, TestOp.AddReserved, { id: on.ioas, start: 0x200_0000n, length: PAGE });
      });
      expect(tryAll((on) => () => testCmd(on.context, TestOp.SetTempMemoryLimit, { limit: 100 }))).toEqual(
        [],
      );
    });

    test('MOCK_DOMAIN: the device, its binding, its page table and everything mapped', () => {
      const steps = tryAll((on) => {
        const request = on.watch({ id: on.ioas, outStdevId: 0, outHwptId: 0, outIdevId: 0 });
        return () => testCmd(on.context, TestOp.MockDomain, request);
      });
      expect(steps.slice(0, 3)).toEqual(['object id', 'mock device', 'mock device registration']);
      if (!pinned && situation.mocks === undefined) expect(steps).toContain('page batch');
    });

    test('MOCK_DOMAIN whose IOMMU refuses it, so that a page table of its own is tried', () => {
      const survives = ['mock attach', 'attach', 'attach handle', 'reserved regions', 'reserved range'];
      everyStep(
        () => new IoasStage(situation),
        (on) => () => mockDomain(on.context, on.ioas),
        { code: 'EINVAL', survives },
      );
    });

    test('MOCK_DOMAIN_REPLACE', () => {
      // A table of another IOMMU is tried, and going back from that must succeed.
      const survives = situation.group === true ? ['mock attach'] : [];
      everyStep(
        () => new IoasStage(situation),
        (on) => {
          const { stdev } = mockDomain(on.context, on.other);
          const request = on.watch({ id: stdev, ptId: on.ioas });
          return () => testCmd(on.context, TestOp.MockDomainReplace, request);
        },
        { survives },
      );
      tryAll((on) => {
        const { stdev } = mockDomain(on.context, on.ioas);
        const request = on.watch({ id: stdev, ptId: on.other });
        return () => testCmd(on.context, TestOp.MockDomainReplace, request);
      });
    });
  });
});

/** Issue section 5, address spaces: whatever step fails, the state is what it was, pin by pin and leaf by leaf. */

import { describe, expect, test } from 'vitest';
import { ioasAlloc } from '../../../src/iommufd/calls/ioas-alloc.ts';
import { ioasAllowIovas } from '../../../src/iommufd/calls/ioas-allow-iovas.ts';
import { ioasChangeProcess } from '../../../src/iommufd/calls/ioas-change-process.ts';
import { ioasCopy } from '../../../src/iommufd/calls/ioas-copy.ts';
import { ioasIovaRanges } from '../../../src/iommufd/calls/ioas-iova-ranges.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import { ioasMapFile } from '../../../src/iommufd/calls/ioas-map-file.ts';
import { ioasUnmap } from '../../../src/iommufd/calls/ioas-unmap.ts';
import { OptionId, OptionOp, option } from '../../../src/iommufd/calls/option.ts';
import { VfioIoasOp, vfioIoas } from '../../../src/iommufd/calls/vfio-ioas.ts';
import { MemoryFile } from '../../../src/iommufd/memory-file.ts';
import { copyRequest, drop, map, mapRequest, mockDomain, newIoas, unmap } from '../calls.ts';
import { KIB2, PAGE, ULONG_MAX } from '../machine.ts';
import { type EveryStepOptions, everyStep } from './every-step.ts';
import { AREAS, FREE, IoasStage, SITUATIONS } from './stage.ts';

const LOOK_UP = 'object look-up';

describe.each(SITUATIONS)('$name: every step fails once', (situation) => {
  const tryAll = (prepare: (on: IoasStage) => () => unknown, options?: EveryStepOptions) =>
    everyStep(() => new IoasStage(situation), prepare, options);
  const filled = situation.group === true || situation.mocks !== undefined;

  test('IOAS_ALLOC', () => {
    const steps = tryAll((on) => {
      const request = on.watch({ flags: 0, outIoasId: 0 });
      return () => ioasAlloc(on.context, request);
    });
    expect(steps).toEqual(['object id']);
  });

  test('ALLOW_IOVAS', () => {
    const steps = tryAll((on) => {
      on.memory.write(on.scratch, bytesOf(FREE, FREE + 0xfffn, 0x100_0000n, 0x100_1fffn));
      const request = on.watch({ ioasId: on.ioas, numIovas: 2, reserved: 0, allowedIovas: on.scratch });
      return () => ioasAllowIovas(on.context, request);
    });
    expect(steps).toEqual([LOOK_UP, 'allowed range', 'allowed range']);
  });

  test('IOVA_RANGES', () => {
    tryAll((on) => {
      const request = {
        ioasId: on.ioas,
        numIovas: 8,
        reserved: 0,
        allowedIovas: on.scratch,
        outIovaAlignment: 0n,
      };
      on.watch(request);
      return () => ioasIovaRanges(on.context, request);
    });
  });

  describe('MAP', () => {
    test('of pages that follow each other', () => {
      const steps = tryAll((on) => {
        const request = on.watch(mapRequest(on.ioas, on.even, 4n * PAGE, FREE));
        return () => ioasMap(on.context, request);
      });
      expect(steps.slice(0, 3)).toEqual([LOOK_UP, 'page set', 'area']);
      expect(steps.includes('pin pages')).toBe(filled);
      expect(steps.includes('charge for pinned pages')).toBe(filled);
    });

    test('of scattered pages, from the middle of the first on', () => {
      if (situation.pinned === true || situation.noHugePages === true) return;
      tryAll((on) => {
        if (on.access.ioas !== undefined) on.access.detach();
        const request = on.watch(mapRequest(on.ioas, on.scattered + KIB2, 4n * PAGE, FREE));
        if (situation.group === true) request.userVa -= KIB2;
        return () => ioasMap(on.context, request);
      });
    });

    test('of two huge pages, wherever there is room', () => {
      tryAll((on) => {
        const pages = situation.noHugePages === true ? 16n : 1024n;
        const request = on.watch({ ...mapRequest(on.ioas, on.huge, pages * PAGE, 0n), flags: 6 });
        return () => ioasMap(on.context, request);
      });
    });

    test('into addresses that need more tables', () => {
      const steps = tryAll((on) => {
        const request = on.watch(mapRequest(on.ioas, on.even, 4n * PAGE, 0x7fff_e000n - 2n * PAGE));
        return () => ioasMap(on.context, request);
      });
      if (situation.mocks !== undefined)
        expect(steps.filter((step) => step.includes('table'))).not.toEqual([]);
    });

    test('of memory that is pinned in part by others', () => {
      tryAll((on) => {
        mockDomain(on.context, on.other);
        map(on.context, on.other, on.even + PAGE, PAGE, FREE);
        const request = on.watch(mapRequest(on.ioas, on.even, 4n * PAGE, FREE));
        return () => ioasMap(on.context, request);
      });
    });

    test('of a file', () => {
      tryAll((on) => {
        const file = new MemoryFile(on.physical, { size: 8 * 4096 });
        const fd = on.base.files.install(file);
        const request = { flags: 7, ioasId: on.ioas, fd, start: PAGE, length: 3n * PAGE, iova: FREE };
        on.watch(request);
        return () => ioasMapFile(on.context, request);
      });
    });
  });

  describe('COPY', () => {
    test.each([
      ['a whole area', AREAS.even, 4n * PAGE, 7],
      ['part of an area', AREAS.even + PAGE, 2n * PAGE, 7],
      ['parts of three', AREAS.even + 2n * PAGE, 6n * PAGE, 5],
    ])('%s, into the same address space', (_, iova, length, flags) => {
      tryAll((on) => {
        const request = copyRequest({ ioas: on.ioas, iova }, { ioas: on.ioas, iova: FREE }, length);
        request.flags = flags;
        on.watch(request);
        return () => ioasCopy(on.context, request);
      });
    });

    test.each([0, 1, 2])('parts of three into an address space with %i page tables', (tables) => {
      tryAll((on) => {
        for (let made = 0; made < tables; made++) mockDomain(on.context, on.other);
        const source = { ioas: on.ioas, iova: AREAS.even + 2n * PAGE };
        const request = copyRequest(source, { ioas: on.other, iova: 0n }, 6n * PAGE);
        request.flags = 4;
        on.watch(request);
        return () => ioasCopy(on.context, request);
      });
    });
  });

  describe('what takes away has nothing that can fail but the look-up', () => {
    test('UNMAP of an area', () => {
      const steps = tryAll((on) => {
        const request = on.watch({ ioasId: on.ioas, iova: AREAS.scattered, length: 3n * PAGE });
        return () => ioasUnmap(on.context, request);
      });
      expect(steps).toEqual([LOOK_UP]);
    });

    test('UNMAP of several', () => {
      const steps = tryAll((on) => () => unmap(on.context, on.ioas, AREAS.even, 9n * PAGE));
      expect(steps).toEqual([LOOK_UP]);
    });

    test('UNMAP of everything', () => {
      const steps = tryAll((on) => () => unmap(on.context, on.ioas, 0n, ULONG_MAX));
      expect(steps).toEqual([LOOK_UP]);
    });

    test('UNMAP of what was copied from', () => {
      const steps = tryAll((on) => {
        mockDomain(on.context, on.other);
        const source = { ioas: on.ioas, iova: AREAS.even + PAGE };
        ioasCopy(on.context, copyRequest(source, { ioas: on.other, iova: FREE }, 2n * PAGE));
        return () => unmap(on.context, on.ioas, AREAS.even, 4n * PAGE);
      });
      expect(steps).toEqual([LOOK_UP]);
    });

    test('DESTROY of an address space that holds mappings', () => {
      const steps = tryAll((on) => {
        map(on.context, on.other, on.even, PAGE, 0n);
        return () => drop(on.context, on.other);
      });
      expect(steps).toEqual([]);
    });

    test('DESTROY of a mock device', () => {
      const steps = tryAll((on) => {
        const { stdev } = mockDomain(on.context, on.ioas);
        return () => drop(on.context, stdev);
      });
      expect(steps).toEqual([]);
    });

    test('the context closing', () => {
      const steps = tryAll((on) => () => on.context.close());
      expect(steps).toEqual([]);
    });
  });

  test('OPTION, both of them', () => {
    for (const op of [OptionOp.Get, OptionOp.Set]) {
      tryAll((on) => {
        const empty = newIoas(on.context);
        const request = on.watch({
          optionId: OptionId.HugePages,
          op,
          reserved: 0,
          objectId: empty,
          val64: 0n,
        });
        return () => option(on.context, request);
      });
      tryAll((on) => {
        const fresh = on.base.open();
        const request = on.watch({ optionId: OptionId.RlimitMode, op, reserved: 0, objectId: 0, val64: 1n });
        return () => option(fresh, request);
      });
    }
  });

  test('VFIO_IOAS', () => {
    for (const op of [VfioIoasOp.Set, VfioIoasOp.Get, VfioIoasOp.Clear]) {
      tryAll((on) => {
        on.context.vfioIoas = undefined;
        const ioasId = op === VfioIoasOp.Set ? on.ioas : 0;
        if (op !== VfioIoasOp.Set)
          vfioIoas(on.context, { ioasId: on.other, op: VfioIoasOp.Set, reserved: 0 });
        const request = on.watch({ ioasId, op, reserved: 0 });
        return () => vfioIoas(on.context, request);
      });
    }
  });

  test('IOAS_CHANGE_PROCESS', () => {
    tryAll((on) => {
      unmap(on.context, on.ioas, 0n, ULONG_MAX);
      const fd = on.base.files.install(new MemoryFile(on.physical, { size: 4 * 4096 }));
      for (const ioasId of [on.ioas, on.other]) {
        ioasMapFile(on.context, { flags: 7, ioasId, fd, start: 0n, length: 4n * PAGE, iova: FREE });
      }
      return () => ioasChangeProcess(on.context, { reserved: 0 });
    });
  });

  test('a context opens', () => {
    tryAll((on) => () => on.base.open());
  });
});

function bytesOf(...words: bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(words).buffer);
}

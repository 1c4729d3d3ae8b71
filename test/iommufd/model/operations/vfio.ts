/** Random calls of old VFIO programs. */

import { expect } from 'vitest';
import { RepliedError } from '../../../../src/iommufd/calls/replied-error.ts';
import { vfioIoas } from '../../../../src/iommufd/calls/vfio-ioas.ts';
import { vfioMapDma, vfioSetIommu, vfioUnmapDma } from '../../../../src/iommufd/vfio/calls.ts';
import { addressIn, contextOf, id, lengthIn, mappedAddress, type Operation, userAddress } from './draw.ts';

export const vfioOptions: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (choose.rarely(2)) {
    const type = choose.pick([1, 3, 1, 4]);
    on.both(
      () => vfioSetIommu(on.contexts[at]!, type),
      () => on.model.vfioSetIommu(at, type),
    );
    return;
  }
  const op = choose.pick([1, 1, 1, 0, 2, 3]);
  const ioasId = id(on, at, choose, 'ioas');
  on.both(
    () => {
      const request = { ioasId, op, reserved: 0 };
      vfioIoas(on.contexts[at]!, request);
      return op === 0 ? request.ioasId : undefined;
    },
    () => on.model.vfioIoas(at, op, ioasId),
  );
};

export const vfioMap: Operation = (on, choose) => {
  const at = contextOf(choose);
  const call = {
    flags: choose.rarely(20) ? 4 : choose.pick([3, 3, 1, 2, 0]),
    vaddr: userAddress(on, choose),
    iova: addressIn(choose),
    size: lengthIn(choose),
  };
  on.both(
    () => vfioMapDma(on.contexts[at]!, { argsz: 32, ...call }),
    () => on.model.vfioMap(at, call),
  );
};

export const vfioUnmap: Operation = (on, choose) => {
  const at = contextOf(choose);
  const ioas = on.model.context(at).vfioIoas ?? 0;
  const iova = mappedAddress(on, at, ioas, choose);
  const all = choose.rarely(10);
  const call = { flags: all ? 2 : 0, iova: all ? 0n : iova, size: all ? 0n : lengthIn(choose) };
  on.bothInPart<{ size: bigint; code?: string }>(
    () => {
      const request = { argsz: 24, ...call };
      try {
        vfioUnmapDma(on.contexts[at]!, request);
        return { size: request.size };
      } catch (error) {
        // What cutting refuses is not written back: the size is as it was given.
        if (error instanceof RepliedError) return { size: request.size, code: error.code };
        expect(request.size).toBe(call.size);
        if (on.model.context(at).vfioIoas === undefined || call.flags !== 0) throw error;
        return { size: request.size, code: (error as { code: string }).code };
      }
    },
    () => on.model.vfioUnmap(at, call),
  );
};

/** Random calls on devices and page tables. */

import { hwptAlloc } from '../../../../src/iommufd/calls/hwpt-alloc.ts';
import { hwptGetDirtyBitmap } from '../../../../src/iommufd/calls/hwpt-get-dirty-bitmap.ts';
import { hwptSetDirtyTracking } from '../../../../src/iommufd/calls/hwpt-set-dirty-tracking.ts';
import { testCmd } from '../../../../src/iommufd/calls/test-cmd.ts';
import { IommufdDevice } from '../../../../src/iommufd/device.ts';
import { HWPT_DATA_SELFTEST, TestOp } from '../../../../src/iommufd/selftest/numbers.ts';
import { hwptRequest } from '../../calls.ts';
import { PAGE, ULONG_MAX } from '../../machine.ts';
import type { Choices } from '../choices.ts';
import { driverOf } from '../devices.ts';
import type { World } from '../world.ts';
import {
  addressIn,
  BASE,
  bound,
  contextOf,
  GROUP_DEVICES,
  id,
  idsOf,
  lengthIn,
  type Operation,
  some,
} from './draw.ts';

export const bind: Operation = (on, choose) => {
  const at = choose.rarely(5) ? 1 : 0;
  const name = choose.pick(GROUP_DEVICES);
  const taken = on.model.state.contexts.some(({ things }) =>
    [...things.values()].some((thing) => thing.kind === 'device' && thing.name === name),
  );
  if (taken) return;
  on.both(
    () => IommufdDevice.bind(on.contexts[at]!, on.machine.device(name)).id,
    () => on.model.bind(at, name),
  );
};

export const unbind: Operation = (on, choose) => {
  const at = contextOf(choose);
  const dev = bound(on, at, choose);
  if (dev === undefined) return;
  on.both(
    () => on.device(at, dev).unbind(),
    () => on.model.unbind(at, dev),
  );
};

export const pasidOf = (choose: Choices): number => choose.pick([1, 2, 2, 1, 15, 16, 40]);

export function attaching(call: 'attach' | 'replace' | 'pasidAttach' | 'pasidReplace'): Operation {
  return (on, choose) => {
    const at = contextOf(choose);
    const withPasid = call.startsWith('pasid');
    const dev = withPasid ? bound(on, at, choose) : some(on, at, choose, 'device');
    if (dev === undefined) return;
    const pt = id(on, at, choose, 'ioas', 'hwpt');
    const pasid = withPasid ? pasidOf(choose) : 0;
    on.both(
      () => {
        const device = on.device(at, dev);
        if (call === 'attach') return device.attach(pt);
        if (call === 'replace') return device.replace(pt);
        return call === 'pasidAttach' ? device.pasidAttach(pasid, pt) : device.pasidReplace(pasid, pt);
      },
      () => {
        const replace = call === 'replace' || call === 'pasidReplace';
        return replace ? on.model.replace(at, dev, pt, pasid) : on.model.attach(at, dev, pt, pasid);
      },
    );
  };
}

export const detach: Operation = (on, choose) => {
  const at = contextOf(choose);
  const dev = bound(on, at, choose);
  if (dev === undefined) return;
  const pasid = choose.rarely(3) ? pasidOf(choose) : 0;
  on.both(
    () => (pasid === 0 ? on.device(at, dev).detach() : on.device(at, dev).pasidDetach(pasid)),
    () => on.model.detach(at, dev, pasid),
  );
};

export const newHwpt: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (idsOf(on, at, 'hwpt').length > 8) return;
  const dev = id(on, at, choose, 'device');
  const pt = id(on, at, choose, 'ioas', 'ioas', 'hwpt');
  const device = on.model.context(at).things.get(dev);
  const driver = device?.kind === 'device' ? driverOf(device.name) : 'group';
  const target = on.model.context(at).things.get(pt);
  const data = target?.kind === 'hwpt' ? !choose.rarely(8) : choose.rarely(12);
  const wild = choose.rarely(6);
  const faultId = id(on, at, choose, 'fault');
  const hasFault = target?.kind === 'hwpt' && idsOf(on, at, 'fault').length > 0 && choose.next(2) === 0;
  // Dirty bits are looked at in the selftest's tables, whose every leaf is 2 KiB.
  const kinds = driver === 'selftest' ? [0, 1, 2, 3, 8] : [0, 1, 8, 9];
  const flags = wild
    ? choose.pick([4, 8, 16, 5])
    : target?.kind === 'hwpt'
      ? hasFault
        ? 4
        : 0
      : choose.pick(kinds);
  const offset = choose.pick([0n, PAGE, 100n, ULONG_MAX - PAGE + 1n]);
  const reserved = choose.rarely(30) ? 1 : 0;
  on.machine.memory.write(on.data, new Uint8Array(BigUint64Array.of(offset).buffer));
  const ours = driver === 'selftest';
  const given = data
    ? { dataType: ours ? HWPT_DATA_SELFTEST : 0x6d6f636b, dataLen: ours ? 4 : 8, dataUptr: on.data }
    : {};
  on.both(
    () => {
      const request = hwptRequest(dev, pt, { flags, reserved, faultId, ...given });
      hwptAlloc(on.contexts[at]!, request);
      return request.outHwptId;
    },
    () => on.model.hwptAlloc(at, { flags, dev, pt, reserved, data, offset: ours ? 0n : offset, faultId }),
  );
};

export const mockDomain: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (idsOf(on, at, 'selftest').length > 3) return;
  const pt = id(on, at, choose, 'ioas', 'ioas', 'hwpt');
  on.both(
    () => {
      const request = { id: pt, outStdevId: 0, outHwptId: 0, outIdevId: 0 };
      testCmd(on.contexts[at]!, TestOp.MockDomain, request);
      return { stdev: request.outStdevId, idev: request.outIdevId, hwpt: request.outHwptId };
    },
    () => on.model.mockDomain(at, pt),
  );
};

/** A table whose dirty bits are kept, mostly. */
export function tracked(on: World, at: number, choose: Choices): number {
  const ids = idsOf(on, at, 'hwpt').filter((each) => on.model.hwpt(at, each).dirtyOps);
  return ids.length === 0 || choose.rarely(6) ? id(on, at, choose, 'hwpt') : choose.pick(ids);
}

export const setDirty: Operation = (on, choose) => {
  const at = contextOf(choose);
  const hwptId = tracked(on, at, choose);
  const flags = choose.pick([1, 1, 1, 0, 2]);
  on.both(
    () => hwptSetDirtyTracking(on.contexts[at]!, { flags, hwptId, reserved: choose.next(2) }),
    () => on.model.setDirty(at, hwptId, flags),
  );
};

export const getDirty: Operation = (on, choose) => {
  const at = contextOf(choose);
  const hwpt = tracked(on, at, choose);
  const flags = choose.pick([0, 0, 0, 1, 1, 2]);
  const iova = choose.rarely(4) ? addressIn(choose) : BASE + BigInt(choose.next(4)) * PAGE;
  const length = choose.rarely(4) ? lengthIn(choose) : BigInt(choose.next(12) + 1) * PAGE;
  const pageSize = choose.pick([2048n, PAGE, PAGE, 8192n, 1n, 0n]);
  // A bit a byte would not fit the page for these.
  if (pageSize > 0n && length / pageSize > 16_384n) return;
  on.machine.memory.write(on.scratch, new Uint8Array(4096));
  on.both(
    () => {
      hwptGetDirtyBitmap(on.contexts[at]!, {
        hwptId: hwpt,
        flags,
        reserved: 0,
        iova,
        length,
        pageSize,
        data: on.scratch,
      });
      const bytes = new Uint8Array(4096);
      on.machine.memory.read(on.scratch, bytes);
      const bits = new Set<number>();
      for (let bit = 0; bit < 8 * bytes.length; bit++) if ((bytes[bit >> 3]! >> (bit & 7)) & 1) bits.add(bit);
      return [...bits];
    },
    () => [...on.model.getDirty(at, { hwpt, flags, iova, length, pageSize })].sort((a, b) => a - b),
  );
};

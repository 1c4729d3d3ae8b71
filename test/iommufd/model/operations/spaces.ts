/** Random calls on address spaces. */

import { ioasAlloc } from '../../../../src/iommufd/calls/ioas-alloc.ts';
import { ioasAllowIovas } from '../../../../src/iommufd/calls/ioas-allow-iovas.ts';
import { ioasChangeProcess } from '../../../../src/iommufd/calls/ioas-change-process.ts';
import { ioasCopy } from '../../../../src/iommufd/calls/ioas-copy.ts';
import { ioasMap } from '../../../../src/iommufd/calls/ioas-map.ts';
import { ioasMapFile } from '../../../../src/iommufd/calls/ioas-map-file.ts';
import { ioasUnmap } from '../../../../src/iommufd/calls/ioas-unmap.ts';
import { OptionId, OptionOp, option } from '../../../../src/iommufd/calls/option.ts';
import { testCmd } from '../../../../src/iommufd/calls/test-cmd.ts';
import { TestOp } from '../../../../src/iommufd/selftest/numbers.ts';
import { drop } from '../../calls.ts';
import { PAGE, ULONG_MAX } from '../../machine.ts';
import { FILE_FD } from '../address-spaces.ts';
import {
  addressIn,
  BASE,
  contextOf,
  id,
  idsOf,
  lengthIn,
  mapFlags,
  mappedAddress,
  mappedLength,
  type Operation,
  userAddress,
} from './draw.ts';

export const alloc: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (idsOf(on, at, 'ioas').length > 4) return;
  const flags = choose.rarely(20) ? 1 : 0;
  on.both(
    () => {
      const request = { flags, outIoasId: 0 };
      ioasAlloc(on.contexts[at]!, request);
      return request.outIoasId;
    },
    () => on.model.ioasAlloc(at, flags),
  );
};

export const map: Operation = (on, choose) => {
  const at = contextOf(choose);
  const call = {
    ioas: id(on, at, choose, 'ioas'),
    flags: mapFlags(choose),
    reserved: choose.rarely(40) ? 1 : 0,
    userVa: userAddress(on, choose),
    length: lengthIn(choose),
    iova: addressIn(choose),
  };
  on.both(
    () => {
      const { ioas: ioasId, ...rest } = call;
      const request = { ioasId, ...rest };
      ioasMap(on.contexts[at]!, request);
      return request.iova;
    },
    () => on.model.ioasMap(at, call),
  );
};

export const mapFile: Operation = (on, choose) => {
  const at = contextOf(choose);
  const start = choose.rarely(12)
    ? choose.pick([ULONG_MAX, ULONG_MAX - PAGE + 1n])
    : BigInt(choose.next(6)) * PAGE;
  const call = {
    ioas: id(on, at, choose, 'ioas'),
    flags: mapFlags(choose),
    fd: choose.rarely(20) ? 99 : FILE_FD,
    start: choose.rarely(8) ? start + 2048n : start,
    length: lengthIn(choose),
    iova: addressIn(choose),
  };
  on.both(
    () => {
      const { ioas: ioasId, ...rest } = call;
      const request = { ioasId, ...rest };
      ioasMapFile(on.contexts[at]!, request);
      return request.iova;
    },
    () => on.model.ioasMapFile(at, call),
  );
};

export const changeProcess: Operation = (on, choose) => {
  const at = contextOf(choose);
  const reserved = choose.rarely(5) ? 1 : 0;
  on.both(
    () => ioasChangeProcess(on.contexts[at]!, { reserved }),
    () => on.model.changeProcess(at, reserved),
  );
};

export const copy: Operation = (on, choose) => {
  const at = contextOf(choose);
  const src = id(on, at, choose, 'ioas');
  const dst = id(on, at, choose, 'ioas');
  const flags = mapFlags(choose);
  const srcIova = mappedAddress(on, at, src, choose);
  const length = mappedLength(on, at, src, srcIova, choose);
  const dstIova = addressIn(choose);
  on.both(
    () => {
      const request = { flags, srcIoasId: src, dstIoasId: dst, length, srcIova, dstIova };
      ioasCopy(on.contexts[at]!, request);
      return request.dstIova;
    },
    () => on.model.ioasCopy(at, { flags, src, dst, length, srcIova, dstIova }),
  );
};

export const unmap: Operation = (on, choose) => {
  const at = contextOf(choose);
  const ioasId = id(on, at, choose, 'ioas');
  const everything = choose.rarely(16);
  const iova = everything ? 0n : mappedAddress(on, at, ioasId, choose);
  const length = everything ? ULONG_MAX : mappedLength(on, at, ioasId, iova, choose);
  on.bothInPart<{ unmapped: bigint; code?: string }>(
    () => {
      const request = { ioasId, iova, length };
      ioasUnmap(on.contexts[at]!, request);
      return { unmapped: request.length };
    },
    () => on.model.ioasUnmap(at, ioasId, iova, length),
  );
};

export const allow: Operation = (on, choose) => {
  const at = contextOf(choose);
  const ioasId = id(on, at, choose, 'ioas');
  const ranges = Array.from({ length: choose.next(3) }, () => {
    const start = choose.rarely(4) ? addressIn(choose) : BASE + BigInt(choose.next(4)) * 4n * PAGE;
    const last = start + choose.pick([4n * PAGE - 1n, 16n * PAGE - 1n, 0n, 1n << 40n]);
    return { start, last: last > ULONG_MAX ? ULONG_MAX : last };
  });
  const reserved = choose.rarely(30) ? 1 : 0;
  const bad = ranges.length > 0 && choose.rarely(30);
  on.machine.memory.write(
    on.scratch,
    new Uint8Array(BigUint64Array.from(ranges.flatMap(({ start, last }) => [start, last])).buffer),
  );
  on.both(
    () =>
      ioasAllowIovas(on.contexts[at]!, {
        ioasId,
        numIovas: ranges.length,
        reserved,
        allowedIovas: bad ? 0x10n : on.scratch,
      }),
    () => on.model.allowIovas(at, ioasId, reserved, bad ? undefined : ranges),
  );
};

export const hugePages: Operation = (on, choose) => {
  const at = contextOf(choose);
  const objectId = id(on, at, choose, 'ioas');
  const val64 = choose.pick([0n, 1n, 0n, 1n, 2n]);
  on.both(
    () =>
      option(on.contexts[at]!, {
        optionId: OptionId.HugePages,
        op: OptionOp.Set,
        reserved: 0,
        objectId,
        val64,
      }),
    () => on.model.setHugePages(at, objectId, val64),
  );
};

export const accounting: Operation = (on, choose) => {
  const at = contextOf(choose);
  const val64 = BigInt(choose.next(3));
  const request = { optionId: OptionId.RlimitMode, op: OptionOp.Set, reserved: 0, objectId: 0, val64 };
  on.both(
    () => option(on.contexts[at]!, request),
    () => on.model.setMode(at, val64),
  );
};

export const destroy: Operation = (on, choose) => {
  const at = contextOf(choose);
  const which = choose.pick([0, 99, ...on.model.context(at).things.keys()]);
  on.both(
    () => drop(on.contexts[at]!, which),
    () => on.model.destroy(at, which),
  );
};

export const addReserved: Operation = (on, choose) => {
  if (!choose.rarely(4)) return;
  const at = contextOf(choose);
  const which = id(on, at, choose, 'ioas');
  const start = addressIn(choose);
  const length = lengthIn(choose);
  on.both(
    () => testCmd(on.contexts[at]!, TestOp.AddReserved, { id: which, start, length }),
    () => on.model.addReserved(at, which, start, length),
  );
};

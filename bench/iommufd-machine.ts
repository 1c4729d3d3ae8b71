/** The laptop of examples/, its NVMe in the hands of a process; its VT-d tracks dirty pages, as that of servers does. */

import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { Ecap } from '../src/iommu/drivers/vtd-registers.ts';
import { PhysicalMemory } from '../src/iommu/physical-memory.ts';
import * as calls from '../src/iommufd/calls/index.ts';
import type { Context } from '../src/iommufd/context.ts';
import { IommufdDevice } from '../src/iommufd/device.ts';
import { Iommufd } from '../src/iommufd/iommufd.ts';
import { makeProcess } from '../src/iommufd/process.ts';
import { ProcessMemory } from '../src/iommufd/process-memory.ts';
import { boot } from '../src/machine/boot.ts';

const DEVICE = '0000:01:00.0';

export interface BenchMachine {
  iommufd: Iommufd;
  context: Context;
  device: IommufdDevice;
  memory: ProcessMemory;
}

export async function benchMachine(): Promise<BenchMachine> {
  const machine = boot(withDirtyTracking(await readHost('examples/laptop.json')));
  const nvme = machine.device(DEVICE)!;
  machine.core.unbind(nvme);
  const physical = new PhysicalMemory();
  const memory = new ProcessMemory(physical);
  const iommufd = new Iommufd({ iommu: machine.iommu, physical });
  const context = iommufd.open(makeProcess({ memory }));
  return { iommufd, context, device: IommufdDevice.bind(context, nvme), memory };
}

function withDirtyTracking(snapshot: Snapshot): Snapshot {
  const bits = Ecap.ScalableMode | Ecap.SecondLevelDirty | Ecap.PageWalkCoherency;
  for (const { registers } of snapshot.iommus ?? []) {
    if (registers?.ecap !== undefined) registers.ecap = (BigInt(`0x${registers.ecap}`) | bits).toString(16);
  }
  return snapshot;
}

/** @param largeLeaves off: everything is mapped in 4 KiB, whatever the memory allows */
export function newIoas(context: Context, largeLeaves = true): number {
  const ioas = { flags: 0, outIoasId: 0 };
  calls.ioasAlloc(context, ioas);
  const { outIoasId: objectId } = ioas;
  const { OptionId, OptionOp } = calls;
  if (!largeLeaves)
    calls.option(context, {
      optionId: OptionId.HugePages,
      op: OptionOp.Set,
      reserved: 0,
      objectId,
      val64: 0n,
    });
  return objectId;
}

/** FIXED_IOVA, WRITEABLE, READABLE. */
export const FIXED_READ_WRITE = 7;

export function map(context: Context, ioasId: number, userVa: bigint, length: bigint, iova: bigint): void {
  calls.ioasMap(context, { flags: FIXED_READ_WRITE, ioasId, reserved: 0, userVa, length, iova });
}

export function newHwpt(context: Context, devId: number, ptId: number, flags = 0): number {
  const request = {
    flags,
    devId,
    ptId,
    outHwptId: 0,
    reserved: 0,
    dataType: 0,
    dataLen: 0,
    dataUptr: 0n,
    faultId: 0,
    reserved2: 0,
  };
  calls.hwptAlloc(context, request);
  return request.outHwptId;
}

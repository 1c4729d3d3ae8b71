/** An open VFIO device, by its ioctls (`vfio_device_fops_unl_ioctl`) and by reading and writing its regions. */

import type { UserMemory } from '../iommufd/user-memory.ts';
import { checkHeader } from '../iommufd/vfio/calls.ts';
import { ATTACH_PASID } from '../iommufd/vfio/constants.ts';
import type { VfioDeviceFile } from '../iommufd/vfio/device-file.ts';
import type { VfioRegionInfoRequest } from '../iommufd/vfio/device-ops.ts';
import { KernelError } from '../kernel/errors.ts';
import { type CallShape, ioctlCommand } from './call-shape.ts';
import type { Caller, OpenFile } from './open-file.ts';
import type { Struct } from './struct.ts';
import { readStruct, readU32, writeStruct, writeU32 } from './user-structs.ts';
import { headerChain } from './vfio-capabilities.ts';
import {
  ATTACH_IOMMUFD_PT,
  BIND_IOMMUFD,
  DETACH_IOMMUFD_PT,
  DEVICE_FEATURE,
  DEVICE_INFO,
  FeatureFlag,
  IRQ_INFO,
  REGION_INFO,
} from './vfio-structs.ts';

/** Bytes that every kernel had of structs that have grown. */
const DEVICE_INFO_MIN_SIZE = 16;
const ATTACH_MIN_SIZE = 12;
const DETACH_MIN_SIZE = 8;

interface DeviceCall extends CallShape {
  /** Only of the device's own file; others leave it to the driver, which does not know it. */
  readonly ownFileOnly?: boolean;
  serve(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void;
}

const BIND_COMMAND = ioctlCommand(118);

export const DEVICE_CALLS: readonly DeviceCall[] = [
  structCall(107, 'VFIO_DEVICE_GET_INFO', DEVICE_INFO, getInfo),
  structCall(108, 'VFIO_DEVICE_GET_REGION_INFO', REGION_INFO, getRegionInfo),
  structCall(109, 'VFIO_DEVICE_GET_IRQ_INFO', IRQ_INFO, getIrqInfo),
  {
    command: ioctlCommand(111),
    name: 'VFIO_DEVICE_RESET',
    argument: 'none',
    serve: (file) => file.reset(),
  },
  structCall(117, 'VFIO_DEVICE_FEATURE', DEVICE_FEATURE, deviceFeature),
  structCall(118, 'VFIO_DEVICE_BIND_IOMMUFD', BIND_IOMMUFD, bindIommufd),
  { ...structCall(119, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', ATTACH_IOMMUFD_PT, attach), ownFileOnly: true },
  { ...structCall(120, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', DETACH_IOMMUFD_PT, detach), ownFileOnly: true },
];

const BY_COMMAND = new Map(DEVICE_CALLS.map((call) => [call.command, call]));

export class VfioDeviceNodeFile implements OpenFile {
  readonly kind = 'vfio-device';
  readonly seekable = true;
  readonly file: VfioDeviceFile;

  constructor(file: VfioDeviceFile) {
    this.file = file;
  }

  get label(): string {
    return this.file.name;
  }

  /** @throws KernelError EINVAL not bound to an iommufd; ENOTTY no such call; EFAULT; else what the call refuses */
  ioctl(caller: Caller, command: number, arg: bigint): number {
    const { file } = this;
    file.process = caller.process;
    if (command !== BIND_COMMAND && !file.accessGranted) {
      const remedy = 'VFIO_DEVICE_BIND_IOMMUFD first';
      throw new KernelError('EINVAL', this.label, 'is not bound to an iommufd', remedy);
    }
    const call = BY_COMMAND.get(command);
    if (call === undefined || (call.ownFileOnly === true && file.viaGroup)) throw this.#unknown(command);
    caller.process.files.during(caller, () => call.serve(file, caller.memory, arg));
    return 0;
  }

  /** @throws KernelError EINVAL not bound, or no region there; else the driver's refusal */
  read(_caller: Caller, size: number, position: bigint): Uint8Array {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, this.file.read(position, bytes));
  }

  /** @throws KernelError as `read` */
  write(_caller: Caller, bytes: Uint8Array, position: bigint): number {
    return this.file.write(position, bytes);
  }

  release(): void {
    this.file.close();
  }

  /** What is left is for the driver; one without ioctls refuses them all alike. */
  #unknown(command: number): KernelError {
    const { ops } = this.file.vfioDevice;
    const problem = `${ops.name} has no ioctl 0x${(command >>> 0).toString(16)}`;
    return new KernelError(ops.getInfo === undefined ? 'EINVAL' : 'ENOTTY', this.label, problem);
  }
}

function structCall<R>(
  nr: number,
  name: string,
  struct: Struct<R>,
  serve: (file: VfioDeviceFile, memory: UserMemory, arg: bigint) => void,
): DeviceCall {
  return {
    command: ioctlCommand(nr),
    name,
    argument: 'struct',
    size: struct.size,
    structOf: () => struct as unknown as Struct<never>,
    serve,
  };
}

/** As much of the struct as `argsz` says is written. */
function getInfo(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const request = readStruct(memory, DEVICE_INFO, arg, DEVICE_INFO_MIN_SIZE);
  const length = Math.min(request.argsz, DEVICE_INFO.size);
  file.getInfo(request);
  writeStruct(memory, DEVICE_INFO, arg, request, length);
}

function getRegionInfo(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const request: VfioRegionInfoRequest = readStruct(memory, REGION_INFO, arg, REGION_INFO.size);
  file.getRegionInfo(request);
  if (request.caps !== undefined) {
    memory.write(arg + BigInt(REGION_INFO.size), headerChain(request.caps, REGION_INFO.size));
  }
  writeStruct(memory, REGION_INFO, arg, request, REGION_INFO.size);
}

function getIrqInfo(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const request = readStruct(memory, IRQ_INFO, arg, IRQ_INFO.size);
  file.getIrqInfo(request);
  writeStruct(memory, IRQ_INFO, arg, request, IRQ_INFO.size);
}

/** `vfio_ioctl_device_feature`: no driver here has any. */
function deviceFeature(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const { argsz, flags } = readStruct(memory, DEVICE_FEATURE, arg, DEVICE_FEATURE.size);
  const { Mask, Get, Set: SetFlag, Probe } = FeatureFlag;
  checkHeader(
    file,
    'VFIO_DEVICE_FEATURE',
    { argsz, flags },
    DEVICE_FEATURE.size,
    Mask | Get | SetFlag | Probe,
  );
  if ((flags & Probe) === 0 && (flags & SetFlag) !== 0 && (flags & Get) !== 0) {
    throw new KernelError('EINVAL', file.label, 'a feature can be got or set, not both at once');
  }
  throw new KernelError('ENOTTY', file.label, `has no feature ${flags & Mask}`);
}

/** The id is written before the device counts as bound, and if it cannot be, it is not. */
function bindIommufd(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const { argsz, flags, iommufd } = readStruct(memory, BIND_IOMMUFD, arg, BIND_IOMMUFD.size);
  file.bindIommufd({
    argsz,
    flags,
    iommufd,
    set outDevid(id: number) {
      writeU32(memory, arg + BigInt(BIND_IOMMUFD.fields.outDevid.offset), id);
    },
  });
}

/** Likewise; where the HWPT's id cannot be written, the device is detached. */
function attach(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const { argsz, flags, ptId } = readStruct(memory, ATTACH_IOMMUFD_PT, arg, ATTACH_MIN_SIZE);
  const pasid = pasidOf(ATTACH_IOMMUFD_PT, ATTACH_MIN_SIZE, { argsz, flags }, memory, arg);
  file.attachIommufdPt({
    argsz,
    flags,
    ...(pasid !== undefined && { pasid }),
    get ptId() {
      return ptId;
    },
    set ptId(id: number) {
      writeU32(memory, arg + BigInt(ATTACH_IOMMUFD_PT.fields.ptId.offset), id);
    },
  });
}

function detach(file: VfioDeviceFile, memory: UserMemory, arg: bigint): void {
  const { argsz, flags } = readStruct(memory, DETACH_IOMMUFD_PT, arg, DETACH_MIN_SIZE);
  const pasid = pasidOf(DETACH_IOMMUFD_PT, DETACH_MIN_SIZE, { argsz, flags }, memory, arg);
  file.detachIommufdPt({ argsz, flags, ...(pasid !== undefined && { pasid }) });
}

/** It follows the rest of the struct, and is read only if it is meant and there. */
function pasidOf(
  struct: Struct<{ pasid?: number }>,
  minSize: number,
  request: { argsz: number; flags: number },
  memory: UserMemory,
  arg: bigint,
): number | undefined {
  const wellFormed = request.argsz >= struct.size && (request.flags & ~ATTACH_PASID) === 0;
  if (!wellFormed || (request.flags & ATTACH_PASID) === 0) return undefined;
  return readU32(memory, arg + BigInt(minSize));
}

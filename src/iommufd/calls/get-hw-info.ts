/** `IOMMU_GET_HW_INFO`. */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { ExtendedId, extendedCapabilities } from '../../pci/capabilities.ts';
import { PciDevice } from '../../pci/device.ts';
import type { Context } from '../context.ts';
import type { IommufdDevice } from '../device.ts';
import { PAGE_SIZE } from '../limits.ts';
import type { UserMemory } from '../user-memory.ts';

/** `IOMMU_HW_INFO_TYPE_NONE`. */
export const HW_INFO_NONE = 0;
/** `IOMMU_HW_INFO_FLAG_INPUT_TYPE` (later than 6.12): the caller says which type it wants. */
export const HW_INFO_INPUT_TYPE = 1;
/** `enum iommufd_hw_capabilities`. */
export const HwCapability = { DirtyTracking: 1, PasidExec: 2, PasidPrivileged: 4 } as const;

/** Bits of the PASID capability register, which are those of its control register. */
const PASID_CAP = 4;
const PASID_EXEC = 2;
const PASID_PRIVILEGED = 4;

/** `struct iommu_hw_info`. */
export interface GetHwInfoRequest {
  flags: number;
  devId: number;
  /** In: bytes of the buffer. Out: bytes the kernel has. */
  dataLen: number;
  dataUptr: bigint;
  /** In, with `HW_INFO_INPUT_TYPE`: the type wanted, 0 for any. Out: what the data is. */
  outDataType: number;
  outMaxPasidLog2: number;
  reserved: [number, number, number];
  /** `HwCapability` bits. */
  outCapabilities: bigint;
}

/**
 * `iommufd_get_hw_info`: what the device's IOMMU says of itself. What is larger than the buffer is cut, what is left of
 * the buffer is zeroed.
 *
 * @throws KernelError EOPNOTSUPP an unknown flag, reserved, or the driver has no data of the type wanted; ENOENT no such
 *   device; ENODEV the driver gave no type; ENOMEM; EFAULT the buffer is not there
 */
export function getHwInfo(context: Context, request: GetHwInfoRequest): void {
  if ((request.flags & ~HW_INFO_INPUT_TYPE) !== 0 || request.reserved.some((byte) => byte !== 0)) {
    throw new KernelError(
      'EOPNOTSUPP',
      context.label,
      'a flag nobody knows, or reserved fields that are not 0',
    );
  }
  const wanted = (request.flags & HW_INFO_INPUT_TYPE) === 0 ? HW_INFO_NONE : request.outDataType;
  using held = context.objects.use<IommufdDevice>(request.devId, 'device');
  const { device, driver } = held.object;
  const { iommu, faults } = context.iommufd;
  let type = HW_INFO_NONE;
  let data = new Uint8Array();
  if (driver.hwInfo !== undefined) {
    faults.step('hardware information');
    const info = driver.hwInfo(device);
    if (info.type === HW_INFO_NONE) {
      throw new KernelError(
        'ENODEV',
        device.name,
        `${driver.name} did not say of what type its information is`,
      );
    }
    if (wanted !== HW_INFO_NONE && wanted !== info.type) {
      throw new KernelError('EOPNOTSUPP', device.name, `${driver.name} has no information of type ${wanted}`);
    }
    type = info.type;
    data = info.data.slice();
  }
  fillBuffer(context.process.memory, request.dataUptr, request.dataLen, data);

  request.outDataType = type;
  request.dataLen = data.length;
  const maxPasids = iommu.maxPasids(device);
  let capabilities = iommu.deviceCapable(device, 'dirty-tracking') ? HwCapability.DirtyTracking : 0;
  if (maxPasids > 0) capabilities |= pasidCapabilities(device);
  request.outMaxPasidLog2 = maxPasids > 0 ? Math.floor(Math.log2(maxPasids)) : 0;
  request.outCapabilities = BigInt(capabilities);
}

/** A program can say its buffer has 4 GiB, so zeros go out page by page. @throws KernelError EFAULT */
function fillBuffer(memory: UserMemory, address: bigint, length: number, data: Uint8Array): void {
  const known = data.subarray(0, length);
  if (known.length > 0) memory.write(address, known);
  for (let done = known.length; done < length; done += PAGE_SIZE) {
    memory.write(address + BigInt(done), new Uint8Array(Math.min(PAGE_SIZE, length - done)));
  }
}

/** `pci_pasid_status`: IOMMU drivers switch on whatever the device has. */
function pasidCapabilities(device: Device): number {
  if (!(device instanceof PciDevice) || device.config === undefined) return 0;
  const { entries } = extendedCapabilities(device.config, true);
  const at = entries.find(({ id }) => id === ExtendedId.Pasid)?.at;
  const word = at === undefined ? 0 : (device.config.word(at + PASID_CAP) ?? 0);
  const exec = (word & PASID_EXEC) === 0 ? 0 : HwCapability.PasidExec;
  return exec | ((word & PASID_PRIVILEGED) === 0 ? 0 : HwCapability.PasidPrivileged);
}

/**
 * Driver-specific data a user process hands over (`struct iommu_user_data` and its array form): the driver alone
 * knows the layout, so it gets the bytes and the length the user claims.
 */

import { KernelError } from '../kernel/errors.ts';

/** `struct iommu_user_data`. */
export interface UserData {
  /** `enum iommu_hwpt_data_type` and its like. */
  readonly type: number;
  /** Bytes, as the user says. */
  readonly length: number;
  /**
   * Copies from byte `offset` on.
   *
   * @throws KernelError EFAULT the user's memory is not there
   */
  copy(offset: number, into: Uint8Array): void;
}

/** `struct iommu_user_data_array`: equal entries, one after the other. */
export interface UserDataArray {
  readonly type: number;
  /** Bytes of one entry, as the user says. */
  readonly entryLength: number;
  readonly entries: number;
  /** Entries the driver has dealt with; it sets this before it throws, too. */
  processed: number;
  /** One entry as data of its own. */
  entry(index: number): UserData;
}

/**
 * `iommu_copy_struct_from_user`: the structure in little endian, zeros where the user's is shorter.
 *
 * @param size bytes of the structure as the driver knows it
 * @param minimum bytes it had when it was first defined
 * @throws KernelError EINVAL another type, shorter than `minimum` or longer than `size`; EFAULT
 */
export function copyStructFromUser(data: UserData, type: number, size: number, minimum = size): DataView {
  if (data.type !== type) {
    throw new KernelError('EINVAL', `user data of type ${data.type}`, `type ${type} is expected`);
  }
  if (data.length < minimum || data.length > size) {
    throw new KernelError(
      'EINVAL',
      `user data of type ${type}`,
      `is ${data.length} bytes long; ${minimum} to ${size} are expected`,
    );
  }
  const bytes = new Uint8Array(size);
  data.copy(0, bytes.subarray(0, data.length));
  return new DataView(bytes.buffer);
}

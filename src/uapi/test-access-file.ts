/** The descriptor of the selftest's CREATE_ACCESS: good for nothing but being named, and closed. */

import type { AccessHandle } from '../iommufd/selftest/access-handle.ts';
import { KernelError } from '../kernel/errors.ts';
import type { OpenFile } from './open-file.ts';

export class TestAccessFile implements OpenFile {
  readonly kind = 'test-access';
  readonly seekable = true;
  readonly file: AccessHandle;

  constructor(handle: AccessHandle) {
    this.file = handle;
  }

  get label(): string {
    return this.file.name;
  }

  /** @throws KernelError ENOTTY whatever the command */
  ioctl(): never {
    throw new KernelError('ENOTTY', this.label, 'has no ioctls', 'use IOMMU_TEST_CMD on the iommufd');
  }

  release(): void {
    this.file.close();
  }
}

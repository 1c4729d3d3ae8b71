/** The ops that make an in-kernel user of an address space and have it pin, read and write. */

import type { FrameRuns } from '../../../iommu/frame-runs.ts';
import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import { PAGE_BYTES } from '../../limits.ts';
import { AccessHandle, accessOf } from '../access-handle.ts';
import { ACCESS_MAX_BYTES, AccessCreateFlag, AccessFlag, AccessRwFlag } from '../numbers.ts';
import type {
  AccessPagesRequest,
  AccessReplaceIoasRequest,
  AccessRwRequest,
  CreateAccessRequest,
  DestroyAccessPagesRequest,
} from '../requests.ts';
import { convertIova } from '../syzkaller.ts';
import { frameBehind } from '../user-frames.ts';

/**
 * `IOMMU_TEST_OP_CREATE_ACCESS`: an access to the IOAS `id`, behind a descriptor of the caller's; closing that ends it.
 *
 * @throws KernelError EOPNOTSUPP an unknown flag; ENOENT no such IOAS; ENOMEM; else as `Access.attach`
 */
export function createAccess(context: Context, request: CreateAccessRequest): void {
  checkFlags(context, request.flags, AccessCreateFlag.NeedsPinPages);
  context.iommufd.faults.step('access file');
  const needsPinPages = (request.flags & AccessCreateFlag.NeedsPinPages) !== 0;
  const handle = AccessHandle.create(context, request.id, needsPinPages);
  try {
    context.iommufd.faults.step('access descriptor');
    request.outAccessFd = context.process.files.install(handle);
  } catch (error) {
    handle.close();
    throw error;
  }
}

/**
 * `IOMMU_TEST_OP_ACCESS_REPLACE_IOAS`
 *
 * @throws KernelError EBADFD `id` is no access descriptor; else as `Access.replace`
 */
export function accessReplaceIoas(context: Context, request: AccessReplaceIoasRequest): void {
  accessOf(context, request.id).access.replace(request.ioasId);
}

/**
 * `IOMMU_TEST_OP_ACCESS_PAGES`: pins, and compares the frames with those of user memory unless `uptr` is 0.
 *
 * @throws KernelError ENOMEM more than 16 MiB; EOPNOTSUPP an unknown flag, or the access pins no pages; EBADFD `id` is
 *   no access descriptor; EBADE a frame is not the user's; EFAULT no user memory; else as `Access.pinPages`. Nothing
 *   is pinned then
 */
export function accessPages(context: Context, request: AccessPagesRequest): void {
  checkLength(context, request.length);
  checkFlags(context, request.flags, AccessFlag.Write | AccessFlag.Syzkaller);
  const handle = accessOf(context, request.id);
  if (!handle.needsPinPages) {
    throw new KernelError('EOPNOTSUPP', handle.access.label, 'was made without the need to pin pages');
  }
  const iova = iovaOf(handle, request);
  const { uptr } = request;
  const check = (frames: FrameRuns) => checkPages(context, uptr - (iova % PAGE_BYTES), frames);
  const flags = request.flags & AccessFlag.Write;
  request.outAccessPagesId = handle.pinPages(iova, request.length, flags, uptr === 0n ? () => {} : check);
}

/**
 * `IOMMU_TEST_OP_DESTROY_ACCESS_PAGES`
 *
 * @throws KernelError EBADFD `id` is no access descriptor; ENOENT nothing is pinned under that number
 */
export function destroyAccessPages(context: Context, request: DestroyAccessPagesRequest): void {
  accessOf(context, request.id).unpin(request.accessPagesId);
}

/**
 * `IOMMU_TEST_OP_ACCESS_RW`: copies between the address space and user memory.
 *
 * @throws KernelError ENOMEM more than 16 MiB; EOPNOTSUPP an unknown flag; EBADFD `id` is no access descriptor; EFAULT
 *   no user memory; else as `Access.rw`
 */
export function accessRw(context: Context, request: AccessRwRequest): void {
  checkLength(context, request.length);
  checkFlags(context, request.flags, AccessRwFlag.Write | AccessRwFlag.SlowPath | AccessFlag.Syzkaller);
  const handle = accessOf(context, request.id);
  const { memory } = context.process;
  context.iommufd.faults.step('copy of the bytes');
  const bytes = new Uint8Array(Number(request.length));
  const write = (request.flags & AccessRwFlag.Write) !== 0;
  if (write) memory.read(request.uptr, bytes);
  handle.access.rw(iovaOf(handle, request), bytes, request.flags & ~AccessFlag.Syzkaller);
  if (!write) memory.write(request.uptr, bytes);
}

/** `iommufd_test_check_pages` */
function checkPages(context: Context, uptr: bigint, frames: FrameRuns): void {
  let address = uptr;
  for (const frame of frames.frames()) {
    if (frameBehind(context, address) !== frame) {
      throw new KernelError('EBADE', `user page 0x${address.toString(16)}`, 'is not what is mapped');
    }
    address += PAGE_BYTES;
  }
}

function iovaOf(handle: AccessHandle, request: { iova: bigint; flags: number }): bigint {
  const guess = (request.flags & AccessFlag.Syzkaller) !== 0;
  return guess ? convertIova(handle.access.ioas?.iovas, request.iova) : request.iova;
}

function checkLength(context: Context, length: bigint): void {
  if (length > BigInt(ACCESS_MAX_BYTES)) {
    throw new KernelError('ENOMEM', context.label, `${length} bytes are too many at once`);
  }
}

function checkFlags(context: Context, flags: number, known: number): void {
  if ((flags & ~known) !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, `flags 0x${flags.toString(16)} are not all known`);
  }
}

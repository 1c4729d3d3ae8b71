/** `IOMMU_OPTION`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';

/** `IOMMU_OPTION_*`. */
export const OptionId = { RlimitMode: 0, HugePages: 1 } as const;

/** `IOMMU_OPTION_OP_*`. */
export const OptionOp = { Set: 0, Get: 1 } as const;

/** `struct iommu_option`. */
export interface OptionRequest {
  optionId: number;
  op: number;
  reserved: number;
  objectId: number;
  /** In to set, out to get. */
  val64: bigint;
}

/**
 * `iommufd_option`: reads or changes how pinned pages are counted, or whether an address space uses large pages.
 *
 * @throws KernelError EOPNOTSUPP `reserved`, an unknown option or operation, an object where none belongs; ENOENT no
 *   such IOAS; EINVAL the value is neither 0 nor 1; else as `Context.setRlimitMode` and `IovaSpace.disableLargePages`
 */
export function option(context: Context, request: OptionRequest): void {
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', context.label, 'a reserved field is not 0');
  if (request.optionId === OptionId.RlimitMode) rlimitMode(context, request);
  else if (request.optionId === OptionId.HugePages) hugePages(context, request);
  else throw new KernelError('EOPNOTSUPP', context.label, `there is no option ${request.optionId}`);
}

/** `iommufd_option_rlimit_mode`. */
function rlimitMode(context: Context, request: OptionRequest): void {
  if (request.objectId !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, 'the accounting mode is not that of an object');
  }
  if (request.op === OptionOp.Get) request.val64 = context.accountMode === 'process' ? 1n : 0n;
  else if (request.op === OptionOp.Set) context.setRlimitMode(request.val64);
  else throw unknownOperation(context.label, request.op);
}

/** `iommufd_ioas_option_huge_pages`. */
function hugePages(context: Context, request: OptionRequest): void {
  using held = context.objects.use<Ioas>(request.objectId, 'ioas');
  const { iovas, label } = held.object;
  if (request.op === OptionOp.Get) {
    request.val64 = iovas.largePagesDisabled ? 0n : 1n;
    return;
  }
  if (request.op !== OptionOp.Set) throw unknownOperation(label, request.op);
  if (request.val64 === 0n) iovas.disableLargePages();
  else if (request.val64 === 1n) iovas.enableLargePages();
  else throw new KernelError('EINVAL', label, `large pages are set with 0 or 1, not ${request.val64}`);
}

function unknownOperation(label: string, op: number): KernelError {
  return new KernelError('EOPNOTSUPP', label, `options have no operation ${op}`);
}

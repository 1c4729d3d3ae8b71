/** The iommufd behind what a program passed as one. */

import { KernelError } from '../../kernel/errors.ts';
import { Context } from '../context.ts';
import type { Process } from '../process.ts';

/** A descriptor of the process, or the open file itself. */
export type FileArgument = number | object;

/**
 * `fget` and `iommufd_ctx_from_file`.
 *
 * @throws KernelError EBADF no such descriptor, or it is closed; EBADFD something else is open there
 */
export function contextFromFile(process: Process, argument: FileArgument): Context {
  const file: unknown = typeof argument === 'number' ? process.files.find(argument) : argument;
  const words = typeof argument === 'number' ? `descriptor ${argument}` : 'the file given';
  if (file === undefined) throw new KernelError('EBADF', words, `is not open in ${process.name}`);
  if (!(file instanceof Context)) {
    throw new KernelError('EBADFD', words, 'is not an iommufd', 'pass an open /dev/iommu or /dev/vfio/vfio');
  }
  if (!file.isOpen) throw new KernelError('EBADF', words, `${file.label} is closed`);
  return file;
}

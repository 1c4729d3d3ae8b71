/** An open /dev/iommu or /dev/vfio/vfio. */

import type { Context } from '../iommufd/context.ts';
import { QueueFile } from '../iommufd/event-queue.ts';
import { FaultQueue } from '../iommufd/fault-queue.ts';
import type { OpenFile as KernelFile } from '../iommufd/open-files.ts';
import { AccessHandle } from '../iommufd/selftest/access-handle.ts';
import { Veventq } from '../iommufd/veventq.ts';
import { dispatch } from './dispatch.ts';
import type { Caller, IoctlResult, OpenFile } from './open-file.ts';
import { EventQueueFile, FaultQueueFile } from './queue-files.ts';
import { TestAccessFile } from './test-access-file.ts';

export class IommufdFile implements OpenFile {
  readonly kind = 'iommufd';
  readonly seekable = true;
  readonly file: Context;

  constructor(context: Context) {
    this.file = context;
  }

  get label(): string {
    return this.file.name;
  }

  /** @throws KernelError as `dispatch` */
  ioctl(caller: Caller, command: number, arg: bigint): IoctlResult {
    const { file: context } = this;
    const { process } = caller;
    // Whoever calls has the descriptor, opened it or not: a child, or who was sent it.
    context.process = process;
    context.iommufd.calls(process);
    return process.files.during(caller, (installed) => {
      const { value, descriptorAddress: at, undo } = dispatch(context, caller, command, arg, installed);
      const file = installed();
      if (file === undefined || at === undefined) return value;
      return { install: openFileOf(file), closeOnExec: true, at, value, undo: () => undo?.(file) };
    });
  }

  /** @throws KernelError EBUSY objects are left that nobody lets go, which is a bug */
  release(): void {
    this.file.close();
  }
}

/** What serves a file that a call has made. */
function openFileOf(file: KernelFile): OpenFile {
  if (file instanceof AccessHandle) return new TestAccessFile(file);
  if (file instanceof QueueFile) {
    if (file.queue instanceof FaultQueue) return new FaultQueueFile(file, file.queue);
    if (file.queue instanceof Veventq) return new EventQueueFile(file, file.queue);
  }
  throw new TypeError(`nothing serves ${file.name}`);
}

/** One open file of /dev/iommu (`struct iommufd_ctx`). */

import type { Group } from '../iommu/group.ts';
import { KernelError } from '../kernel/errors.ts';
import type { AccountMode } from './account.ts';
import type { IommufdGroup } from './group.ts';
import type { Ioas } from './ioas.ts';
import type { Iommufd } from './iommufd.ts';
import { ObjectTable } from './object-table.ts';
import type { OpenFile } from './open-files.ts';
import type { Process } from './process.ts';

export interface ContextInit {
  iommufd: Iommufd;
  name: string;
  process: Process;
  label: string;
  accountMode: AccountMode;
}

export class Context implements OpenFile {
  readonly iommufd: Iommufd;
  /** `/dev/iommu`, or `/dev/vfio/vfio`. */
  readonly name: string;
  /** Whose memory and files calls mean: who opened it, until the file is handed on to another process. */
  process: Process;
  /** As in messages: `iommufd 2`. */
  readonly label: string;
  readonly objects: ObjectTable;
  /** `groups`: an entry for each group a device of which is bound here; its devices keep it. */
  readonly groups = new Map<Group, IommufdGroup>();
  /** The address space old VFIO calls work on (`vfio_ioas`). */
  vfioIoas: Ioas | undefined;
  /** `no_iommu_mode`: the file serves a container without an IOMMU. */
  noiommuMode = false;
  #accountMode: AccountMode;
  #references = 1;
  #fileOpen = true;

  /** Only `Iommufd.open` makes one. */
  constructor(init: ContextInit) {
    this.iommufd = init.iommufd;
    this.name = init.name;
    this.process = init.process;
    this.label = init.label;
    this.#accountMode = init.accountMode;
    this.objects = new ObjectTable(init.iommufd.faults, {
      onRemove: (object) => {
        if (object === this.vfioIoas) this.vfioIoas = undefined;
      },
    });
  }

  /** `account_mode`: where pages that calls of this file pin are counted. */
  get accountMode(): AccountMode {
    return this.#accountMode;
  }

  /** Whether the file is open: whoever opened it has not closed it. */
  get isOpen(): boolean {
    return this.#fileOpen;
  }

  /** Whether it is gone: the file is closed and nobody inside the kernel keeps it. */
  get isReleased(): boolean {
    return this.#references === 0;
  }

  /** The file, bound devices, accesses and open queues, each of which keeps the context. */
  get references(): number {
    return this.#references;
  }

  /**
   * `IOMMU_OPTION_RLIMIT_MODE`, set: 0 counts pinned pages for the user, 1 for the process.
   *
   * @throws KernelError EPERM without CAP_SYS_RESOURCE; EBUSY any object exists; EINVAL another value
   */
  setRlimitMode(value: bigint): void {
    if (!this.process.capabilities.has('CAP_SYS_RESOURCE')) {
      throw new KernelError('EPERM', this.label, 'changing the accounting mode needs CAP_SYS_RESOURCE');
    }
    if (!this.objects.isEmpty) {
      throw new KernelError(
        'EBUSY',
        this.label,
        'the accounting mode cannot change while there are objects',
        'set it right after opening the file',
      );
    }
    if (value !== 0n && value !== 1n) {
      throw new KernelError('EINVAL', this.label, `accounting mode ${value} is neither 0 nor 1`);
    }
    this.#accountMode = value === 1n ? 'process' : 'user';
  }

  /**
   * `iommufd_ctx_get`: the context stays until as many `put`s.
   *
   * @throws KernelError EBADF the context is gone
   */
  get(): this {
    if (this.isReleased) throw new KernelError('EBADF', this.label, 'is closed');
    this.#references++;
    return this;
  }

  /**
   * `iommufd_ctx_put`: with the last reference everything goes.
   *
   * @throws KernelError EBADF the context is gone; EBUSY objects are left that nobody lets go
   */
  put(): void {
    if (this.isReleased) throw new KernelError('EBADF', this.label, 'is given back more often than taken');
    if (--this.#references === 0) this.#release();
  }

  /**
   * The file is closed. While devices are bound, accesses exist or queue files are open, the objects stay until
   * the last of these goes.
   *
   * @throws KernelError EBADF closed already; EBUSY objects are left that nobody lets go
   */
  close(): void {
    if (!this.#fileOpen) throw new KernelError('EBADF', this.label, 'is closed already');
    this.#fileOpen = false;
    this.put();
  }

  /** `iommufd_fops_release`. */
  #release(): void {
    this.vfioIoas = undefined;
    this.objects.closeAll();
    if (this.groups.size > 0) {
      throw new KernelError('EBUSY', this.label, `closing leaves behind ${this.groups.size} groups`);
    }
    this.iommufd.contexts.delete(this);
  }
}

/** What the descriptor of CREATE_ACCESS stands for: an access, and what is pinned through it (`struct selftest_access`). */

import type { FrameRuns } from '../../iommu/frame-runs.ts';
import { KernelError } from '../../kernel/errors.ts';
import { Access } from '../access.ts';
import type { Context } from '../context.ts';
import type { OpenFile } from '../open-files.ts';

/** One ACCESS_PAGES that is still pinned (`struct selftest_access_item`). Bytes; `last` is inclusive. */
interface Item {
  readonly id: number;
  readonly iova: bigint;
  readonly length: bigint;
  readonly last: bigint;
}

export class AccessHandle implements OpenFile {
  readonly name = '[iommufd_test_staccess]';
  readonly access: Access;
  readonly needsPinPages: boolean;
  readonly #items: Item[] = [];
  #nextId = 0;

  private constructor(context: Context, needsPinPages: boolean) {
    this.needsPinPages = needsPinPages;
    this.access = Access.create(context, {
      needsPinPages,
      unmap: (iova, length) => this.#unmap(iova, length),
    });
  }

  /**
   * An access attached to an address space.
   *
   * @throws KernelError as `Access.create` and `Access.attach`; nothing is left then
   */
  static create(context: Context, ioasId: number, needsPinPages: boolean): AccessHandle {
    const handle = new AccessHandle(context, needsPinPages);
    try {
      handle.access.attach(ioasId);
    } catch (error) {
      handle.access.release();
      throw error;
    }
    return handle;
  }

  /** Ids of what is pinned, in the order of pinning. */
  get items(): number[] {
    return this.#items.map(({ id }) => id);
  }

  /**
   * Pins, and remembers what for. Not `pin`, which files have whose pages can be mapped.
   *
   * @param check may refuse the frames; they are unpinned then
   * @returns the number to release it by
   * @throws KernelError as `Access.pinPages`, or what `check` threw
   */
  pinPages(iova: bigint, length: bigint, flags: number, check: (frames: FrameRuns) => void): number {
    const frames = this.access.pinPages(iova, length, flags);
    try {
      check(frames);
      this.access.context.iommufd.faults.step('access item');
    } catch (error) {
      this.access.unpinPages(iova, length);
      throw error;
    }
    const id = this.#nextId++;
    this.#items.push({ id, iova, length, last: iova + length - 1n });
    return id;
  }

  /**
   * `iommufd_test_access_item_destroy`
   *
   * @throws KernelError ENOENT nothing is pinned under this number (any more)
   */
  unpin(id: number): void {
    const at = this.#items.findIndex((item) => item.id === id);
    if (at < 0) throw new KernelError('ENOENT', this.access.label, `nothing is pinned as number ${id}`);
    this.#unpinAt(at);
  }

  /** `iommufd_test_staccess_release`: the access is gone; on its way it has everything unpinned. */
  close(): void {
    this.access.release();
  }

  /** `iommufd_test_access_unmap` */
  #unmap(iova: bigint, length: bigint): void {
    const last = iova + length - 1n;
    for (let at = this.#items.length - 1; at >= 0; at--) {
      const item = this.#items[at]!;
      if (iova <= item.last && last >= item.iova) this.#unpinAt(at);
    }
  }

  #unpinAt(at: number): void {
    const [item] = this.#items.splice(at, 1);
    if (item !== undefined) this.access.unpinPages(item.iova, item.length);
  }
}

/**
 * `iommufd_access_get`
 *
 * @throws KernelError EBADFD the caller has no such descriptor, or it is of something else
 */
export function accessOf(context: Context, fd: number): AccessHandle {
  const file = context.process.files.find(fd);
  if (file instanceof AccessHandle) return file;
  throw new KernelError('EBADFD', `descriptor ${fd}`, file === undefined ? 'is not open' : `is ${file.name}`);
}

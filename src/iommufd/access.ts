/**
 * Users inside the kernel who reach an address space without DMA: emulated and mediated devices (`struct
 * iommufd_access`, in the kernel's device.c). Object and attachment are here, the pages in access-pages.ts.
 */

import { KernelError } from '../kernel/errors.ts';
import { AccessPages } from './access-pages.ts';
import type { Context } from './context.ts';
import type { Ioas } from './ioas.ts';
import type { IovaUser } from './iova-users.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';

/** `struct iommufd_access_ops`. */
export interface AccessOps {
  /**
   * `unmap`: whatever is pinned in these bytes has to be unpinned before this returns; what is not gets asked for
   * again. Must not detach or release the access.
   */
  unmap?(iova: bigint, length: bigint): void;
  /** `needs_pin_pages`: `pinPages` will be used, so mappings have to begin and end at pages. */
  needsPinPages?: boolean;
}

export class Access extends AccessPages implements IovaUser {
  readonly #ops: AccessOps;

  private constructor(context: Context, ops: AccessOps) {
    super(context, {
      alignment: ops.needsPinPages === true ? PAGE_BYTES : 1n,
      canPin: ops.needsPinPages === true && ops.unmap !== undefined,
    });
    this.#ops = ops;
  }

  /**
   * `iommufd_access_create`: attached to nothing. Keeps the context until `release`.
   *
   * @throws KernelError ENOMEM; EBUSY no object id is free; EBADF the context is closed
   */
  static create(context: Context, ops: AccessOps): Access {
    const access = new Access(context, ops);
    context.objects.reserve(access);
    context.get();
    access.users++;
    context.objects.publish(access);
    return access;
  }

  get name(): string {
    return this.label;
  }

  /**
   * `iommufd_access_attach`.
   *
   * @throws KernelError EINVAL it is attached; ENOENT no such address space; EBUSY it is being detached; EADDRINUSE
   *   pages are needed and a mapping does not begin and end at one; ENOMEM. Nothing has changed then
   */
  attach(ioasId: number): void {
    if (this.ioas !== undefined) {
      throw new KernelError(
        'EINVAL',
        this.label,
        `is attached to ${this.ioas.label}`,
        'replace or detach it',
      );
    }
    this.#changeTo(ioasId);
  }

  /**
   * `iommufd_access_replace`: the new address space is there before the old one goes; the same one is fine.
   *
   * @throws KernelError ENOENT it is not attached, or no such address space; else as `attach`
   */
  replace(ioasId: number): void {
    if (this.ioas === undefined) {
      throw new KernelError('ENOENT', this.label, 'is not attached to an address space', 'attach it');
    }
    this.#changeTo(ioasId);
  }

  /**
   * `iommufd_access_detach`: asks for everything to be unpinned. A warning when it is not attached.
   *
   * @throws KernelError EBUSY it is being detached
   */
  detach(): void {
    if (this.ioas === undefined) this.warn('is detached without being attached');
    else this.#changeIoas(undefined);
  }

  /**
   * `iommufd_access_destroy`: detached if need be, and gone.
   *
   * @throws KernelError EBUSY an unmap callback is running; nothing has changed then
   */
  release(): void {
    this.#assertSettled();
    this.context.objects.destroyOwned(this);
  }

  /**
   * As `release`, once callbacks in flight have come back.
   *
   * @param timeoutMs how long to wait, the kernel's 60 s unless told
   * @throws KernelError EBUSY it is being detached, or they did not come back in time; nothing has changed then
   */
  async releaseWhenIdle(timeoutMs?: number): Promise<void> {
    this.#assertSettled();
    await this.context.objects.destroyOwnedWhenIdle(this, timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** `iommufd_access_notify_unmap`, for one user. Only the address space calls it. */
  unmap(iova: bigint, length: bigint): void {
    if (this.users === 0) return;
    using _ = this.context.objects.hold(this);
    this.#ops.unmap?.(iova, length);
  }

  /** `iommufd_access_destroy_object`. */
  override destroy(): void {
    if (this.ioas !== undefined) this.#changeIoas(undefined);
    this.context.put();
  }

  #changeTo(ioasId: number): void {
    using held = this.context.objects.use<Ioas>(ioasId, 'ioas');
    this.#changeIoas(held.object);
  }

  /** `iommufd_access_change_ioas`. */
  #changeIoas(next: Ioas | undefined): void {
    this.#assertSettled();
    const current = this.ioas;
    if (current === next) return;
    if (next !== undefined) {
      next.iovas.addAccess(this, this.alignment);
      next.users++;
    }
    if (current !== undefined) {
      // While the callback runs, nothing can be pinned and everything can be unpinned.
      this.ioas = undefined;
      this.#ops.unmap?.(0n, ULONG_MAX);
      current.iovas.removeAccess(this);
      current.users--;
    }
    this.ioas = next;
    this.unpinFrom = next;
  }

  #assertSettled(): void {
    if (this.ioas !== this.unpinFrom) {
      throw new KernelError('EBUSY', this.label, 'is being detached', 'return from the unmap callback first');
    }
  }
}

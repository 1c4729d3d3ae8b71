/** An I/O address space as user space names it (`struct iommufd_ioas`). */

import { type AccountMode, accountFor } from './account.ts';
import type { Context } from './context.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import { IovaSpace } from './iova-space.ts';
import { IommufdObject } from './object.ts';

export class Ioas extends IommufdObject {
  readonly iovas: IovaSpace;
  /** `hwpt_list`: the page tables that hold what is mapped here, automatic and explicit ones, oldest first. */
  readonly hwpts = new Set<HwptPaging>();

  private constructor(context: Context) {
    super(context, 'ioas');
    const { faults, physical, transparentHugePages } = context.iommufd;
    this.iovas = new IovaSpace({
      owner: this,
      faults,
      physical,
      transparentHugePages,
      account: () => accountFor(context.process, mapAccountMode(context)),
    });
  }

  /**
   * `iommufd_ioas_alloc`: an address space with an id, not yet published.
   *
   * @throws KernelError ENOMEM; EBUSY no id is free
   */
  static alloc(context: Context): Ioas {
    const ioas = new Ioas(context);
    context.objects.reserve(ioas);
    return ioas;
  }

  /** `iommufd_ioas_destroy`: with everything that is mapped. */
  override destroy(): void {
    this.iovas.destroy();
  }
}

/** How `iopt_alloc_pages` and `iopt_map_user_pages` count what is pinned: not at all for who may lock any memory. */
function mapAccountMode(context: Context): AccountMode {
  return context.process.capabilities.has('CAP_IPC_LOCK') ? 'none' : context.accountMode;
}

/** `IOMMU_IOAS_CHANGE_PROCESS` (since 6.14). */

import { KernelError } from '../../kernel/errors.ts';
import { accountFor, type PinAccount } from '../account.ts';
import type { Context } from '../context.ts';
import { Ioas } from '../ioas.ts';
import type { PageSet } from '../page-set.ts';

/** `struct iommu_ioas_change_process`. */
export interface IoasChangeProcessRequest {
  reserved: number;
}

/**
 * `iommufd_ioas_change_process`: what is pinned for any address space of the context is charged to the calling process
 * from now on, each as it was charged before. For a process that hands its devices to its successor: memory of its own
 * would not come along, so everything mapped has to be of files.
 *
 * @throws KernelError EOPNOTSUPP `reserved`; EINVAL memory of a process is mapped; ENOMEM, also where the process may
 *   not lock that many pages. Nothing has changed then
 */
export function ioasChangeProcess(context: Context, request: IoasChangeProcessRequest): void {
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', context.label, 'a reserved field is not 0');
  context.iommufd.faults.step('list of address spaces');
  const sets = mappedPageSets(context);
  const moves: { pages: PageSet; to: PinAccount }[] = [];
  const totals = new Map<PinAccount, number>();
  for (const pages of sets) {
    const to = accountFor(context.process, pages.account.mode);
    if (to === pages.account) continue;
    moves.push({ pages, to });
    totals.set(to, (totals.get(to) ?? 0) + pages.pinnedPages);
  }
  chargeAll(totals);
  for (const { pages, to } of moves) {
    // It is charged in full already; a page set moves its charge itself.
    to.uncharge(pages.pinnedPages);
    pages.moveAccount(to);
  }
}

function mappedPageSets(context: Context): Set<PageSet> {
  const sets = new Set<PageSet>();
  for (const object of context.objects) {
    if (!(object instanceof Ioas)) continue;
    for (const area of object.iovas.settledAreas()) {
      if (area.pages.userAddress !== undefined) {
        throw new KernelError(
          'EINVAL',
          object.label,
          `${area.label} is memory of a process`,
          'map files only',
        );
      }
      sets.add(area.pages);
    }
  }
  return sets;
}

/** `charge_current`: the new process has to be up to all of it before the old one is relieved. */
function chargeAll(totals: ReadonlyMap<PinAccount, number>): void {
  const charged: [PinAccount, number][] = [];
  try {
    for (const [account, pages] of totals) {
      account.charge(pages);
      charged.push([account, pages]);
    }
  } catch (error) {
    for (const [account, pages] of charged) account.uncharge(pages);
    throw error;
  }
}

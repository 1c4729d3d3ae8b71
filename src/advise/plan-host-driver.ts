/** What keeps a driver of the host from a device: the rest of its group being in the hands of vfio. */

import { isVfioDriver } from '../machine/drivers.ts';
import type { PlanGroup, PlanRefusal, PlanReport } from './report.ts';

/**
 * A group has one owner. Once a program has opened it through vfio, the kernel answers EBUSY to a driver that wants
 * its DMA from the kernel; before Linux 5.19 it let the driver in and stopped with a BUG.
 * @param moving devices that the plan takes out of the hands of their drivers first
 */
export function hostDriverRefusals(
  groups: readonly PlanGroup[],
  source: PlanReport['source'],
  moving: readonly string[],
  driver: string,
): PlanRefusal[] {
  if (isVfioDriver(driver)) return [];
  const concerned = groups.filter(({ members }) => members.some(({ device }) => moving.includes(device)));
  return concerned.flatMap(({ id, members }) =>
    members.flatMap(({ device, driver: has }): PlanRefusal[] =>
      moving.includes(device) || !has || !isVfioDriver(has)
        ? []
        : [
            {
              code: 'member-in-use',
              severity: source === 'kernel' ? 'refusal' : 'unknown',
              device,
              what: `${device} of ${source === 'kernel' ? `group ${id}` : 'the same group, as the rules form it,'} is with ${has}; while a program uses it there, the kernel lets ${driver} have no member of the group (and crashes before Linux 5.19).`,
              remedy: `take ${device} back first: ringfence undo, or name it in the same plan`,
            },
          ],
    ),
  );
}

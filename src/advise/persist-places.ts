/** How files that outlive a reboot name a device: by where it is plugged in, or by what it is. */

import type { PciFacts } from '../host/snapshot.ts';
import type { Describer } from './describe.ts';

/** Nothing that a shell, udev or modprobe would read as its own. */
const PLAIN_PATH = /^[A-Za-z0-9:._/-]+$/;

/**
 * The directory below /sys/devices as a pattern in which the bus numbers that bridges get at boot may be any: the
 * root bus and the device and function at each level stay where the card is plugged in.
 * @returns nothing where the path is not known, or holds what has no place in such a file
 */
export function placePattern({ path }: PciFacts): string | undefined {
  if (path === undefined || !PLAIN_PATH.test(path) || path.split('/').includes('..')) return undefined;
  let below = false;
  const steps = path.split('/').map((step) => {
    const address = /^([0-9a-f]{4,8}):[0-9a-f]{2}:([0-9a-f]{2}\.[0-7])$/.exec(step);
    if (address === null) {
      below = false;
      return step;
    }
    // `?` matches one character, so that no level is skipped; the first bus below a host bridge is fixed.
    const pattern = below ? `${address[1]}:??:${address[2]}` : step;
    below = true;
    return pattern;
  });
  return `/devices/${steps.join('/')}`;
}

/** Ids for vfio-pci.ids, and who else has them. */
export interface IdsOf {
  ids: string;
  /** Devices that stay with the host and would be taken too. */
  twins: string[];
}

/**
 * The shortest ids that tell the device from those that stay: vendor and device, with the subsystem where that is
 * what differs.
 */
export function idsOf(
  describer: Describer,
  facts: PciFacts,
  staying: readonly PciFacts[],
): IdsOf | undefined {
  const { vendor, device, subsystemVendor, subsystemDevice } = facts;
  if (vendor === undefined || device === undefined) return undefined;
  const hex = (value: number): string => value.toString(16).padStart(4, '0');
  const same = staying.filter((other) => other.vendor === vendor && other.device === device);
  const short = `${hex(vendor)}:${hex(device)}`;
  if (same.length === 0) return { ids: short, twins: [] };
  const twins = same.filter(
    (other) => other.subsystemVendor === subsystemVendor && other.subsystemDevice === subsystemDevice,
  );
  const known = subsystemVendor !== undefined && subsystemDevice !== undefined && subsystemVendor !== 0;
  if (known && twins.length === 0) {
    return { ids: `${short}:${hex(subsystemVendor)}:${hex(subsystemDevice)}`, twins: [] };
  }
  return { ids: short, twins: (known ? twins : same).map((other) => describer.shortTitle(other.address)) };
}

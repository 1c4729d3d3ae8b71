/** Cards that ids cannot tell from an exported one. */

import type { ExportDevice, ExportInput } from './exporter.ts';

export interface Identical {
  device: ExportDevice;
  /** Addresses of devices with the same ids that are not exported. */
  others: string[];
}

/** @param withSubsystem also compares the maker's ids, which narrow a match where they are known */
export function identicalCards(
  { devices, describer }: Pick<ExportInput, 'devices' | 'describer'>,
  withSubsystem = false,
): Identical[] {
  const exported = new Set(devices.map((device) => device.address));
  const found: Identical[] = [];
  for (const device of devices) {
    const { vendor, device: id, subsystemVendor, subsystemDevice } = device.facts;
    if (vendor === undefined || id === undefined) continue;
    const others = describer.snapshot.devices
      .filter((other) => other.vendor === vendor && other.device === id && !exported.has(other.address))
      .filter(
        (other) =>
          !withSubsystem ||
          (other.subsystemVendor === subsystemVendor && other.subsystemDevice === subsystemDevice),
      )
      .map((other) => other.address);
    if (others.length > 0) found.push({ device, others });
  }
  return found;
}

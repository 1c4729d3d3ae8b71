/** Binds the drivers a snapshot names, so that ownership counts stand as they did. */

import type { Bus } from '../device/bus.ts';
import type { DeviceCore } from '../device/core.ts';
import type { Device } from '../device/device.ts';
import { managesDma } from './drivers.ts';

/** One driver per bus and recorded name, in alphabetical order; each takes the devices recorded with it. */
export function bindRecordedDrivers(core: DeviceCore, bound: ReadonlyMap<Device, string>): void {
  const wanted = new Map<Bus, Set<string>>();
  for (const [device, driver] of bound) {
    if (device.bus === undefined) continue;
    const names = wanted.get(device.bus);
    if (names === undefined) wanted.set(device.bus, new Set([driver]));
    else names.add(driver);
  }
  for (const [bus, names] of wanted) {
    for (const name of [...names].sort()) {
      core.registerDriver({
        name,
        bus,
        driverManagedDma: managesDma(name),
        match: (device) => bound.get(device) === name,
      });
    }
  }
}

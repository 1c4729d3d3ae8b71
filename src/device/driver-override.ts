/** The attribute `driver_override`: the one driver that may have a device. */

import { KernelError } from '../kernel/errors.ts';
import type { Attribute, Kobject } from '../kernel/kobject.ts';
import { type Device, deviceOf } from './device.ts';

/** The file must fit a page with its newline when it is shown. */
const LONGEST = 4096 - 2;

/**
 * `driver_set_override`: text up to the first newline; empty text lifts the override. Does not bind or unbind.
 * @throws KernelError EINVAL for text of a page or more
 */
function setDriverOverride(device: Device, text: string): void {
  if (Buffer.byteLength(text) > LONGEST) {
    throw new KernelError('EINVAL', device.name, `driver_override is longer than ${LONGEST} bytes`);
  }
  const name = text.split('\n', 1)[0];
  device.driverOverride = name === '' ? undefined : name;
}

export const driverOverrideAttribute: Attribute = {
  name: 'driver_override',
  mode: 0o644,
  show: (kobj) => `${ownerOf(kobj).driverOverride ?? '(null)'}\n`,
  store: (kobj, text) => setDriverOverride(ownerOf(kobj), text),
};

function ownerOf(kobj: Kobject): Device {
  const device = deviceOf(kobj);
  if (!device) throw new KernelError('ENODEV', kobj.path, 'is not the directory of a device');
  return device;
}

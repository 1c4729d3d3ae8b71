/**
 * What udev would hear: devices that come, go, bind and change. Kept for the trace; a program inside listens on a
 * netlink socket of the real kernel, which cannot be made to speak, so `udevadm monitor` shows nothing of this.
 */

import type { BusEvent } from '../../device/bus.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Machine } from '../../machine/machine.ts';

/** `enum kobject_action`, as words. */
export type UeventAction = 'add' | 'remove' | 'change' | 'move' | 'online' | 'offline' | 'bind' | 'unbind';

export interface Uevent {
  action: UeventAction;
  /** DEVPATH, from the root of sysfs. */
  path: string;
}

const ACTIONS: ReadonlySet<string> = new Set([
  'add',
  'remove',
  'change',
  'move',
  'online',
  'offline',
  'bind',
  'unbind',
]);
/** A UUID behind the action, and KEY=value after it, are handed on to listeners. */
const SYNTHETIC = /^([a-z]+)(?: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?: [0-9a-z]+=[0-9a-z]+)*)?\n?$/i;

const ACTION_OF: Partial<Record<BusEvent['action'], UeventAction>> = {
  add: 'add',
  removed: 'remove',
  bound: 'bind',
  unbound: 'unbind',
};

export type UeventListener = (event: Uevent) => void;

/** Tells of every device of every bus that has one now. */
export function followUevents(machine: Machine, listener: UeventListener): void {
  const paths = new WeakMap<object, string>();
  const tell = ({ action, device }: BusEvent) => {
    const word = ACTION_OF[action];
    const path = device.kobj?.path ?? paths.get(device);
    if (path !== undefined) paths.set(device, path);
    if (word !== undefined && path !== undefined) listener({ action: word, path });
  };
  machine.core.notifier.register((event) => {
    if (event.action === 'add' || event.action === 'removed') tell(event);
  });
  for (const bus of new Set(machine.pci.devices.flatMap((device) => device.bus ?? []))) {
    bus.notifier.register((event) => {
      if (event.action === 'bound' || event.action === 'unbound') tell(event);
    });
  }
}

/**
 * `kobject_synth_uevent`: what is written to a file `uevent`.
 *
 * @throws KernelError EINVAL
 */
export function parseUevent(text: string, path: string): Uevent {
  const action = SYNTHETIC.exec(text)?.[1];
  if (action === undefined || !ACTIONS.has(action)) {
    throw new KernelError(
      'EINVAL',
      `${path}/uevent`,
      `${JSON.stringify(text)} is no event`,
      'write add or change',
    );
  }
  return { action: action as UeventAction, path };
}

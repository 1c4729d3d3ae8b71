/** An isolation group: devices that are only isolated together (`struct isolation_group`). */

import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { createLinkUnique, Kobject } from '../kernel/kobject.ts';
import type { IsolationDomain } from './domain.ts';
import type { IsolationManager } from './manager.ts';
import type { IsolationIommuOps, IsolationProvider } from './provider.ts';

/** Made by `Isolation.createGroup`; what changes is changed by the isolation core only. */
export class IsolationGroup {
  readonly provider: IsolationProvider;
  readonly #directory: Kobject;
  readonly #devicesDirectory: Kobject;
  /** In order of arrival, each with the name of its link in `devices/`. */
  readonly #members = new Map<Device, string>();
  ops: IsolationIommuOps | undefined;
  domain: IsolationDomain | undefined;
  manager: IsolationManager | undefined;
  /** What the manager lets in. */
  readonly drivers = new Set<Driver>();
  /** Sentences about devices of it that another provider claimed as well. */
  readonly disputes: string[] = [];
  /** The bridge it was consolidated at. */
  bridge: Device | undefined;

  /** @param step called before each thing that can run out of memory; what was made is taken back when it throws */
  constructor(provider: IsolationProvider, name: string, top: Kobject, step: (what: string) => void) {
    this.provider = provider;
    step('group directory');
    this.#directory = new Kobject(name, top);
    try {
      step('devices directory');
      this.#devicesDirectory = new Kobject('devices', this.#directory);
    } catch (error) {
      this.#directory.put();
      throw error;
    }
  }

  /** Of its directory: a UUID unless its provider had a name for it. */
  get name(): string {
    return this.#directory.name;
  }

  /** `/isolation/<name>` */
  get path(): string {
    return this.#directory.path;
  }

  get devices(): Device[] {
    return [...this.#members.keys()];
  }

  get size(): number {
    return this.#members.size;
  }

  has(device: Device): boolean {
    return this.#members.has(device);
  }

  /** A member's link in `devices/`: its name, with `.0`, `.1` … where another member of that name came first. */
  linkName(device: Device): string | undefined {
    return this.#members.get(device);
  }

  /** What messages call it. */
  describe(): string {
    return `isolation group ${this.name}`;
  }

  /** The device's own link to its group. Not yet, or no longer, a member: see `enter`. */
  point(device: Device): void {
    device.kobj?.createLink('isolation_group', this.#directory);
  }

  /** A place in the list, and the link in `devices/`. */
  enter(device: Device): void {
    if (device.kobj)
      this.#members.set(device, createLinkUnique(this.#devicesDirectory, device.name, device.kobj));
  }

  /** Undoes `enter`. */
  leave(device: Device): void {
    const name = this.#members.get(device);
    if (name === undefined) return;
    this.#members.delete(device);
    this.#devicesDirectory.removeLink(name);
  }

  rename(name: string): void {
    this.#directory.rename(name);
  }

  /** The directory goes. */
  remove(): void {
    this.#devicesDirectory.put();
    this.#directory.put();
  }
}

/** Undoes `IsolationGroup.point`. */
export function unpoint(device: Device): void {
  device.kobj?.removeLink('isolation_group');
}

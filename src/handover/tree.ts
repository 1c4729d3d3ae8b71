/**
 * The sysfs that a hand-over reads and writes: the running kernel's, or a directory that behaves like it. Everything
 * above this file is the same for both.
 */

import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Held } from '../advise/plan-steps.ts';
import type { PlanDevice, PlanGroup } from '../advise/report.ts';
import type { Memory } from './memory.ts';

/** What a device is, apart from who has it. */
export type Identity = Pick<PlanDevice, 'path' | 'vendor' | 'device' | 'subsystemVendor' | 'subsystemDevice'>;

export interface HandoverTree {
  /** Real path of the sysfs: `/sys`, or that of a rehearsal. Journals and locks go by it. */
  readonly root: string;
  readonly rehearsal: boolean;
  /** Who has a device; `undefined`: there is no such device. */
  held(device: string): Held | undefined;
  identity(device: string): Identity;
  /** The kernel's group; `null`: none; `undefined`: the tree does not show groups. */
  group(device: string): PlanGroup | null | undefined;
  hasDriver(name: string): boolean;
  /**
   * As write(2) to a file below /sys; returns when the kernel has carried it out.
   * @throws KernelError with the errno the kernel answers
   */
  write(path: string, value: string): void;
  /**
   * Makes sure that the driver is there to be bound.
   * @throws KernelError ENODEV where only loading its module would help
   */
  requireDriver(name: string): void;
  /** What the writes will change and a kernel would not spell as it is spelled here; `undefined`: nothing. */
  remember(devices: readonly string[], drivers: readonly string[]): Memory | undefined;
  /** Puts back the spelling of what is as it was. */
  settle(memory: Memory): void;
}

/** An attribute is a page at most; what is longer is none. */
const LONGEST = 64 * 1024;

/** Reading, which is the same in both. Paths never leave the root, whatever links say. */
export class SysfsView {
  readonly root: string;

  constructor(root: string) {
    this.root = realpathSync(root);
  }

  held(device: string): Held | undefined {
    const dir = this.deviceDirectory(device);
    if (dir === undefined) return undefined;
    const text = readAttribute(join(dir, 'driver_override'))?.split('\n', 1)[0];
    return {
      driver: linkName(join(dir, 'driver')) ?? null,
      override: text === undefined ? undefined : text === '' || text === '(null)' ? null : text,
    };
  }

  identity(device: string): Identity {
    const dir = this.deviceDirectory(device);
    if (dir === undefined) return {};
    const id = (file: string): string | undefined =>
      /^0x([0-9a-f]{4})\b/i.exec(readAttribute(join(dir, file)) ?? '')?.[1]?.toLowerCase();
    const found: [keyof Identity, string | undefined][] = [
      ['path', this.below('devices', dir)],
      ['vendor', id('vendor')],
      ['device', id('device')],
      ['subsystemVendor', id('subsystem_vendor')],
      ['subsystemDevice', id('subsystem_device')],
    ];
    return Object.fromEntries(found.filter(([, value]) => value !== undefined));
  }

  group(device: string): PlanGroup | null | undefined {
    if (!existsSync(join(this.root, 'kernel/iommu_groups'))) return undefined;
    const dir = this.deviceDirectory(device);
    const name = dir && linkName(join(dir, 'iommu_group'));
    if (name === undefined || !/^\d{1,9}$/.test(name)) return null;
    const names = list(join(this.root, 'kernel/iommu_groups', name, 'devices'));
    const members = names.map((member) => {
      const held = this.held(member);
      return { device: member, ...(held !== undefined && { driver: held.driver }) };
    });
    return { id: Number(name), members };
  }

  hasDriver(name: string): boolean {
    return this.driverDirectory(name) !== undefined;
  }

  /** Real directory of a device; `undefined` where it is missing or lies outside of the tree. */
  deviceDirectory(device: string): string | undefined {
    return this.directory(`bus/pci/devices/${device}`);
  }

  driverDirectory(name: string): string | undefined {
    return this.directory(`bus/pci/drivers/${name}`);
  }

  /** `pci0000:00/0000:00:02.0` of a directory below `devices`. */
  below(top: string, dir: string): string | undefined {
    const prefix = `${this.root}/${top}/`;
    return dir.startsWith(prefix) ? dir.slice(prefix.length) : undefined;
  }

  /** Where a path below the root really lies; `undefined` where that is no directory, or outside. */
  protected directory(path: string): string | undefined {
    try {
      const real = realpathSync(join(this.root, path));
      return real.startsWith(`${this.root}/`) && lstatSync(real).isDirectory() ? real : undefined;
    } catch {
      return undefined;
    }
  }
}

export function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

/** Content of a regular file, no link followed; a character a byte, so that it can be put back as it was. */
export function readAttribute(file: string): string | undefined {
  try {
    const stat = lstatSync(file);
    return stat.isFile() && stat.size <= LONGEST ? readFileSync(file, 'latin1') : undefined;
  } catch {
    return undefined;
  }
}

/** Last name in the target of a link. */
export function linkName(path: string): string | undefined {
  const target = linkText(path);
  return target === undefined ? undefined : basename(target);
}

export function linkText(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/**
 * A directory that holds a copy of sysfs, where each write has the effect the kernel would give it: links between
 * device and driver come and go, the override's text changes, `uevent` names the driver. What a driver does with its
 * device (network interfaces, interrupts, power) is not played.
 */

import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { type Held, parseWrite, type Write } from '../advise/plan-steps.ts';
import { fullAddress } from '../host/host-tree.ts';
import { type ErrnoName, KernelError } from '../kernel/errors.ts';
import { isVfioDriver, managesDma } from '../machine/drivers.ts';
import { asKernelError } from './live-tree.ts';
import type { DeviceMemory, Memory } from './memory.ts';
import { type HandoverTree, linkText, list, readAttribute, SysfsView } from './tree.ts';

/** `driver_set_override` wants room for a newline in the page. */
const LONGEST_OVERRIDE = 4096 - 2;
/** Offset in configuration space. */
const HEADER_TYPE = 0x0e;
/** Drivers without an id table: they take what an override, or an id added at run time, gives them. */
const TAKES_NOTHING_BY_ID = new Set(['vfio-pci', 'pci-stub', 'uio_pci_generic', 'xen-pciback', 'pciback']);

export interface RehearsalOptions {
  /**
   * Every group with a member that vfio has counts as claimed by a program. A tree does not show which are; a kernel
   * answers EBUSY there to drivers that do not manage their DMA.
   */
  vfioClaims?: boolean;
}

export class RehearsalTree extends SysfsView implements HandoverTree {
  readonly rehearsal = true;
  readonly #vfioClaims: boolean;

  constructor(root: string, { vfioClaims = false }: RehearsalOptions = {}) {
    super(root);
    this.#vfioClaims = vfioClaims;
  }

  write(path: string, value: string): void {
    const text = value.split('\n', 1)[0]!;
    try {
      if (path.endsWith('/driver_override')) this.#override(path, value, text);
      else this.#bindOrUnbind(path, text);
    } catch (error) {
      throw asKernelError(error, path);
    }
  }

  requireDriver(name: string): void {
    if (this.hasDriver(name)) return;
    // As if modprobe had been run: there is no kernel here to run it on.
    for (const folder of ['bus/pci/drivers', `bus/pci/drivers/${name}`]) {
      if (this.directory(folder) !== undefined) continue;
      try {
        mkdirSync(join(this.root, folder));
      } catch (error) {
        throw asKernelError(error, `/sys/${folder}`);
      }
    }
  }

  remember(devices: readonly string[], drivers: readonly string[]): Memory {
    const folders = ['bus/pci/drivers', ...drivers.map((driver) => `bus/pci/drivers/${driver}`)];
    return {
      devices: Object.fromEntries(devices.map((device) => [device, this.#deviceMemory(device)])),
      missing: [...new Set(folders)].filter((folder) => !existsSync(join(this.root, folder))),
    };
  }

  settle(memory: Memory): void {
    for (const [device, was] of Object.entries(memory.devices)) this.#settleDevice(device, was);
    for (const folder of [...memory.missing].reverse()) {
      try {
        rmdirSync(join(this.root, folder));
      } catch {
        // Somebody else's device is in it now, or it has gone already.
      }
    }
  }

  #override(path: string, value: string, text: string): void {
    const device = path.slice('/sys/bus/pci/devices/'.length, -'/driver_override'.length);
    const dir = this.deviceDirectory(device);
    const file = dir && join(dir, 'driver_override');
    if (file === undefined || readAttribute(file) === undefined)
      throw refusal('ENOENT', path, 'no such file');
    if (Buffer.byteLength(value) > LONGEST_OVERRIDE) throw refusal('EINVAL', path, 'the text is too long');
    rewrite(file, `${text === '' ? '(null)' : text}\n`);
  }

  #bindOrUnbind(path: string, device: string): void {
    const write = parseWrite(path, device);
    // A name that is no PCI address is one no device has.
    if (write === undefined || write.kind === 'override') {
      const known = /^\/sys\/bus\/pci\/(drivers_probe|drivers\/([^/]+)\/(?:un)?bind)$/.exec(path);
      const driver = known?.[2];
      const there = known !== null && (driver === undefined || this.hasDriver(driver));
      throw there
        ? refusal('ENODEV', device, 'is not a device on bus pci')
        : refusal('ENOENT', path, 'no such file');
    }
    const driver = write.kind === 'probe' ? undefined : this.driverDirectory(write.driver);
    if (write.kind !== 'probe' && driver === undefined) throw refusal('ENOENT', path, 'no such file');
    const held = this.held(device);
    if (held === undefined) throw refusal('ENODEV', device, 'is not a device on bus pci');
    if (write.kind === 'unbind') this.#unbind(write, held);
    else if (write.kind === 'bind') this.#bind(write, held);
    else this.#probe(device, held);
  }

  #unbind({ device, driver }: Write & { kind: 'unbind' }, held: Held): void {
    if (held.driver !== driver) throw refusal('ENODEV', device, `is not bound to ${driver}`);
    removeLink(join(this.driverDirectory(driver)!, device));
    removeLink(join(this.deviceDirectory(device)!, 'driver'));
    this.#tellDriver(device, undefined);
  }

  #bind({ device, driver }: Write & { kind: 'bind' }, held: Held): void {
    const matches = held.override ? held.override === driver : !TAKES_NOTHING_BY_ID.has(driver);
    if (!matches) throw refusal('ENODEV', device, `is not a device for driver ${driver}`);
    if (held.driver !== null) throw refusal('EBUSY', device, `is already bound to ${held.driver}`);
    const owned = this.#claimed(device, driver);
    if (owned !== undefined) throw refusal('EBUSY', device, owned);
    const problem = this.#probeProblem(device, driver);
    if (problem !== undefined) throw refusal('EINVAL', device, problem);
    this.#linkToDriver(device, driver);
  }

  /**
   * What a probe fails with is not told here. Without an override the kernel would go by the drivers' id tables, which
   * no recording has: nobody takes it.
   */
  #probe(device: string, held: Held): void {
    if (held.driver !== null || !held.override || !this.hasDriver(held.override)) return;
    if (this.#claimed(device, held.override) !== undefined) return;
    if (this.#probeProblem(device, held.override) === undefined) this.#linkToDriver(device, held.override);
  }

  /** `iommu_device_use_default_domain` */
  #claimed(device: string, driver: string): string | undefined {
    if (!this.#vfioClaims || managesDma(driver) || isVfioDriver(driver)) return undefined;
    const group = this.group(device);
    const owner = group?.members.find(
      (member) => member.device !== device && member.driver && isVfioDriver(member.driver),
    );
    return owner && `group ${group!.id} belongs to ${owner.driver} through ${owner.device}`;
  }

  /** Why the driver's own probe would fail, as far as that is known. */
  #probeProblem(device: string, driver: string): string | undefined {
    if (!isVfioDriver(driver)) return undefined;
    if (this.#isBridge(this.deviceDirectory(device)!)) return `${driver} takes no bridges`;
    if (this.group(device) === null && !this.#groupsWhenBound()) return 'is in no IOMMU group';
    return undefined;
  }

  /** `driver_sysfs_add` and `driver_bound`. */
  #linkToDriver(device: string, driver: string): void {
    const dir = this.deviceDirectory(device)!;
    const folder = this.driverDirectory(driver)!;
    putLink(join(folder, device), relative(folder, dir));
    putLink(join(dir, 'driver'), relative(dir, folder));
    this.#tellDriver(device, driver);
  }

  #isBridge(dir: string): boolean {
    const header = readAttribute(join(dir, 'config'))?.charCodeAt(HEADER_TYPE);
    return header !== undefined && (header & 0x7f) !== 0;
  }

  /** virtio-iommu, whose instances are named after PCI functions, forms a group when a driver binds. */
  #groupsWhenBound(): boolean {
    return list(join(this.root, 'class/iommu')).some((name) => fullAddress(name) !== undefined);
  }

  #tellDriver(device: string, driver: string | undefined): void {
    const file = join(this.deviceDirectory(device)!, 'uevent');
    const text = readAttribute(file);
    if (text === undefined) return;
    const rest = text.replace(/^DRIVER=.*\n/gm, '');
    rewrite(file, driver === undefined ? rest : `DRIVER=${driver}\n${rest}`);
  }

  #deviceMemory(device: string): DeviceMemory {
    const dir = this.deviceDirectory(device);
    const driver = dir && linkText(join(dir, 'driver'));
    const override = dir && readAttribute(join(dir, 'driver_override'));
    const uevent = dir && readAttribute(join(dir, 'uevent'));
    return {
      ...(driver !== undefined && { driver }),
      listedBy: this.#driversListing(device),
      ...(override !== undefined && { override }),
      ...(uevent !== undefined && { uevent }),
    };
  }

  #driversListing(device: string): string[] {
    return list(join(this.root, 'bus/pci/drivers')).filter((name) => {
      const folder = this.driverDirectory(name);
      return folder !== undefined && linkText(join(folder, device)) !== undefined;
    });
  }

  #settleDevice(device: string, was: DeviceMemory): void {
    const dir = this.deviceDirectory(device);
    const held = this.held(device);
    if (dir === undefined || held === undefined) return;
    const driver = was.driver?.slice(was.driver.lastIndexOf('/') + 1) ?? null;
    if (held.driver === driver) {
      if (was.driver !== undefined) putLink(join(dir, 'driver'), was.driver);
      this.#settleListing(device, dir, was.listedBy);
      if (was.uevent !== undefined) rewriteWhereOther(join(dir, 'uevent'), was.uevent);
    }
    const text = was.override?.split('\n', 1)[0];
    const override = text === '' || text === '(null)' ? null : text;
    if (was.override !== undefined && held.override === override) {
      rewriteWhereOther(join(dir, 'driver_override'), was.override);
    }
  }

  #settleListing(device: string, dir: string, wanted: readonly string[]): void {
    const listed = this.#driversListing(device);
    for (const name of new Set([...listed, ...wanted])) {
      const folder = this.driverDirectory(name);
      if (folder === undefined) continue;
      if (wanted.includes(name)) putLink(join(folder, device), relative(folder, dir));
      else removeLink(join(folder, device));
    }
  }
}

function refusal(code: ErrnoName, object: string, problem: string): KernelError {
  return new KernelError(code, object, problem);
}

/** A link with this text; what a killed run left there is replaced, a file or folder is not. */
function putLink(path: string, target: string): void {
  const there = linkText(path);
  if (there === target) return;
  if (there !== undefined) unlinkSync(path);
  symlinkSync(target, path);
}

function removeLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(path);
}

function rewriteWhereOther(file: string, text: string): void {
  const now = readAttribute(file);
  if (now !== undefined && now !== text) rewrite(file, text);
}

/** In place and longest first: whenever it is cut short, the first line is either the old one or the new one. */
function rewrite(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const bytes = Buffer.from(text, 'latin1');
    writeSync(fd, bytes, 0, bytes.length, 0);
    ftruncateSync(fd, bytes.length);
  } finally {
    closeSync(fd);
  }
}

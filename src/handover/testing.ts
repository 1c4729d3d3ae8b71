/** Trees, disks and deaths for the tests of this room. Nothing here goes near the machine's own /sys. */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { checkPlan } from '../advise/plan-file.ts';
import { stepsOf } from '../advise/plan-steps.ts';
import type { PlanReport } from '../advise/report.ts';
import { Bus } from '../device/bus.ts';
import { DeviceCore } from '../device/core.ts';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import type { JournalDisk, JournalFile } from './journal-disk.ts';
import type { Store } from './live-tree.ts';
import type { HandoverTree } from './tree.ts';

const MACHINES = new URL('../../test/fixtures/machines', import.meta.url).pathname;

/** Folders that go when the test file ends. */
export class Scratch {
  readonly root: string = mkdtempSync(join(tmpdir(), 'ringfence-handover-'));
  #count = 0;

  folder(): string {
    const path = join(this.root, String(++this.#count));
    mkdirSync(path);
    return path;
  }

  /** A recorded machine, unpacked; holds `sys` and `proc`. */
  machine(name: string): string {
    const path = this.folder();
    execFileSync('tar', ['xzf', join(MACHINES, `${name}.tar.gz`), '-C', path]);
    return path;
  }

  clear(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Gives a device of a tree to a driver, with everything a running kernel shows of that. */
export function giveTo(tree: string, device: string, driver: string | null): void {
  const sys = join(tree, 'sys');
  const link = join(sys, 'bus/pci/devices', device);
  const dir = join(link, '..', readlinkSync(link));
  rmSync(join(dir, 'driver'), { force: true });
  const drivers = join(sys, 'bus/pci/drivers');
  for (const name of existsSync(drivers) ? readdirSync(drivers) : []) {
    rmSync(join(drivers, name, device), { force: true });
  }
  const uevent = readFileSync(join(dir, 'uevent'), 'utf8').replace(/^DRIVER=.*\n/m, '');
  writeFileSync(join(dir, 'uevent'), driver === null ? uevent : `DRIVER=${driver}\n${uevent}`);
  if (driver === null) return;
  const folder = join(drivers, driver);
  mkdirSync(folder, { recursive: true });
  symlinkSync(relative(dir, folder), join(dir, 'driver'));
  symlinkSync(relative(folder, dir), join(folder, device));
}

/** Every name below a folder with what it is: bytes, link or directory. */
export function contents(root: string): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const at = path === '' ? name : `${path}/${name}`;
      const stat = lstatSync(join(root, at));
      if (stat.isSymbolicLink()) found.set(at, `link ${readlinkSync(join(root, at))}`);
      else if (stat.isDirectory()) {
        found.set(at, 'directory');
        walk(at);
      } else found.set(at, `file ${readFileSync(join(root, at), 'latin1')}`);
    }
  };
  walk('');
  return found;
}

/** The plan that gives some devices of a tree to a driver. */
export function planOf(tree: HandoverTree, devices: readonly string[], driver = 'vfio-pci'): PlanReport {
  const taken = devices.map((address) => {
    const { driver: has, override } = tree.held(address)!;
    const before = { driver: has, ...(override !== undefined && { override }) };
    return { address, role: 'named' as const, ...tree.identity(address), before };
  });
  const groups = taken.map(({ address }) => tree.group(address)).filter((group) => group != null);
  return checkPlan(
    {
      report: 'plan',
      version: 1,
      host: {},
      driver,
      devices: taken,
      source: 'kernel',
      groups: [...new Map(groups.map((group) => [group.id, group])).values()],
      commands: [],
      steps: stepsOf(taken, driver),
      left: [],
      questions: [],
      refusals: [],
      unknown: [],
      notes: [],
    },
    'plan',
  );
}

/** The process is gone: nothing it would do after this happens. */
export class Kill extends Error {}

/** Counts what a process does to the world, and ends it at one of those points. */
export class Life {
  #left: number;
  #dead = false;
  /** Points that were passed. */
  passed = 0;

  /** @param points it lives through; the next one kills */
  constructor(points: number = Number.POSITIVE_INFINITY) {
    this.#left = points;
  }

  point(): void {
    if (this.#dead || this.#left-- <= 0) {
      this.#dead = true;
      throw new Kill();
    }
    this.passed++;
  }
}

/** A tree in the hands of a process that may die before or after each write, and may have one fail. */
export class MortalTree implements HandoverTree {
  readonly #tree: HandoverTree;
  readonly #life: Life;
  readonly #fails: (write: number) => boolean;
  #writes = 0;

  constructor(tree: HandoverTree, life: Life, fails: (write: number) => boolean = () => false) {
    this.#tree = tree;
    this.#life = life;
    this.#fails = fails;
  }

  get root(): string {
    return this.#tree.root;
  }

  get rehearsal(): boolean {
    return this.#tree.rehearsal;
  }

  get writes(): number {
    return this.#writes;
  }

  held(device: string): ReturnType<HandoverTree['held']> {
    return this.#tree.held(device);
  }

  identity(device: string): ReturnType<HandoverTree['identity']> {
    return this.#tree.identity(device);
  }

  group(device: string): ReturnType<HandoverTree['group']> {
    return this.#tree.group(device);
  }

  hasDriver(name: string): boolean {
    return this.#tree.hasDriver(name);
  }

  write(path: string, value: string): void {
    this.#life.point();
    if (this.#fails(++this.#writes)) throw new KernelError('EBUSY', path, 'told to fail');
    this.#tree.write(path, value);
    this.#life.point();
  }

  requireDriver(name: string): void {
    this.#life.point();
    this.#tree.requireDriver(name);
  }

  remember(devices: readonly string[], drivers: readonly string[]): ReturnType<HandoverTree['remember']> {
    return this.#tree.remember(devices, drivers);
  }

  settle(memory: Parameters<HandoverTree['settle']>[0]): void {
    this.#life.point();
    this.#tree.settle(memory);
    this.#life.point();
  }
}

/**
 * Journals in memory. What was appended and not synced is lost when the process dies, or only its beginning is kept;
 * and the disk may be full.
 */
export class MortalDisk implements JournalDisk {
  readonly files: Map<number, string>;
  readonly #life: Life;
  readonly #kept: 'all' | 'none' | 'half';
  /** Bytes that still fit. */
  room: number = Number.POSITIVE_INFINITY;

  constructor(
    life: Life = new Life(),
    files: Map<number, string> = new Map(),
    kept: 'all' | 'none' | 'half' = 'all',
  ) {
    this.#life = life;
    this.files = files;
    this.#kept = kept;
  }

  ids(): number[] {
    return [...this.files.keys()].sort((a, b) => a - b);
  }

  read(id: number): string {
    return this.files.get(id)!;
  }

  create(id: number): JournalFile {
    this.#life.point();
    this.files.set(id, '');
    return this.open(id);
  }

  open(id: number): JournalFile {
    let unsynced = '';
    return {
      append: (text) => {
        this.#life.point();
        const synced = this.files.get(id)!;
        const whole = synced !== '' && !synced.endsWith('\n') ? `\n${text}` : text;
        const fits = whole.slice(0, this.room);
        this.room -= fits.length;
        const kept = { all: fits, none: '', half: fits.slice(0, fits.length >> 1) }[this.#kept];
        this.files.set(id, synced + kept);
        unsynced = fits.slice(kept.length);
        if (fits.length < whole.length) {
          this.files.set(id, synced + fits);
          throw new KernelError('ENOSPC', `journal ${id}`, 'no space left');
        }
        this.#life.point();
      },
      sync: () => {
        this.#life.point();
        this.files.set(id, this.files.get(id)! + unsynced);
        unsynced = '';
        this.#life.point();
      },
      close: () => {},
    };
  }
}

/** A driver without an id table takes only what an override gives it. */
const BY_OVERRIDE_ONLY = new Set(['vfio-pci']);

/**
 * The model's device core behind the files of a tree: what a kernel would answer to each write and make of it, worked
 * out by other code than the rehearsal's.
 */
export function modelKernel(tree: string): Store {
  const root = join(tree, 'sys');
  const sysfs = new Sysfs();
  const core = new DeviceCore(sysfs);
  const bus = new Bus({ name: 'pci', driverOverride: true });
  core.addBus(bus);
  bus.driversAutoprobe = false;
  const bridges = new Set<string>();
  const devices = readdirSync(join(root, 'bus/pci/devices')).map((name) => {
    const device = new Device({ name, bus });
    core.addDevice(device);
    const at = join(root, 'bus/pci/devices', name);
    if ((readFileSync(join(at, 'config'))[0x0e]! & 0x7f) !== 0) bridges.add(name);
    const override = readFileSync(join(at, 'driver_override'), 'utf8').trim();
    if (override !== '(null)') device.driverOverride = override;
    return device;
  });
  for (const name of readdirSync(join(root, 'bus/pci/drivers'))) {
    core.registerDriver({
      name,
      bus,
      match: () => !BY_OVERRIDE_ONLY.has(name),
      probe: (device) => {
        if (name === 'vfio-pci' && bridges.has(device.name)) {
          throw new KernelError('EINVAL', device.name, 'is a bridge');
        }
      },
    });
  }
  for (const device of devices) {
    const at = join(root, 'bus/pci/devices', device.name, 'driver');
    if (!existsSync(at)) continue;
    const name = readlinkSync(at).split('/').at(-1)!;
    const override = device.driverOverride;
    device.driverOverride = name;
    core.bind(device, bus.findDriver(name)!);
    device.driverOverride = override;
  }
  return (file, value) => {
    try {
      sysfs.write(file.slice(root.length), value);
    } finally {
      for (const device of devices) show(tree, device);
    }
  };
}

/** What the model has on a device, as files. */
function show(tree: string, device: Device): void {
  const at = join(tree, 'sys/bus/pci/devices', device.name);
  const shown = existsSync(join(at, 'driver')) ? readlinkSync(join(at, 'driver')).split('/').at(-1)! : null;
  const driver = device.driver?.name ?? null;
  if (shown !== driver) giveTo(tree, device.name, driver);
  writeFileSync(join(at, 'driver_override'), `${device.driverOverride ?? '(null)'}\n`);
}

/**
 * The simulated /sys: the model's own directories, links and files, and around them everything else that the
 * directories of a kernel show. Three sources, the first that has an answer: what the model decides, what the tree
 * behind --host shows, what the facts of the snapshot say.
 */

import { availableParallelism } from 'node:os';
import type { Bus } from '../../device/bus.ts';
import type { HostTree } from '../../host/host-tree.ts';
import type { Vfio } from '../../iommufd/vfio/vfio.ts';
import { KernelError } from '../../kernel/errors.ts';
import { type Attribute, Kobject, Link } from '../../kernel/kobject.ts';
import { relativePath } from '../../kernel/sysfs.ts';
import type { Machine } from '../../machine/machine.ts';
import { ConfigRegisters } from './config-registers.ts';
import { recordedDirectory, type ViewContext } from './context.ts';
import { PciDrivers } from './drivers.ts';
import { type Credentials, link, type ViewDirectory, type ViewEntry, type ViewFile } from './entry.ts';
import { followUevents, type UeventListener } from './events.ts';
import { FactsByAddress } from './facts-by-address.ts';
import { HotPlug } from './hot-plug.ts';
import { assertPresent, entriesOf } from './kobject-entries.ts';
import { RecordedTree } from './recorded-tree.ts';
import { textFile } from './text-file.ts';
import { VFIO_GROUPS } from './vfio-entries.ts';
import { VirtualFunctions } from './virtual-functions.ts';

export interface SimulatedSysfsInit {
  machine: Machine;
  /** Gets the devices that vfio-pci and its variants have; without it they only bind. */
  vfio?: Vfio;
  /** The tree behind --host, if that is one: must not lead into the simulated /sys itself. */
  tree?: HostTree;
  /** Told what udev would hear. */
  onEvent?: UeventListener;
  /** Processors of the machine; those there are unless told. */
  cpus?: number;
}

/** Directories that are there on every kernel, with or without something in them. */
const ALWAYS = ['/class/iommu', '/class/pci_bus', '/kernel/iommu_groups', '/devices/virtual'];
const WITH_VFIO = ['/class/vfio', '/class/vfio-dev', VFIO_GROUPS];

const ROOT: Credentials = { admin: true };

export class SimulatedSysfs {
  readonly root: ViewDirectory;
  readonly #context: ViewContext;
  readonly #directories = new WeakMap<Kobject, ViewDirectory>();

  /** Puts the machine's PCI drivers in their places: `vfio` must know no device of it yet. */
  constructor(init: SimulatedSysfsInit) {
    const { machine, vfio } = init;
    const onEvent = init.onEvent ?? (() => {});
    this.#context = makeContext(init, onEvent);
    for (const path of [...ALWAYS, ...(vfio === undefined ? [] : WITH_VFIO)]) machine.sysfs.makePath(path);
    if (Object.keys(machine.snapshot.acpi).length > 0) machine.sysfs.makePath('/firmware/acpi/tables');
    const bus = pciBusOf(machine);
    if (bus !== undefined) this.#context.drivers.settle(bus);
    followUevents(machine, onEvent);
    this.root = this.#directory(machine.sysfs.root);
  }

  /**
   * What a path leads to; links on the way are followed, one at its end is not.
   *
   * @param path from the root of sysfs, `/bus/pci/devices`
   * @throws KernelError ELOOP
   */
  lookup(path: string): ViewEntry | undefined {
    return this.#walk(path, false);
  }

  #walk(path: string, follow: boolean): ViewEntry | undefined {
    const left = segments(path).reverse();
    let trail: ViewDirectory[] = [this.root];
    let links = 0;
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (name === '.') continue;
      if (name === '..') {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const entry = trail.at(-1)!.entry(name);
      if (entry?.kind === 'directory') trail.push(entry);
      else if (entry === undefined) return undefined;
      else if (entry.kind === 'file') return left.length === 0 ? entry : undefined;
      else if (left.length === 0 && !follow) return entry;
      else {
        if (++links > 40) throw new KernelError('ELOOP', path, 'leads through more than 40 symbolic links');
        if (entry.target.startsWith('/')) trail = [this.root];
        left.push(...segments(entry.target).reverse());
      }
    }
    return trail.at(-1);
  }

  /** @throws KernelError ENOENT, ENOTDIR */
  list(path: string): string[] {
    const entry = this.#followed(path);
    if (entry.kind !== 'directory') throw new KernelError('ENOTDIR', path, 'is not a directory');
    return [...entry.names()].sort();
  }

  /** @throws KernelError ENOENT, EINVAL it is no link */
  readlink(path: string): string {
    const entry = this.lookup(path);
    if (entry === undefined) throw new KernelError('ENOENT', path, 'no such file or directory');
    if (entry.kind !== 'link') throw new KernelError('EINVAL', path, 'is not a symbolic link');
    return entry.target;
  }

  /** A whole file. @throws KernelError ENOENT, EISDIR, or what the file answers */
  read(path: string, credentials: Credentials = ROOT): Uint8Array {
    const file = this.#file(path).open(credentials);
    const pieces: Uint8Array[] = [];
    let offset = 0;
    for (let piece = file.read(0, 4096); piece.length > 0; piece = file.read(offset, 4096)) {
      pieces.push(piece.slice());
      offset += piece.length;
    }
    return Buffer.concat(pieces);
  }

  readText(path: string, credentials?: Credentials): string {
    return Buffer.from(this.read(path, credentials)).toString();
  }

  /** One write. @throws KernelError ENOENT, EISDIR, or what the file answers */
  write(path: string, content: string | Uint8Array, offset = 0, credentials: Credentials = ROOT): number {
    return this.#file(path).open(credentials).write(offset, Buffer.from(content));
  }

  #file(path: string): ViewFile {
    const entry = this.#followed(path);
    if (entry.kind !== 'file') throw new KernelError('EISDIR', path, 'is a directory');
    return entry;
  }

  #followed(path: string): ViewDirectory | ViewFile {
    const entry = this.#walk(path, true);
    if (entry === undefined || entry.kind === 'link') {
      throw new KernelError('ENOENT', path, 'no such file or directory');
    }
    return entry;
  }

  #directory(kobj: Kobject): ViewDirectory {
    const known = this.#directories.get(kobj);
    if (known !== undefined) return known;
    const directory: ViewDirectory = {
      kind: 'directory',
      get path() {
        return kobj.path;
      },
      identity: kobj,
      names: () => this.#names(kobj),
      entry: (name) => this.#entry(kobj, name),
    };
    this.#directories.set(kobj, directory);
    return directory;
  }

  #names(kobj: Kobject): Iterable<string> {
    if (!kobj.inSysfs) return [];
    return new Set([...kobj.names(), ...entriesOf(kobj, this.#context).names()]);
  }

  #entry(kobj: Kobject, name: string): ViewEntry | undefined {
    if (!kobj.inSysfs) return undefined;
    const own = kobj.entry(name);
    if (own === undefined) return entriesOf(kobj, this.#context).entry(name);
    if (own instanceof Kobject) return this.#directory(own);
    if (own instanceof Link) return link(relativePath(kobj.path, own.target.path));
    return attributeFile(kobj, own);
  }
}

function attributeFile(kobj: Kobject, { name, mode, show, store }: Attribute): ViewFile {
  return textFile({
    name: `${kobj.path}/${name}`,
    mode,
    ...(show !== undefined && {
      show: () => {
        assertPresent(kobj);
        return show(kobj);
      },
    }),
    ...(store !== undefined && {
      store: (text) => {
        assertPresent(kobj);
        store(kobj, text);
      },
    }),
  });
}

function makeContext({ machine, vfio, tree, cpus }: SimulatedSysfsInit, tell: UeventListener): ViewContext {
  const recorded = new RecordedTree(tree);
  const facts = new FactsByAddress(machine);
  const registers = new ConfigRegisters(machine, facts);
  const recordedNumber = (path: string): number | undefined => {
    const text = recorded.text(path);
    return text !== undefined && /^\d{1,5}\n?$/.test(text) ? Number(text) : undefined;
  };
  const written: ViewContext['written'] = new WeakMap();
  const virtualFunctions: VirtualFunctions = new VirtualFunctions({
    machine,
    facts,
    registers,
    totalOf: (device, offered) =>
      recordedNumber(`${recordedDirectory(device, facts)}/sriov_totalvfs`) ?? offered,
    configures: (driver) => drivers.configuresSriov(driver),
  });
  const drivers = new PciDrivers({
    machine,
    vfio,
    facts,
    registers,
    names: recorded.names('/bus/pci/drivers'),
    autoprobesVirtual: (device) => written.get(device)?.get('sriov_drivers_autoprobe') !== '0\n',
    released: (device) => virtualFunctions.disable(device),
  });
  return {
    machine,
    vfio,
    recorded,
    facts,
    registers,
    drivers,
    virtualFunctions,
    hotPlug: new HotPlug(machine),
    cpus: cpus ?? availableParallelism(),
    written,
    settings: new Map(),
    tell,
  };
}

function pciBusOf(machine: Machine): Bus | undefined {
  return machine.pci.devices[0]?.bus;
}

function segments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** The simulated machine with everything that programs meet it through, and the tree that is mounted for them. */

import { DirectoryTree } from '../host/directory-tree.ts';
import type { HostTree } from '../host/host-tree.ts';
import { readHost } from '../host/read-host.ts';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { Iommufd } from '../iommufd/iommufd.ts';
import { Vfio } from '../iommufd/vfio/vfio.ts';
import { boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import { Callers } from './callers.ts';
import { DescriptorCalls } from './descriptor-calls.ts';
import { DeviceNodes, kernelFileOf } from './device-nodes.ts';
import { FailNth } from './fail-nth.ts';
import type { TreeDirectory, TreeEntry, TreeHandle } from './fuse/tree.ts';
import { type KeptEntries, keptBeside } from './kept-real.ts';
import { Memories } from './memory/memories.ts';
import { FSTAB, fstab } from './namespace.ts';
import { readStatus } from './proc-files.ts';
import { deviceTree, fixedDirectory, SysfsTree } from './served-tree.ts';
import { SimulatedSysfs } from './sysfs/view.ts';
import type { TraceLog } from './trace-log.ts';

export interface GuestMachineInit {
  /** As `--host`. */
  host: string | undefined;
  policy: string | undefined;
  /** Adds the devices of the kernel's iommufd selftest. */
  selftest: boolean;
  /** Descriptors through which the real /sys, and `host` where it is a directory, are reached once /sys is covered. */
  realSys: number;
  hostDirectory: number | undefined;
  kept: { sys: KeptEntries; dev: KeptEntries };
  launcher: string | undefined;
  noDescriptors: string | undefined;
  log: TraceLog;
  called(name: string | undefined): void;
  /** What a write to the control file asks for. */
  control(text: string): void;
  openWithNumber(ino: bigint): readonly TreeHandle[];
}

export class GuestMachine {
  readonly machine: Machine;
  readonly iommufd: Iommufd;
  readonly sysfs: SimulatedSysfs;
  readonly memories: Memories;
  readonly root: TreeDirectory;
  readonly #callers: Callers;

  private constructor(init: GuestMachineInit, machine: Machine, tree: HostTree | undefined) {
    const { log } = init;
    this.machine = machine;
    const physical = new PhysicalMemory();
    this.iommufd = new Iommufd({
      iommu: machine.iommu,
      physical,
      ...(init.selftest && { selftest: machine.core }),
    });
    const vfio = new Vfio(this.iommufd);
    this.sysfs = new SimulatedSysfs({
      machine,
      vfio,
      onEvent: ({ action, path }) => log.remark(`${action} ${path}`),
      ...(tree !== undefined && { tree }),
    });
    this.memories = new Memories(physical, { report: (text) => log.remark(text) });
    this.#callers = new Callers({
      memories: this.memories,
      openWithNumber: (ino) => init.openWithNumber(ino).flatMap((handle) => kernelFileOf(handle) ?? []),
    });
    const shows = (path: string) => this.sysfs.lookup(path) !== undefined;
    const kept = { sys: keptBeside(init.kept.sys, shows), dev: init.kept.dev };
    this.root = this.#tree({ ...init, kept }, vfio);
  }

  /** @throws InputError the host cannot be read, or there is no such policy */
  static async boot(init: GuestMachineInit): Promise<GuestMachine> {
    let tree: HostTree | undefined;
    const snapshot = await readHost(init.host, {
      keepTree: (kept) => {
        tree = kept;
      },
    });
    const machine = boot(snapshot, init.policy === undefined ? {} : { policy: init.policy });
    return new GuestMachine(init, machine, tree && uncovered(tree, init));
  }

  /** Every context and pin is given back. @throws KernelError EBUSY listing what is left */
  assertNothingLeft(): void {
    this.iommufd.assertNothingLeft();
  }

  close(): void {
    this.#callers.close();
    this.memories.close();
  }

  #tree(init: GuestMachineInit, vfio: Vfio): TreeDirectory {
    const { log, kept } = init;
    const failNth = new FailNth(this.iommufd.faults);
    // Only where the kernel's test is to be run: nothing else would look for it.
    const extra = new Map<string, TreeEntry>(init.selftest ? [['fail-nth', failNth.file]] : []);
    const nodes = new DeviceNodes({
      owner: { iommufd: this.iommufd, vfio },
      callers: this.#callers,
      descriptors: new DescriptorCalls(init.launcher),
      noDescriptors: init.noDescriptors,
      log,
      failNth,
      startCall: () => this.memories.startCall(),
      called: init.called,
    });
    const sysfs = new SysfsTree({
      view: this.sysfs.root,
      kept: kept.sys,
      credentials: ({ tid }) => ({ admin: readStatus(tid)?.capabilities.has('CAP_SYS_ADMIN') === true }),
      wrote: ({ tid }, path, bytes, outcome) => {
        log.wrote(tid, path, bytes, outcome);
        init.called(path.slice(path.lastIndexOf('/') + 1));
      },
    });
    return fixedDirectory({
      sys: sysfs.root,
      dev: deviceTree(
        kept.dev,
        () => [...nodes.names(), ...extra.keys()],
        (name) => extra.get(name) ?? nodes.entry(name),
      ),
      installed: {
        kind: 'directory',
        identity: nodes,
        names: () => [],
        entry: (name) => nodes.installed(Number(name)),
      },
      control: controlFile(init.control),
      [FSTAB]: textFile(fstab(kept)),
    });
  }
}

/** The supervisor's thread speaks to the one that serves by writing here: that one waits for nothing but requests. */
function controlFile(control: (text: string) => void): TreeEntry {
  return {
    kind: 'file',
    mode: 0o600,
    size: 0,
    open: () => ({
      write: (_, bytes) => {
        control(Buffer.from(bytes).toString());
        return bytes.length;
      },
    }),
  };
}

function textFile(text: string): TreeEntry {
  const bytes = Buffer.from(text);
  return {
    kind: 'file',
    mode: 0o400,
    size: bytes.length,
    open: () => ({ read: (_, size, position) => bytes.subarray(Number(position), Number(position) + size) }),
  };
}

/** The tree as it can be reached when /sys and /dev are covered: asking ourselves for it would never be answered. */
function uncovered(tree: HostTree, { realSys, hostDirectory }: GuestMachineInit): HostTree {
  if (tree.live)
    return { files: new DirectoryTree(`/proc/self/fd/${realSys}`), sys: '', proc: '', live: true };
  if (hostDirectory === undefined) return tree;
  return { ...tree, files: new DirectoryTree(`/proc/self/fd/${hostDirectory}`) };
}

/** The device nodes of the model as files of the served tree. */

import { KernelError } from '../kernel/errors.ts';
import { callShape } from '../uapi/call-shapes.ts';
import { deviceNodes, type NodeOwner, openNode } from '../uapi/nodes.ts';
import type { Caller, IoctlResult, KernelFile, OpenFile } from '../uapi/open-file.ts';
import { tracedIoctl } from '../uapi/trace.ts';
import type { Callers } from './callers.ts';
import { type DescriptorCalls, RINGFENCE_CALL, RINGFENCE_PLACED } from './descriptor-calls.ts';
import type { FailNth } from './fail-nth.ts';
import type {
  IoctlAnswer,
  IoctlRequest,
  Requester,
  TreeDirectory,
  TreeEntry,
  TreeFile,
  TreeHandle,
} from './fuse/tree.ts';
import type { CallLog } from './trace-log.ts';

export interface DoorInit {
  owner: NodeOwner;
  callers: Callers;
  descriptors: DescriptorCalls;
  /** Why no descriptor can be put into programs, where that is so. */
  noDescriptors: string | undefined;
  log: CallLog;
  /** Threads may have asked for one of their calls' steps to fail. */
  failNth: FailNth;
  /** A call comes in: everything about processes may have changed since the one before. */
  startCall(): void;
  /** A call was made, refused or not; by its name if it has one. */
  called(name: string | undefined): void;
}

/** What is open through a node, or was installed by a call. */
export class DeviceHandle implements TreeHandle {
  readonly file: OpenFile;
  readonly #door: DoorInit;
  #tid: number;

  constructor(file: OpenFile, door: DoorInit, tid: number) {
    this.file = file;
    this.#door = door;
    this.#tid = tid;
  }

  get stream(): boolean {
    return !this.file.seekable;
  }

  read({ tid }: Requester, size: number, position: bigint): Uint8Array {
    return this.#plain(tid, 'read', [size, position], (caller) => {
      if (this.file.read === undefined) throw this.#cannot('read');
      const bytes = this.file.read(caller, size, position);
      return { value: bytes, result: bytes.length };
    });
  }

  write({ tid }: Requester, bytes: Uint8Array, position: bigint): number {
    return this.#plain(tid, 'write', [bytes.length, position], (caller) => {
      if (this.file.write === undefined) throw this.#cannot('written');
      const taken = this.file.write(caller, bytes, position);
      return { value: taken, result: taken };
    });
  }

  ioctl({ tid }: Requester, { command, argument, data }: IoctlRequest): IoctlAnswer {
    const { descriptors, noDescriptors } = this.#door;
    if (command === RINGFENCE_CALL && descriptors.isLauncher(tid)) {
      return descriptors.call(data, (thread, inner, pointer) =>
        this.#ioctl(thread, inner, pointer, undefined),
      );
    }
    if (command === RINGFENCE_PLACED && descriptors.isLauncher(tid)) {
      this.#door.startCall();
      return descriptors.placed(data);
    }
    const { result } = this.#ioctl(tid, command, argument, noDescriptors ?? NOT_THIS_WAY);
    if (typeof result === 'number') return result;
    result.undo();
    throw new KernelError('ENOSYS', this.file.label, NOT_THIS_WAY);
  }

  poll(): number {
    return this.file.poll?.() ?? ALWAYS_READY;
  }

  onWake(listener: () => void): () => void {
    return this.file.onWake?.(listener) ?? (() => {});
  }

  release(): void {
    this.#door.startCall();
    this.file.release();
    this.#door.log.plain(this.#tid, 'close', this.file.label, [], { result: 0 });
  }

  #ioctl(
    tid: number,
    command: number,
    argument: bigint,
    noDescriptors: string | undefined,
  ): { result: IoctlResult; caller: Caller } {
    const { callers, log, failNth, startCall, called } = this.#door;
    startCall();
    this.#tid = tid;
    const caller = callers.of(tid, noDescriptors);
    try {
      const result = failNth.during(tid, () =>
        log.isOn
          ? tracedIoctl(this.file, caller, command, argument, (line) => log.line(tid, line))
          : this.file.ioctl(caller, command, argument),
      );
      return { result, caller };
    } finally {
      called(callShape(this.file.kind, command)?.name);
    }
  }

  #plain<T>(
    tid: number,
    call: string,
    args: (number | bigint)[],
    work: (caller: Caller) => { value: T; result: number },
  ): T {
    const { callers, log, startCall, called } = this.#door;
    startCall();
    this.#tid = tid;
    try {
      const { value, result } = work(callers.of(tid));
      log.plain(tid, call, this.file.label, args, { result });
      return value;
    } catch (error) {
      if (error instanceof KernelError) log.plain(tid, call, this.file.label, args, { error });
      throw error;
    } finally {
      called(call);
    }
  }

  #cannot(what: string): KernelError {
    return new KernelError('EINVAL', this.file.label, `cannot be ${what}`);
  }
}

const ALWAYS_READY = 0x145;
/** A 32-bit program of another architecture, or one that changed its request while it was looked at. */
const NOT_THIS_WAY = 'the call did not come through the launcher, which alone can install descriptors';

/** `/dev/iommu` and `/dev/vfio`, as long as the model has them. */
export class DeviceNodes {
  readonly #door: DoorInit;
  readonly #directories = new Map<string, TreeDirectory>();

  constructor(door: DoorInit) {
    this.#door = door;
  }

  /** Names in a directory below /dev; empty: /dev itself. */
  names(directory = ''): Set<string> {
    const prefix = directory === '' ? '' : `${directory}/`;
    const below = deviceNodes(this.#door.owner).filter(({ path }) => path.startsWith(prefix));
    const names = below.map(({ path }) => path.slice(prefix.length).split('/')[0]!);
    if (directory === 'vfio' && this.#door.owner.vfio !== undefined) names.push('devices');
    return new Set(names);
  }

  entry(name: string, directory = ''): TreeEntry | undefined {
    if (!this.names(directory).has(name)) return undefined;
    const path = directory === '' ? name : `${directory}/${name}`;
    const node = deviceNodes(this.#door.owner).find((each) => each.path === path);
    return node === undefined ? this.#directory(path) : this.#node(path, node.mode);
  }

  /** What the launcher opens to install it. */
  installed(token: number): TreeFile | undefined {
    const installation = this.#door.descriptors.pending(token);
    if (installation === undefined) return undefined;
    return {
      kind: 'file',
      mode: 0o600,
      size: 0,
      perOpen: true,
      open: ({ tid }) => {
        if (!this.#door.descriptors.isLauncher(tid))
          throw new KernelError('EPERM', `${token}`, 'is for the launcher');
        return new DeviceHandle(installation.install, this.#door, tid);
      },
    };
  }

  #directory(path: string): TreeDirectory {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const directory: TreeDirectory = {
      kind: 'directory',
      identity: { path },
      names: () => this.names(path),
      entry: (name) => this.entry(name, path),
    };
    this.#directories.set(path, directory);
    return directory;
  }

  #node(path: string, mode: number): TreeFile {
    return {
      kind: 'file',
      mode,
      size: 0,
      perOpen: true,
      ...this.#identity(path),
      open: ({ tid }) => this.#open(path, tid),
    };
  }

  /** A group that comes back with the same number is not the one that was given to somebody. */
  #identity(path: string): { identity?: object } {
    const { vfio } = this.#door.owner;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const identity = path.startsWith('vfio/devices/')
      ? vfio?.devices.find((device) => device.isRegistered && device.name === name)
      : vfio?.groups.get(name);
    return identity === undefined ? {} : { identity };
  }

  #open(path: string, tid: number): DeviceHandle {
    const { owner, callers, log, failNth, startCall, called } = this.#door;
    startCall();
    try {
      const file = failNth.during(tid, () => openNode(owner, path, callers.of(tid).process));
      log.plain(tid, 'open', `/dev/${path}`, [], { result: 0 });
      return new DeviceHandle(file, this.#door, tid);
    } catch (error) {
      if (error instanceof KernelError) log.plain(tid, 'open', `/dev/${path}`, [], { error });
      throw error;
    } finally {
      called('open');
    }
  }
}

/** The kernel's view of what is open, for calls that name a descriptor. */
export function kernelFileOf(handle: TreeHandle): KernelFile | undefined {
  return handle instanceof DeviceHandle ? handle.file.file : undefined;
}

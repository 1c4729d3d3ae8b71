/** For tests: a program, its memory and its descriptors in this process, and a machine with device nodes for it. */

import type { Device } from '../device/device.ts';
import type { Arena } from '../iommufd/arena.ts';
import type { TestRequests } from '../iommufd/calls/test-cmd.ts';
import type { ProcessInit } from '../iommufd/process.ts';
import { ProcessMemory } from '../iommufd/process-memory.ts';
import { isMockDevice } from '../iommufd/selftest/mock-device.ts';
import { VfioBench, type VfioBenchOptions } from '../iommufd/vfio/testing.ts';
import { KernelError } from '../kernel/errors.ts';
import { callingProcess } from './call-files.ts';
import { ioctlCommand } from './call-shape.ts';
import { type NodeOwner, openNode } from './nodes.ts';
import type { Caller, CallingProcess, FileKind, IoctlResult, KernelFile, OpenFile } from './open-file.ts';
import { TEST_CALL, TEST_OPS } from './selftest-table.ts';
import type { Struct } from './struct.ts';
import { tracedIoctl } from './trace.ts';

const FIRST_FD = 3;
const ARGUMENTS_BASE = 0x10_0000n;
const ARGUMENT_PAGES = 16;

/** A descriptor: a file of a door, or anything else. */
interface Descriptor {
  readonly open: OpenFile | undefined;
  readonly file: KernelFile;
}

export class Program implements Caller {
  readonly process: CallingProcess;
  readonly memory: ProcessMemory;
  /** Where `place` puts things. */
  readonly arguments: Arena;
  /** What calls looked like, as a trace has them. */
  readonly trace: string[] = [];
  noDescriptors?: string;
  readonly #owner: NodeOwner;
  readonly #descriptors = new Map<number, Descriptor>();
  #placed = 0n;

  constructor(
    owner: NodeOwner,
    memory: ProcessMemory,
    init: Partial<Omit<ProcessInit, 'memory' | 'files'>> = {},
  ) {
    this.#owner = owner;
    this.memory = memory;
    this.process = callingProcess({ name: 'program', ...init, memory });
    this.arguments = memory.mmap(ARGUMENT_PAGES, { base: ARGUMENTS_BASE, name: 'arguments' });
  }

  /** Open descriptors. */
  get descriptors(): number[] {
    return [...this.#descriptors.keys()];
  }

  fileOf(descriptor: number): KernelFile | undefined {
    return this.#descriptors.get(descriptor)?.file;
  }

  /** None for a descriptor of something that no door serves. */
  kindOf(fd: number): FileKind | undefined {
    return this.#descriptors.get(fd)?.open?.kind;
  }

  openFile(fd: number): OpenFile {
    const open = this.#descriptors.get(fd)?.open;
    if (open === undefined) throw new KernelError('EBADF', `descriptor ${fd}`, 'is not open');
    return open;
  }

  /** @param path below /dev */
  open(path: string): number {
    const open = openNode(this.#owner, path, this.process);
    return this.install({ open, file: open.file });
  }

  /** A descriptor of something that no door serves, e.g. a file in memory. */
  openOther(file: KernelFile): number {
    return this.install({ open: undefined, file });
  }

  /** A copy of a descriptor, as a fork makes. */
  inherit(from: Program, fd: number): number {
    return this.install({ open: from.openFile(fd), file: from.fileOf(fd)! });
  }

  install(descriptor: Descriptor): number {
    let fd = FIRST_FD;
    while (this.#descriptors.has(fd)) fd++;
    this.#descriptors.set(fd, descriptor);
    return fd;
  }

  close(fd: number): void {
    const descriptor = this.#descriptors.get(fd);
    if (descriptor === undefined) throw new KernelError('EBADF', `descriptor ${fd}`, 'is not open');
    this.#descriptors.delete(fd);
    const { open, file } = descriptor;
    if ([...this.#descriptors.values()].some((other) => other.file === file)) return;
    if (open === undefined) file.close();
    else open.release();
  }

  /** `exit_files`. */
  exit(): void {
    for (const fd of this.descriptors.sort((a, b) => a - b)) this.close(fd);
  }

  /** `ioctl`, without turning errors into numbers. */
  ioctl(fd: number, command: number, arg: bigint): number {
    const result = tracedIoctl(this.openFile(fd), this, command, arg, (line) => this.trace.push(line));
    return this.#settle(result);
  }

  /** The same with a struct: puts it into memory and answers what is there afterwards. */
  call<R>(fd: number, nr: number, struct: Struct<R>, fields: Partial<R>, options: { size?: number } = {}): R {
    const { address, bytes } = this.placeStruct(struct, fields, options.size);
    this.ioctl(fd, ioctlCommand(nr), address);
    return struct.decode(this.memoryAt(address, bytes.length));
  }

  /** As `call`, for an op of IOMMU_TEST_CMD. */
  test<Op extends keyof TestRequests>(
    fd: number,
    op: Op,
    fields: Partial<TestRequests[Op]>,
  ): TestRequests[Op] {
    const { struct } = TEST_OPS[op];
    const { address, bytes } = this.placeStruct(struct as Struct<TestRequests[Op]>, fields);
    this.memory.write(address + 4n, new Uint8Array([op]));
    this.ioctl(fd, TEST_CALL.command, address);
    return (struct as Struct<TestRequests[Op]>).decode(this.memoryAt(address, bytes.length));
  }

  /** As `call`, for calls that are refused: the code, and the struct as it is then. */
  refused<R>(
    fd: number,
    nr: number,
    struct: Struct<R>,
    fields: Partial<R>,
  ): { code: string | undefined; reply: R } {
    const { address, bytes } = this.placeStruct(struct, fields);
    const code = codeOf(() => this.ioctl(fd, ioctlCommand(nr), address));
    return { code, reply: struct.decode(this.memoryAt(address, bytes.length)) };
  }

  placeStruct<R>(
    struct: Struct<R>,
    fields: Partial<R>,
    size = struct.size,
  ): { address: bigint; bytes: Uint8Array } {
    const bytes = new Uint8Array(Math.max(struct.size, size));
    if (struct.header !== undefined) new DataView(bytes.buffer).setUint32(0, size, true);
    struct.encode(fields as R, bytes);
    return { address: this.place(bytes), bytes };
  }

  /** Bytes somewhere in memory that nobody else uses for a while. */
  place(bytes: Uint8Array): bigint {
    const room = BigInt(ARGUMENT_PAGES) * 4096n;
    const length = (BigInt(bytes.length) + 15n) & ~15n;
    if (this.#placed + length > room) this.#placed = 0n;
    const address = ARGUMENTS_BASE + this.#placed;
    this.#placed += length;
    this.memory.write(address, bytes);
    return address;
  }

  memoryAt(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.memory.read(address, bytes);
    return bytes;
  }

  read(fd: number, size: number, position = 0n): Uint8Array {
    const file = this.openFile(fd);
    if (file.read === undefined) throw new KernelError('EINVAL', file.label, 'cannot be read');
    return file.read(this, size, position);
  }

  write(fd: number, bytes: Uint8Array, position = 0n): number {
    const file = this.openFile(fd);
    if (file.write === undefined) throw new KernelError('EINVAL', file.label, 'cannot be written');
    return file.write(this, bytes, position);
  }

  #settle(result: IoctlResult): number {
    if (typeof result === 'number') return result;
    const { install, at, value, undo } = result;
    const fd = this.install({ open: install, file: install.file });
    if (at === 0n) return fd;
    const number = new Uint8Array(4);
    new DataView(number.buffer).setInt32(0, fd, true);
    try {
      this.memory.write(at, number);
    } catch (error) {
      this.#descriptors.delete(fd);
      undo();
      throw error;
    }
    return value;
  }
}

/** A machine with an IOMMU, a VFIO driver and the selftest. */
export class DoorBench extends VfioBench {
  constructor({ iommufd, ...options }: VfioBenchOptions = {}) {
    const covers = (device: Device) => !isMockDevice(device);
    super({ covers, ...options, iommufd: { withSelftest: true, ...iommufd } });
  }

  readonly owner: NodeOwner = { iommufd: this.iommufd, vfio: this.vfio };

  program(init: Partial<Omit<ProcessInit, 'memory' | 'files'>> = {}): Program {
    return new Program(this.owner, new ProcessMemory(this.physical, init.name ?? 'program'), init);
  }
}

/** The code a call is refused with; `undefined` where it is not. */
export function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return undefined;
}

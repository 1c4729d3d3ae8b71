/** What a descriptor of a program stands for, as a door serves it. */

import type { OpenFile as KernelFile } from '../iommufd/open-files.ts';
import type { Process } from '../iommufd/process.ts';
import type { UserMemory } from '../iommufd/user-memory.ts';
import type { CallFiles } from './call-files.ts';

export type { KernelFile };

/** A process that calls through a door: its descriptors are numbered elsewhere. Made by `callingProcess`. */
export interface CallingProcess extends Process {
  readonly files: CallFiles;
}

/** Who makes one call (`current`). A door makes one per call, or keeps one per thread. */
export interface Caller {
  /** The same object for every call of one address space: pinned pages are counted on it. */
  readonly process: CallingProcess;
  /** What the argument points into. */
  readonly memory: UserMemory;
  /**
   * `fget`: what is open as `descriptor` in the thread that calls. For files of the door, `OpenFile.file`; for a file in
   * memory, something that is a `PageSource` as well; for anything else, a name will do.
   */
  fileOf(descriptor: number): KernelFile | undefined;
  /** Where descriptors cannot be put into the process: why. Calls that would return one are ENOSYS then. */
  readonly noDescriptors?: string;
}

/** A descriptor has to be put into the process before the call is over. */
export interface Installation {
  /** What it is of. It is the door's from now on, to `release` when its last descriptor is closed. */
  readonly install: OpenFile;
  /** Whether it is to be closed by exec (`O_CLOEXEC`). */
  readonly closeOnExec: boolean;
  /** Where its number goes, 32 bits; 0n: the number is what the call returns. */
  readonly at: bigint;
  /** What the call returns if the number goes somewhere. */
  readonly value: number;
  /** No descriptor can be had, or its number cannot be written: all is as if the call had not been made. */
  undo(): void;
}

export type IoctlResult = number | Installation;

/** Bits of `poll`, as in `poll.h`. */
export const Poll = { In: 0x1, Out: 0x4, ReadNormal: 0x40 } as const;

export type FileKind =
  | 'iommufd'
  | 'fault-queue'
  | 'event-queue'
  | 'test-access'
  | 'vfio-group'
  | 'vfio-device';

/** One open file. Every call throws only `KernelError`. */
export interface OpenFile {
  readonly kind: FileKind;
  /** As `/proc/PID/fd` shows it: `/dev/iommu`, `[iommufd-pgfault]`. */
  readonly label: string;
  /** What calls that are told a descriptor find behind it. */
  readonly file: KernelFile;
  /** Whether it has a position (`FMODE_LSEEK`, `FMODE_PREAD`); if not, all reads and writes are at 0. */
  readonly seekable: boolean;
  /**
   * `unlocked_ioctl`.
   *
   * @param command all 32 bits
   * @param arg all 64 bits, unsigned
   */
  ioctl(caller: Caller, command: number, arg: bigint): IoctlResult;
  /** `read`: at most `size` bytes. Absent: EINVAL. Never blocks. */
  read?(caller: Caller, size: number, position: bigint): Uint8Array;
  /** `write`, answers how many bytes were taken. Absent: EINVAL. */
  write?(caller: Caller, bytes: Uint8Array, position: bigint): number;
  /** `poll`: `Poll` bits. Absent: always readable and writable. */
  poll?(): number;
  /** `listener` is called whenever `poll` may answer more, until the function returned is called. */
  onWake?(listener: () => void): () => void;
  /** `release`: the last descriptor is closed. Once. */
  release(): void;
}

/** What a FUSE server serves, in words of files: directories, links, and files that are opened. */

import type { IoctlRequest, Requester } from './request.ts';

export type { IoctlRequest, Requester };

export type TreeEntry = TreeDirectory | TreeFile | TreeLink;

export interface TreeDirectory {
  readonly kind: 'directory';
  /** Permission bits; 0o755 unless told. */
  readonly mode?: number;
  /** The same object as long as it is the same directory. */
  readonly identity: object;
  /** It stays what it is as long as the server runs, so the kernel need not ask again. */
  readonly lasting?: boolean;
  names(): Iterable<string>;
  /** @throws KernelError what looking the name up refuses */
  entry(name: string): TreeEntry | undefined;
}

export interface TreeFile {
  readonly kind: 'file';
  /** Permission bits. */
  readonly mode: number;
  readonly size: number;
  readonly lasting?: boolean;
  /** Another object: another file, though of the same name. What `chown` and `chmod` did does not concern it. */
  readonly identity?: object;
  /**
   * Each open gets an inode of its own, so that which open file a descriptor of a program is can be read off
   * `/proc/PID/fdinfo`.
   */
  readonly perOpen?: boolean;
  /** @throws KernelError what the file refuses when it is opened */
  open(requester: Requester, flags: number): TreeHandle;
}

export interface TreeLink {
  readonly kind: 'link';
  readonly target: string;
}

/** One open file. All errors are KernelErrors; a method that is not there is EINVAL, for `ioctl` ENOTTY. */
export interface TreeHandle {
  /** It has no position: reads and writes are at 0. */
  readonly stream?: boolean;
  read?(requester: Requester, size: number, position: bigint): Uint8Array;
  write?(requester: Requester, bytes: Uint8Array, position: bigint): number;
  ioctl?(requester: Requester, request: IoctlRequest): IoctlAnswer;
  /** Bits of `poll.h`; always readable and writable if it is not there. */
  poll?(): number;
  /** `listener` is called when `poll` may answer more. @returns ends it */
  onWake?(listener: () => void): () => void;
  /** The last descriptor is closed. Once. */
  release?(): void;
}

/** What the call returns, and what is copied to where it points, as far as its number says how much. */
export type IoctlAnswer = number | { readonly result: number; readonly data: Uint8Array };

/** Where requests come from and answers go: /dev/fuse, or a test. */

import { readSync, writevSync } from 'node:fs';
import { REQUEST_BYTES } from './protocol.ts';

export interface Channel {
  /** Waits for a request. Its bytes are good until the next one. Nothing when the mount is gone. */
  receive(): Buffer | undefined;
  /** @returns whether the kernel still wanted it */
  send(header: Buffer, body?: Uint8Array): boolean;
}

const WENT_AWAY: ReadonlySet<string | undefined> = new Set(['ENODEV', 'ECONNABORTED', 'EBADF']);
/** The request was taken back between being there and being read. */
const TRY_AGAIN: ReadonlySet<string | undefined> = new Set(['ENOENT', 'EINTR', 'EAGAIN']);
/** The program that asked is gone, or the mount is. */
const UNWANTED: ReadonlySet<string | undefined> = new Set([...WENT_AWAY, 'ENOENT', 'EINVAL']);

export class DeviceChannel implements Channel {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(REQUEST_BYTES);

  /** @param fd /dev/fuse, with a mount on it */
  constructor(fd: number) {
    this.#fd = fd;
  }

  receive(): Buffer | undefined {
    for (;;) {
      try {
        return this.#buffer.subarray(0, readSync(this.#fd, this.#buffer));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (WENT_AWAY.has(code)) return undefined;
        if (!TRY_AGAIN.has(code)) throw error;
      }
    }
  }

  send(header: Buffer, body?: Uint8Array): boolean {
    try {
      writevSync(this.#fd, body === undefined || body.length === 0 ? [header] : [header, body]);
      return true;
    } catch (error) {
      if (UNWANTED.has((error as NodeJS.ErrnoException).code)) return false;
      throw error;
    }
  }
}

/** What a request is answered with. */

import { ERRNO } from '../../kernel/errors.ts';

/** Refusals of the file system itself, which need no words. */
export const Errno = { ...ERRNO, ESTALE: 116 };

/** A number of `errno.h` as the answer. */
export class Refusal {
  readonly errno: number;

  constructor(errno: number) {
    this.errno = errno;
  }
}

export const NOTHING = new Uint8Array(0);

/** Bytes, or a refusal; none for requests that get no answer. */
export type Answer = Uint8Array | Refusal | undefined;

/** An answer that gives something away, and how to take it back if the kernel does not want it any more. */
export interface Gift {
  readonly bytes: Uint8Array;
  takeBack(): void;
}

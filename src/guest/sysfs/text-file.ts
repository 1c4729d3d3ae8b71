/** Attribute files: text made when it is read, and handed over whole when it is written (fs/kernfs/file.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { Credentials, OpenEntry, ViewFile } from './entry.ts';

/** What `stat` says of every attribute, and the most one write hands over. */
export const PAGE = 4096;

export interface TextFileInit {
  /** For messages: its path. */
  name: string;
  /** Permission bits. */
  mode: number;
  /** Without it, reading is EIO. */
  show?(): string;
  /** Without it, writing is EIO. Gets the text of one `write`, up to its first zero byte. */
  store?(text: string, credentials: Credentials): void;
}

export function textFile(init: TextFileInit): ViewFile {
  return {
    kind: 'file',
    mode: init.mode,
    size: PAGE,
    open: (credentials) => new OpenText(init, credentials),
  };
}

export function constantFile(name: string, text: string, mode = 0o444): ViewFile {
  return textFile({ name, mode, show: () => text });
}

/** The text is made when reading begins at 0 and stays until it does so again, as `seq_file` has it. */
class OpenText implements OpenEntry {
  readonly #init: TextFileInit;
  readonly #credentials: Credentials;
  #text: Uint8Array | undefined;

  constructor(init: TextFileInit, credentials: Credentials) {
    this.#init = init;
    this.#credentials = credentials;
  }

  read(offset: number, length: number): Uint8Array {
    const { show, name } = this.#init;
    if (show === undefined) throw new KernelError('EIO', name, 'cannot be read');
    if (offset === 0 || this.#text === undefined) this.#text = Buffer.from(show());
    return this.#text.subarray(offset, offset + length);
  }

  /** Where in the file it is written does not matter to an attribute. */
  write(_offset: number, bytes: Uint8Array): number {
    const { store, name } = this.#init;
    if (store === undefined) throw new KernelError('EIO', name, 'cannot be written');
    const taken = bytes.subarray(0, PAGE);
    if (taken.length === 0) return 0;
    const end = taken.indexOf(0);
    store(Buffer.from(end < 0 ? taken : taken.subarray(0, end)).toString(), this.#credentials);
    return taken.length;
  }
}

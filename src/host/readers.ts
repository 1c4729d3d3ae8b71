/** The readers of bytes, in the order in which they are asked. Each knows its form when it sees it. */

import { InputError } from '../kernel/errors.ts';
import { ArchiveTree } from './archive-tree.ts';
import { hostTree } from './host-tree.ts';
import { decompress } from './input.ts';
import { lspciReader } from './lspci.ts';
import type { Detail, Snapshot } from './snapshot.ts';
import { snapshotReader } from './snapshot-reader.ts';
import { readSysfs } from './sysfs.ts';
import { looksLikeTar } from './tar.ts';

export interface Reader {
  /** For messages: what the form is called. */
  readonly form: string;
  /** Looks at the beginning only; true claims the input, and `read` then says what is wrong with it. */
  recognise(bytes: Uint8Array): boolean;
  /** @throws InputError, and nothing else, whatever the bytes. */
  read(bytes: Uint8Array, place: string, detail: Detail): Snapshot | Promise<Snapshot>;
}

const archiveReader: Reader = {
  form: 'tar archive of a sysfs tree',
  recognise: looksLikeTar,
  read: (bytes, place, detail) => readSysfs(hostTree(new ArchiveTree(bytes, place), place), place, detail),
};

export const readers: readonly Reader[] = [archiveReader, snapshotReader, lspciReader];

/** Reads bytes of any known form, gzip or not. @throws InputError */
export async function readBytes(bytes: Uint8Array, place: string, detail: Detail = 'all'): Promise<Snapshot> {
  const plain = decompress(bytes, place);
  const reader = readers.find((candidate) => candidate.recognise(plain));
  if (reader === undefined) {
    const forms = 'a snapshot, a tar of a sysfs tree, or the output of lspci -vvnn or lspci -xxxx';
    throw new InputError(place, `not recognised; known forms are ${forms}`);
  }
  return reader.read(plain, place, detail);
}

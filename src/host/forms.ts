/** The readers of bytes, in the order in which they are asked. Each knows its form when it sees it. */

import { InputError } from '../kernel/errors.ts';
import { ArchiveTree } from './archive-tree.ts';
import { type HostTree, hostTree } from './host-tree.ts';
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
  /**
   * @param keepTree told of the sysfs tree, where the form is one
   * @throws InputError, and nothing else, whatever the bytes.
   */
  read(bytes: Uint8Array, place: string, detail: Detail, keepTree?: KeepTree): Snapshot | Promise<Snapshot>;
}

export type KeepTree = (tree: HostTree) => void;

const archiveReader: Reader = {
  form: 'tar archive of a sysfs tree',
  recognise: looksLikeTar,
  read: (bytes, place, detail, keepTree) => {
    const tree = hostTree(new ArchiveTree(bytes, place), place);
    keepTree?.(tree);
    return readSysfs(tree, place, detail);
  },
};

export const readers: readonly Reader[] = [archiveReader, snapshotReader, lspciReader];

/** Reads bytes of any known form, with no compression left around them. @throws InputError */
export async function readForm(
  bytes: Uint8Array,
  place: string,
  detail: Detail = 'all',
  keepTree?: KeepTree,
): Promise<Snapshot> {
  const reader = readers.find((candidate) => candidate.recognise(bytes));
  if (reader === undefined) {
    const forms = 'a snapshot, a tar of a sysfs tree, or the output of lspci -vvnn or lspci -xxxx';
    throw new InputError(place, `not recognised; known forms are ${forms}`);
  }
  return reader.read(bytes, place, detail, keepTree);
}

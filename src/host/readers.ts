/** Bytes of any known form as a snapshot: what stands between a file and the readers is compression. */

import { type KeepTree, readForm } from './forms.ts';
import { decompress } from './input.ts';
import type { Detail, Snapshot } from './snapshot.ts';

/** Reads bytes of any known form, gzip or not. @throws InputError */
export async function readBytes(
  bytes: Uint8Array,
  place: string,
  detail: Detail = 'all',
  keepTree?: KeepTree,
): Promise<Snapshot> {
  return readForm(decompress(bytes, place), place, detail, keepTree);
}

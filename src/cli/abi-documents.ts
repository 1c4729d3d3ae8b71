/** Trees of ABI documents that are named on the command line. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type AbiTree, LEVELS } from '../abi/entry.ts';
import { readAbiTree } from '../abi/tree.ts';
import type { Context } from './context.ts';

/**
 * Of a tree of documents, or of the source that has one. Where there are no documents, that is said, and the command
 * cannot tell (exit code 3).
 *
 * @throws InputError it cannot be read
 */
export function documentsOf(directory: string, context: Context): AbiTree | undefined {
  const below = join(directory, 'Documentation/ABI');
  const tree = readAbiTree(existsSync(below) ? below : directory);
  if (tree.files.some(({ level }) => LEVELS.some((known) => known === level))) return tree;
  context.note(
    `${tree.root} holds no ABI documents (${LEVELS.join(', ')}); name Documentation/ABI of a kernel source`,
  );
  return undefined;
}

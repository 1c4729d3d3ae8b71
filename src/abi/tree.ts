/** A tree of ABI documents from disk: `Documentation/ABI` of a kernel, or of a project that keeps its promises so. */

import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { InputError } from '../kernel/errors.ts';
import type { AbiFile, AbiTree } from './entry.ts';
import { parseAbiFile } from './parse.ts';

/** The largest document of Linux has 100 KiB. */
const LARGEST = 4 * 1024 * 1024;
const DEEPEST = 8;
const LEFT_OUT = /^(README|\..*|.*\.(rej|org|orig|bak))$/;

/**
 * Reads every document below `root`. Links are not followed; files that cannot be read or are no text are in the tree
 * with a malformation.
 *
 * @throws InputError `root` is no directory
 */
export function readAbiTree(root: string): AbiTree {
  const files: AbiFile[] = [];
  const walk = (below: string, depth: number): void => {
    for (const item of itemsOf(root, below)) {
      const file = below === '' ? item.name : `${below}/${item.name}`;
      if (LEFT_OUT.test(item.name)) continue;
      if (item.isDirectory() && depth < DEEPEST) walk(file, depth + 1);
      else if (item.isFile()) files.push(readAbiFile(root, file));
    }
  };
  walk('', 0);
  return { root, files: files.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0)) };
}

function itemsOf(root: string, below: string): Dirent[] {
  try {
    return readdirSync(`${root}/${below}`, { withFileTypes: true });
  } catch (error) {
    if (below !== '') return [];
    throw new InputError(root, `cannot be read as a tree of ABI documents (${codeOf(error)})`);
  }
}

function readAbiFile(root: string, file: string): AbiFile {
  const path = `${root}/${file}`;
  try {
    if (statSync(path).size > LARGEST) return unreadable(file, `has more than ${LARGEST} bytes`);
    const text = readFileSync(path, 'utf8');
    return text.includes('\0') ? unreadable(file, 'is not text') : parseAbiFile(file, text);
  } catch (error) {
    return unreadable(file, `cannot be read (${codeOf(error)})`);
  }
}

function unreadable(file: string, text: string): AbiFile {
  return { ...parseAbiFile(file, ''), malformations: [{ kind: 'unreadable', text, line: 1 }] };
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code ?? error);
}

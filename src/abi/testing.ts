/** Trees of documents for tests: from text, and the kernel's own where it lies on this machine. */

import { existsSync } from 'node:fs';
import type { AbiTree } from './entry.ts';
import { parseAbiFile } from './parse.ts';
import { readAbiTree } from './tree.ts';

/** @param files name below the tree, and text */
export function treeOf(files: Record<string, string>): AbiTree {
  const names = Object.keys(files).sort();
  return { root: 'Documentation/ABI', files: names.map((name) => parseAbiFile(name, files[name]!)) };
}

/** One entry that nothing is wrong with; fields given replace its own, `undefined` leaves one out. */
export function entryText(fields: Record<string, string | undefined> = {}): string {
  const all: Record<string, string | undefined> = {
    What: '/sys/kernel/example',
    Date: 'May 2012',
    KernelVersion: '3.5',
    Contact: 'Someone <someone@example.org>',
    Description: 'Says what it is.',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([tag, text]) =>
    text === undefined ? [] : [`${tag}:\t\t${text}`],
  );
  return `${lines.join('\n')}\n`;
}

const { RINGFENCE_ABI_TREE } = process.env;
const KERNEL_TREES =
  RINGFENCE_ABI_TREE === undefined
    ? ['/tmp/kst', '/usr/src'].map((place) => `${place}/linux-source-6.12/Documentation/ABI`)
    : [RINGFENCE_ABI_TREE];

/** Documentation/ABI of Linux 6.12. */
export const kernelTree = KERNEL_TREES.find((path) => path !== '' && existsSync(path));
/** Read; empty where there is none, since a suite that is skipped is looked at all the same. */
export function kernelDocuments(): AbiTree {
  return kernelTree === undefined ? treeOf({}) : readAbiTree(kernelTree);
}

/** Behind the name of a test that wants it. */
export const NO_KERNEL_TREE =
  kernelTree === undefined
    ? ' (skipped: no linux-source-6.12 here; RINGFENCE_ABI_TREE names its Documentation/ABI)'
    : '';

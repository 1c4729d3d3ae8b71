/** Huge pages for as long as a test runs. */

import { readFileSync, writeFileSync } from 'node:fs';

const COUNT = '/proc/sys/vm/nr_hugepages';

/**
 * Makes the kernel set aside `wanted` huge pages of 2 MiB that are free.
 *
 * @returns {{giveBack: () => void} | {refused: string}} `refused`: why they cannot be had
 */
export function takeHugePages(wanted) {
  const before = readFileSync(COUNT, 'utf8');
  if (freePages() >= wanted) return { giveBack: () => {} };
  const giveBack = () => writeFileSync(COUNT, before);
  try {
    writeFileSync(COUNT, `${Number(before) + wanted - freePages()}`);
  } catch (error) {
    return { refused: `${COUNT} cannot be written (${error.code})` };
  }
  const free = freePages();
  if (free >= wanted) return { giveBack };
  giveBack();
  return { refused: `the kernel had ${free} of the ${wanted} that are needed` };
}

function freePages() {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const size = Number(/^Hugepagesize:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  return size === 2048 ? Number(/^HugePages_Free:\s+(\d+)/m.exec(text)?.[1] ?? 0) : 0;
}

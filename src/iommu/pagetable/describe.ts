/** Tables for people: the walk to one page, and all of them as text. */

import { addressOf, hex, POWER } from './addresses.ts';
import { ENTRIES, type EntryFormat, frameField, LEVEL_BITS, spanOf } from './entry-format.ts';
import type { WalkStep } from './io-page-table.ts';
import type { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TABLE_SHIFT } from './table-pool.ts';

/** Bytes of a table. */
const TABLE_BYTES = 4096n;
const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];

/** `4 KiB` */
export function sizeWord(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${bytes / 1024 ** unit} ${UNITS[unit]}B`;
}

interface Entry {
  low: number;
  high: number;
}

export function walkTables(tree: RadixTree, page: number): WalkStep[] {
  const { format } = tree;
  const steps: WalkStep[] = [];
  let table = page < tree.capacity ? tree.root : 0;
  for (let level = tree.levels - 1; level >= 0 && table !== 0; level--) {
    const index = tree.index(page, level);
    const { low, high } = entryAt(tree, table, index);
    const step = {
      level: level + 1,
      table: BigInt(table) * TABLE_BYTES,
      index,
      entry: (BigInt(high) << 32n) | BigInt(low),
      bits: bitNames(format, low, high),
      size: addressOf(spanOf(level), format.pageShift),
    };
    if ((low | high) === 0) {
      steps.push({ ...step, kind: 'nothing' });
      break;
    }
    if (!tree.isTable(low, level)) {
      const pages = POWER[format.leafOrder(low, high, level)]!;
      const address = addressOf(firstFrame(format, low, high, pages), format.pageShift);
      steps.push({ ...step, kind: 'leaf', size: addressOf(pages, format.pageShift), address });
      break;
    }
    table = low >>> format.framePosition;
    steps.push({ ...step, kind: 'table', address: BigInt(table) * TABLE_BYTES });
  }
  return steps;
}

export function dumpTables(tree: RadixTree): string[] {
  const lines: string[] = [];
  if (tree.root !== 0) dumpTable(tree, tree.root, tree.levels - 1, 0, lines);
  return lines;
}

function dumpTable(tree: RadixTree, table: number, level: number, base: number, lines: string[]): void {
  const { format } = tree;
  const { pageShift } = format;
  const indent = '  '.repeat(tree.levels - level);
  const span = spanOf(level);
  for (let index = 0; index < ENTRIES; ) {
    const { low, high } = entryAt(tree, table, index);
    const page = base + index * span;
    if ((low | high) === 0) {
      index++;
    } else if (tree.isTable(low, level)) {
      const below = low >>> format.framePosition;
      const where = `${hex(addressOf(page, pageShift))} -> table ${hex(BigInt(below) * TABLE_BYTES)}`;
      lines.push(`${indent}[${index}] ${where} ${bitNames(format, low, high)}`);
      dumpTable(tree, below, level - 1, page, lines);
      index++;
    } else {
      const run = runOfLeaves(tree, table, level, index);
      const last = addressOf(page + run.leaves * run.pages, pageShift) - 1n;
      const from = `${hex(addressOf(page, pageShift))}-${hex(last)}`;
      const to = hex(addressOf(firstFrame(format, low, high, run.pages), pageShift));
      const size = sizeWord(run.pages * POWER[pageShift]!);
      lines.push(`${indent}[${index}] ${from} -> ${to} ${run.leaves} x ${size} ${run.bits}`);
      index = run.next;
    }
  }
}

/** Leaves from `index` on that are alike, and whose memory follows that of the one before. */
function runOfLeaves(tree: RadixTree, table: number, level: number, index: number) {
  const { format } = tree;
  const first = entryAt(tree, table, index);
  const order = format.leafOrder(first.low, first.high, level);
  const pages = POWER[order]!;
  const replicas = 1 << (order - level * LEVEL_BITS);
  const frame = firstFrame(format, first.low, first.high, pages);
  const bits = leafBits(tree, table, index, replicas);
  let leaves = 1;
  let next = index + replicas;
  for (; next < ENTRIES; next += replicas, leaves++) {
    const { low, high } = entryAt(tree, table, next);
    if ((low | high) === 0 || tree.isTable(low, level)) break;
    if (format.leafOrder(low, high, level) !== order) break;
    if (firstFrame(format, low, high, pages) !== frame + leaves * pages) break;
    if (leafBits(tree, table, next, replicas) !== bits) break;
  }
  return { leaves, pages, bits, next };
}

/** Names of the bits that any entry of the leaf has. */
function leafBits(tree: RadixTree, table: number, index: number, replicas: number): string {
  let [low, high] = [0, 0];
  for (let at = index; at < index + replicas; at++) {
    const entry = entryAt(tree, table, at);
    low |= entry.low;
    high |= entry.high;
  }
  return bitNames(tree.format, low, high);
}

function entryAt(tree: RadixTree, table: number, index: number): Entry {
  const at = (table << TABLE_SHIFT) | (index << 1);
  const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
  return { low: chunk[at & CHUNK_MASK]!, high: chunk[(at & CHUNK_MASK) + 1]! };
}

function firstFrame(format: EntryFormat, low: number, high: number, pages: number): number {
  const field = frameField(format, low, high);
  return field - (field % pages);
}

function bitNames(format: EntryFormat, low: number, high: number): string {
  return format.names
    .filter(({ word, mask }) => ((word === 0 ? low : high) & mask) !== 0)
    .map(({ name }) => name)
    .join(' ');
}

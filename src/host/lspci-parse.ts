/** Splits lspci text into entries with full addresses. */

import { InputError } from '../kernel/errors.ts';
import { formatAddress, parseAddress } from '../pci/address.ts';
import { shown, sortByAddress } from './host-tree.ts';
import { acsWord } from './lspci-capabilities.ts';
import { type LspciEntry, newEntry, takeLine } from './lspci-entry.ts';
import { parseHeader, takeIds } from './lspci-header.ts';
import { cleanLines, HEADER } from './lspci-lines.ts';
import type { Notes } from './notes.ts';

export interface PlacedEntry {
  address: string;
  /** Below /sys/devices, where the text was made with -P or -PP. */
  path?: string;
  /** Of its header, from 1. */
  line: number;
  entry: LspciEntry;
}

/** Entries in the order of the text; the same address may come more than once. */
export function parseEntries(text: string, notes: Notes): PlacedEntry[] {
  const lines = cleanLines(text);
  const placed: PlacedEntry[] = [];
  const bridges = new Map<string, PlacedEntry>();
  let entry: LspciEntry | undefined;
  let heading: number | undefined;
  for (let i = 0; i < lines.length; i++) {
    const inside = entry !== undefined && heading === undefined && isGroupField(lines, i, entry);
    const { line, group } = inside ? { line: lines[i]! } : withoutGroup(lines[i]!);
    if (line === '') {
      if (group !== undefined) heading = group;
      continue;
    }
    const header = parseHeader(line);
    if (header === undefined) {
      if (entry !== undefined) takeBody(entry, line, lines, i, notes);
      continue;
    }
    entry = newEntry(header);
    const inGroup = group ?? heading;
    if (inGroup !== undefined) entry.group = inGroup;
    const place = locate(header.where, bridges);
    if (place === undefined) {
      notes.add(`${shown(header.where)}: bus unknown (lspci -P without -v; -PP has it); left out`);
      continue;
    }
    const found = { ...place, line: i + 1, entry };
    bridges.set(header.where, found);
    placed.push(found);
  }
  return placed;
}

/**
 * The shell loops that people use to list groups print `IOMMU Group 7 01:00.0 …` or a heading `IOMMU Group 7:`
 * above the devices. lspci's own line, `IOMMU group: 7`, is written otherwise and left alone.
 */
function withoutGroup(line: string): { line: string; group?: number } {
  const found = /^(?:IOMMU )?Group:? {1,20}(\d{1,9}):?(?: +|$)/i.exec(line);
  if (found === null || /^IOMMU group: \d+$/.test(line)) return { line };
  return { line: line.slice(found[0].length), group: Number(found[1]) };
}

/**
 * `IOMMU Group: 7` alone on a line may be either: somebody's heading, or a line of the entry with its capital letter
 * changed. A heading stands in front of an entry, behind an empty line or an entry of one line.
 */
function isGroupField(lines: readonly string[], at: number, entry: LspciEntry): boolean {
  if (!/^IOMMU Group: \d{1,9}$/.test(lines[at]!) || lines[at - 1] === '') return false;
  return entry.verbose || !HEADER.test(lines[at + 1] ?? '');
}

const HEX_LINE = /^([0-9a-f]{2,3}): ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})$/i;

function takeBody(entry: LspciEntry, line: string, lines: string[], at: number, notes: Notes): void {
  const hex = HEX_LINE.exec(line);
  if (hex) {
    takeHex(entry, Number.parseInt(hex[1]!, 16), hex[2]!, notes);
    return;
  }
  if (entry.header.wantsIds && !entry.verbose && !/^[\w ]{1,40}:/.test(line)) {
    takeIds(entry.header, line);
    entry.header.wantsIds = false;
  }
  if (/^ACSC(?:ap|tl):/.test(line) && acsWord(line) === undefined) {
    // A line wrapped by a mail program goes on in the next one.
    const joined = `${line} ${lines[at + 1] ?? ''}`;
    if (acsWord(joined) !== undefined) {
      takeLine(entry, joined);
      return;
    }
    notes.add(`${entry.header.where}: ${line.slice(0, 6)} line is incomplete; ACS unknown`);
  }
  takeLine(entry, line);
}

/** Lines must follow each other: bytes behind a gap cannot be placed. */
function takeHex(entry: LspciEntry, offset: number, bytes: string, notes: Notes): void {
  if (offset !== entry.hex.length) {
    if (offset > entry.hex.length)
      notes.add(`${entry.header.where}: hex dump has a gap before ${offset.toString(16)}`);
    return;
  }
  for (const byte of bytes.split(' ')) entry.hex.push(Number.parseInt(byte, 16));
}

/**
 * -PP prints every bridge on the way with its bus. -P prints only slot and function below the first, so the bus
 * is the secondary one of the bridge whose path comes before.
 */
function locate(
  where: string,
  bridges: ReadonlyMap<string, PlacedEntry>,
): Omit<PlacedEntry, 'entry' | 'line'> | undefined {
  const slash = where.lastIndexOf('/');
  if (slash < 0) {
    const address = parseAddress(where);
    return address && { address: formatAddress(address) };
  }
  const last = where.slice(slash + 1);
  const parent = bridges.get(where.slice(0, slash));
  const first = parseAddress(where.slice(0, where.indexOf('/')));
  if (first === undefined) return undefined;
  let own = last.includes(':') ? parseAddress(last) : undefined;
  const behind = parent?.entry.bridge?.secondary;
  if (own === undefined && behind !== undefined) own = parseAddress(`${behind.toString(16)}:${last}`);
  if (own === undefined) return undefined;
  const address = formatAddress({ ...own, domain: first.domain });
  const above = parent && (parent.path ?? rootPath(parent.address));
  return { address, ...(above !== undefined && { path: `${above}/${address}` }) };
}

function rootPath(address: string): string {
  return `pci${address.slice(0, -5)}/${address}`;
}

/**
 * One entry per address: a later one adds what the earlier did not say (`lspci -nnk`, then `lspci -vv -s …`).
 *
 * @throws InputError naming the line where another device has the same address: two machines in one text
 */
export function mergeEntries(placed: readonly PlacedEntry[], place: string, notes: Notes): PlacedEntry[] {
  const merged = new Map<string, PlacedEntry>();
  for (const next of placed) {
    const before = merged.get(next.address);
    if (before !== undefined) checkSame(before, next, place, notes);
    merged.set(next.address, before === undefined ? next : merge(before, next));
  }
  return sortByAddress([...merged.values()]);
}

function checkSame(before: PlacedEntry, next: PlacedEntry, place: string, notes: Notes): void {
  const [a, b] = [before.entry, next.entry];
  const differ = (field: 'vendor' | 'device') =>
    a.header[field] !== undefined && b.header[field] !== undefined && a.header[field] !== b.header[field];
  if (differ('vendor') || differ('device')) {
    throw new InputError(
      `${place}:${next.line}`,
      `another device at ${next.address} than in line ${before.line}: two machines seem to be pasted together`,
    );
  }
  if (a.group !== undefined && b.group !== undefined && a.group !== b.group)
    notes.add(`${next.address}: told to be in group ${a.group} and in group ${b.group}`);
}

function merge(first: PlacedEntry, second: PlacedEntry): PlacedEntry {
  const [better, other] = weight(second.entry) > weight(first.entry) ? [second, first] : [first, second];
  const entry = {
    ...other.entry,
    ...better.entry,
    header: { ...other.entry.header, ...better.entry.header },
  };
  if (entry.hex.length < other.entry.hex.length) entry.hex = other.entry.hex;
  const path = better.path ?? other.path;
  return { address: better.address, line: first.line, ...(path !== undefined && { path }), entry };
}

function weight(entry: LspciEntry): number {
  if (entry.denied || entry.cut) return 1;
  return entry.verbose ? 2 + entry.standard.size + entry.extended.size : 0;
}

/** Splits lspci text into entries with full addresses. */

import { formatAddress, parseAddress } from '../pci/address.ts';
import { shown, sortByAddress } from './host-tree.ts';
import { acsWord } from './lspci-capabilities.ts';
import { type LspciEntry, newEntry, takeLine } from './lspci-entry.ts';
import { parseHeader, takeIds } from './lspci-header.ts';
import { cleanLines } from './lspci-lines.ts';
import type { Notes } from './notes.ts';

export interface PlacedEntry {
  address: string;
  /** Below /sys/devices, where the text was made with -P or -PP. */
  path?: string;
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
    const { line, group } = withoutGroup(lines[i]!);
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
    const found = { ...place, entry };
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
): Omit<PlacedEntry, 'entry'> | undefined {
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

/** One entry per address: a later one adds what the earlier did not say (`lspci -nnk`, then `lspci -vv -s …`). */
export function mergeEntries(placed: readonly PlacedEntry[]): PlacedEntry[] {
  const merged = new Map<string, PlacedEntry>();
  for (const next of placed) {
    const before = merged.get(next.address);
    merged.set(next.address, before === undefined ? next : merge(before, next));
  }
  return sortByAddress([...merged.values()]);
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
  return { address: better.address, ...(path !== undefined && { path }), entry };
}

function weight(entry: LspciEntry): number {
  if (entry.denied || entry.cut) return 1;
  return entry.verbose ? 2 + entry.standard.size + entry.extended.size : 0;
}

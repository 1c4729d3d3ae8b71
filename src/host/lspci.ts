/** Reads what lspci prints: lists, -v to -vvv, -x to -xxxx, and texts in which people pasted them. */

import { InputError } from '../kernel/errors.ts';
import type { Reader } from './forms.ts';
import type { LspciEntry } from './lspci-entry.ts';
import { entryFacts, type LspciText, textKind } from './lspci-facts.ts';
import { cleanLines, decodeText, HEADER } from './lspci-lines.ts';
import { mergeEntries, type PlacedEntry, parseEntries } from './lspci-parse.ts';
import { resourcesOf } from './lspci-regions.ts';
import { Notes } from './notes.ts';
import type { GroupFacts, PciFacts, Snapshot } from './snapshot.ts';
import { SNAPSHOT_VERSION } from './snapshot.ts';
import { configFacts } from './sysfs-device.ts';

/** The dump of the largest servers is a few MiB. */
const LONGEST_TEXT = 64 * 1024 * 1024;
/** An entry is looked for this far into a text. */
const LOOKED_AT = 1024 * 1024;

/** Forms of lspci that do not say what is needed, with what to run instead. */
const OTHER_FORMS: [RegExp, string][] = [
  [/^[-+\\]{1,3}\[[0-9a-f:]{2,}\](?:-|$)/, 'a tree of lspci -t'],
  [/^(?:Slot|Device):\s+[0-9a-f:]{5,}\.[0-7]$/, 'lspci -vmm'],
  [/^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] "/, 'lspci -mm'],
];

export const lspciReader: Reader = {
  form: 'lspci text',
  recognise: (bytes) => {
    const lines = cleanLines(decodeText(bytes.subarray(0, LOOKED_AT)));
    return lines.some((line) => HEADER.test(withoutGroupPrefix(line)) || otherForm(line) !== undefined);
  },
  read: (bytes, place) => readLspci(bytes, place),
};

/** @throws InputError when no device can be made of the text */
function readLspci(bytes: Uint8Array, place: string): Snapshot {
  if (bytes.length > LONGEST_TEXT) throw new InputError(place, 'lspci text longer than 64 MiB');
  const source = decodeText(bytes);
  const notes = new Notes();
  const entries = mergeEntries(parseEntries(source, notes), place, notes);
  if (entries.length === 0) throw new InputError(place, whyNothing(source));
  const all = entries.map(({ entry }) => entry);
  const text = textKind(all);
  const told = driversTold(all, text);
  const fullDump = all.some((entry) => entry.hex.length > 256);
  const groups = groupsOf(entries);
  addNotes(all, text, groups, notes);
  return {
    ringfence: 'snapshot',
    version: SNAPSHOT_VERSION,
    form:
      all.some((entry) => entry.hex.length > 0) && !all.some((entry) => entry.verbose) ? 'hexdump' : 'lspci',
    kernel: {},
    devices: entries.map((placed) => deviceOf(placed, text, fullDump, told)),
    others: [],
    ...(groups !== undefined && { groups }),
    acpi: {},
    ...notes.field(),
  };
}

function deviceOf(placed: PlacedEntry, text: LspciText, fullDump: boolean, told: DriversTold): PciFacts {
  const { address, path, entry } = placed;
  const { header } = entry;
  const driver = entry.driver ?? (told === 'all' || (told === 'verbose' && entry.verbose) ? null : undefined);
  const resources = resourcesOf(entry.regions);
  const config = entry.hex.length === 0 ? undefined : configOf(entry, fullDump);
  return {
    address,
    ...(path !== undefined && { path }),
    ...idsOf(entry),
    ...(entry.subsystem && { subsystemVendor: entry.subsystem[0], subsystemDevice: entry.subsystem[1] }),
    ...(config === undefined ? { said: entryFacts(entry, text) } : { config }),
    ...(header.label !== undefined && { label: header.label }),
    ...(driver !== undefined && { driver }),
    ...(entry.modules && { modules: entry.modules }),
    ...(entry.numaNode !== undefined && { numaNode: entry.numaNode }),
    ...(entry.irq !== undefined && { irq: entry.irq }),
    ...(resources && { resources }),
  };
}

/**
 * The header's ids are the kernel's, which for a virtual function are not those in its registers (ffff). The
 * registers add what the header does not print: without -n the ids, without -v the programming interface.
 */
function idsOf({ header, hex }: LspciEntry): Partial<PciFacts> {
  const word = (at: number) => (hex.length < 64 ? undefined : hex[at]! | (hex[at + 1]! << 8));
  const answered = word(0) !== undefined && word(0) !== 0xffff;
  const vendor = header.vendor ?? (answered ? word(0) : undefined);
  const device = header.device ?? (answered ? word(2) : undefined);
  const revision = header.silent ? undefined : (header.revision ?? (answered ? hex[8] : undefined));
  const registers = answered ? (word(10)! << 8) | hex[9]! : undefined;
  const base = header.class === undefined ? undefined : header.class >> 8;
  const code =
    base === undefined || registers === undefined || registers >> 8 === base
      ? (registers ?? header.class)
      : header.class;
  return {
    ...(vendor !== undefined && { vendor }),
    ...(device !== undefined && { device }),
    ...(code !== undefined && { class: code }),
    ...(revision !== undefined && { revision }),
  };
}

/** A dump of 256 bytes is all there is only where other devices of the same run show more (-xxxx). */
function configOf(entry: LspciEntry, fullDump: boolean): PciFacts['config'] {
  const bytes = Uint8Array.from(entry.hex.slice(0, 4096));
  return configFacts(bytes, fullDump && bytes.length >= 256 ? bytes.length : undefined);
}

type DriversTold = 'none' | 'verbose' | 'all';

/** Where drivers are told at all (-k, -v), no driver line means no driver, in every entry told as fully. */
function driversTold(entries: readonly LspciEntry[], text: LspciText): DriversTold {
  if (!entries.some((entry) => entry.driver !== undefined)) return 'none';
  return entries.some((entry) => entry.verbose) && !text.trimmed ? 'verbose' : 'all';
}

/** `undefined` when no entry tells a group: old lspci, no IOMMU, or no -v. Then nothing is known. */
function groupsOf(entries: readonly PlacedEntry[]): GroupFacts[] | undefined {
  const groups = new Map<number, GroupFacts>();
  for (const { address, entry } of entries) {
    if (entry.group === undefined) continue;
    const group = groups.get(entry.group) ?? { id: entry.group, devices: [] };
    group.devices.push(address);
    groups.set(entry.group, group);
  }
  return groups.size === 0 ? undefined : [...groups.values()].sort((a, b) => a.id - b.id);
}

function addNotes(
  entries: readonly LspciEntry[],
  text: LspciText,
  groups: GroupFacts[] | undefined,
  notes: Notes,
): void {
  const count = (test: (entry: LspciEntry) => boolean) => entries.filter(test).length;
  const denied = count((entry) => entry.denied);
  if (denied > 0)
    notes.add(`capabilities of ${denied} devices are hidden (access denied): run lspci as root`);
  const cut = count((entry) => entry.cut);
  if (cut > 0) notes.add(`capability lines of ${cut} devices are cut off: what they hide is unknown`);
  const silent = count((entry) => entry.header.silent);
  if (silent > 0) notes.add(`${silent} devices did not answer (rev ff): asleep or gone`);
  const brief = count((entry) => !entry.verbose && entry.hex.length === 0);
  if (brief === entries.length) notes.add('a list without capabilities: run lspci -vvnn as root');
  else if (brief > 0 && !text.trimmed && groups !== undefined) {
    notes.add(`${brief} devices are listed without details; their groups are not told`);
  }
}

function whyNothing(source: string): string {
  for (const line of cleanLines(source.slice(0, LOOKED_AT))) {
    const form = otherForm(line);
    if (form !== undefined) return `${form} does not tell what is needed: run lspci -vvnn as root`;
  }
  return 'no PCI device found in this text: run lspci -vvnn as root';
}

function otherForm(line: string): string | undefined {
  return OTHER_FORMS.find(([pattern]) => pattern.test(line))?.[1];
}

function withoutGroupPrefix(line: string): string {
  return line.replace(/^(?:IOMMU )?Group:? {1,20}\d{1,9}:? +/i, '');
}

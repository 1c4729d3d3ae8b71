/** Collects what the lines of one lspci entry say. What it means that a line is missing is decided later. */

import { acsWord, extendedName, pcieType } from './lspci-capabilities.ts';
import type { LspciHeader } from './lspci-header.ts';
import { type RegionFacts, takeRegion } from './lspci-regions.ts';

export interface LspciEntry {
  header: LspciHeader;
  /** Any line that only -v prints. */
  verbose: boolean;
  /** The lines that lspci -v prints for every device: without them somebody cut the entry down. */
  whole: boolean;
  /** The Status line's word on whether the device has capabilities. */
  statusCap?: boolean;
  denied: boolean;
  /** Names of capabilities, by offset below or from 0x100. */
  standard: Set<string>;
  extended: Set<string>;
  /** A capability line was cut off: what was not seen may still be there. */
  cut: boolean;
  /** lspci itself lost the capability list, where the kernel loses it too. */
  chain?: string;
  bridge?: { primary: number; secondary: number; subordinate: number };
  unknownHeader: boolean;
  cardBus: boolean;
  /** `undefined` words: an Express capability whose type could not be read. */
  pcieType?: number | undefined;
  flr?: boolean;
  ariForwarding?: boolean;
  ariForwardingEnabled?: boolean;
  acsCapability?: number;
  acsControl?: number;
  sriovEnabled?: boolean;
  vfs?: { total: number; num: number };
  vfPlace?: { offset: number; stride: number; device: number };
  noSoftReset?: boolean;
  afFlr?: boolean;
  pasidBits?: number;
  atsEnabled?: boolean;
  group?: number;
  driver?: string;
  modules?: string[];
  numaNode?: number;
  irq?: number;
  subsystem?: [vendor: number, device: number];
  /** By number; the expansion ROM is 6, as in sysfs. */
  regions: Map<number, RegionFacts>;
  /** Configuration space, where the dump has it. */
  hex: number[];
}

export function newEntry(header: LspciHeader): LspciEntry {
  return {
    header,
    verbose: false,
    whole: false,
    denied: false,
    cut: false,
    standard: new Set(),
    extended: new Set(),
    unknownHeader: false,
    cardBus: false,
    regions: new Map(),
    hex: [],
  };
}

const VERBOSE =
  /^(?:Control|Status|Flags|Latency|Interrupt|NUMA node|IOMMU [Gg]roup|Region \d|Bus|Memory (?:at|behind)|I\/O (?:ports|behind)|Prefetchable memory|Capabilities|Expansion ROM|BridgeCtl|Secondary status)\b/;

/** One line below the header, without indentation: pasted text often has lost it. */
export function takeLine(entry: LspciEntry, line: string): void {
  if (VERBOSE.test(line)) takeField(entry, line);
  else if (line.startsWith('Kernel ')) takeKernel(entry, line);
  else if (line.startsWith('Subsystem:')) takeSubsystem(entry, line);
  else if (line.startsWith('!!! Unknown header type')) entry.unknownHeader = true;
  else if (/^Cap[abilites]{0,9}$/.test(line) || /^Capabilities:? ?\[[^\]]*$/.test(line)) {
    entry.cut = true;
  } else takeDetail(entry, line);
}

function takeField(entry: LspciEntry, line: string): void {
  entry.verbose = true;
  if (line.startsWith('Capabilities')) {
    takeCapability(entry, line);
    return;
  }
  if (line.startsWith('Control: I/O') || /^Flags:.*\bdevsel\b/.test(line)) entry.whole = true;
  const status = /^Status: Cap([+-])/.exec(line);
  if (status) {
    entry.whole = true;
    entry.statusCap = status[1] === '+';
  }
  // Long form `IOMMU group: 3`; short form inside Flags, `IOMMU group 3`.
  const group = /\bIOMMU [Gg]roup:? (\d{1,9})\b/.exec(line);
  if (group) entry.group = Number(group[1]);
  const node = /\bNUMA node:? (\d{1,6})\b/.exec(line);
  if (node) entry.numaNode = Number(node[1]);
  const irq = /\bIRQ (\d{1,9})\b/.exec(line);
  if (irq) entry.irq = Number(irq[1]);
  const bus = /^Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})/.exec(line);
  if (bus) {
    const [primary, secondary, subordinate] = bus.slice(1).map((digits) => Number.parseInt(digits, 16));
    entry.bridge = { primary: primary!, secondary: secondary!, subordinate: subordinate! };
  }
  if (/^Status: D\d/.test(line)) takeDetail(entry, line);
  takeRegion(entry.regions, line);
}

function takeKernel(entry: LspciEntry, line: string): void {
  const driver = /^Kernel driver in use: (?!\.{1,2}(?:\s|$))([^\s/]+)/.exec(line);
  if (driver) entry.driver = driver[1]!;
  const modules = /^Kernel modules: (.+)/.exec(line);
  if (modules) entry.modules = modules[1]!.split(/, */).filter((name) => name !== '');
}

function takeSubsystem(entry: LspciEntry, line: string): void {
  const ids =
    /\[([0-9a-f]{4}):([0-9a-f]{4})\]$/i.exec(line) ?? /^Subsystem: ([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(line);
  if (ids) entry.subsystem = [Number.parseInt(ids[1]!, 16), Number.parseInt(ids[2]!, 16)];
}

function takeCapability(entry: LspciEntry, line: string): void {
  const found = /^Capabilities: \[([0-9a-f]{2,3})(?: v\d{1,2})?\] (.*)/.exec(line);
  if (found === null) {
    if (/^Capabilities: <(?:access denied|available only to root)>/.test(line)) entry.denied = true;
    else entry.cut = true;
    return;
  }
  const words = found[2]!;
  if (words.startsWith('<chain')) entry.chain = `lspci: capability list ${words.slice(0, 40)}`;
  else if (Number.parseInt(found[1]!, 16) >= 0x100) entry.extended.add(extendedName(words));
  else if (/^(?:PCI )?Express\b/.test(words)) {
    entry.standard.add('express');
    entry.pcieType = pcieType(words);
  } else if (words.startsWith('Power Management')) entry.standard.add('pm');
  else if (words.startsWith('PCI Advanced Features')) entry.standard.add('af');
  else if (words.startsWith('Secure device')) entry.standard.add('iommu');
  else entry.standard.add('other');
}

/** Lines inside capabilities. Their words are unlike enough that none needs to know which capability it is in. */
function takeDetail(entry: LspciEntry, line: string): void {
  if (line.startsWith('ACSCap:')) setKnown(entry, 'acsCapability', acsWord(line));
  if (line.startsWith('ACSCtl:')) setKnown(entry, 'acsControl', acsWord(line));
  if (/^ACSC(?:ap|tl):/.test(line)) entry.extended.add('acs');
  if (line.startsWith('IOVCtl:')) entry.extended.add('sriov');
  // Only DevCtl2 has the word on its first line; DevCap2 may have it on any of its own.
  setKnown(
    entry,
    line.startsWith('DevCtl2:') ? 'ariForwardingEnabled' : 'ariForwarding',
    flag(line, 'ARIFwd'),
  );
  if (line.startsWith('AFCap:')) setKnown(entry, 'afFlr', flag(line, 'FLR'));
  // DevCtl has the same word for the bit that starts a reset.
  if (!line.includes('RlxdOrd')) setKnown(entry, 'flr', flag(line, 'FLReset'));
  setKnown(entry, 'noSoftReset', flag(line, 'NoSoftRst'));
  if (line.startsWith('IOVCtl:')) setKnown(entry, 'sriovEnabled', flag(line, 'Enable'));
  if (line.startsWith('ATSCtl:')) setKnown(entry, 'atsEnabled', flag(line, 'Enable'));
  const pasid = /Max PASID Width: ([0-9a-f]{2})\b/.exec(line);
  if (pasid) entry.pasidBits = Number.parseInt(pasid[1]!, 16);
  const vfs = /Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})\b/.exec(line);
  if (vfs) entry.vfs = { total: Number(vfs[1]), num: Number(vfs[2]) };
  const place = /VF offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})\b/.exec(line);
  if (place) {
    entry.vfPlace = {
      offset: Number(place[1]),
      stride: Number(place[2]),
      device: Number.parseInt(place[3]!, 16),
    };
  }
  if (line.startsWith('Memory window 0:')) entry.cardBus = true;
}

function setKnown<K extends keyof LspciEntry>(
  entry: LspciEntry,
  field: K,
  value: LspciEntry[K] | undefined,
): void {
  if (value !== undefined) entry[field] = value;
}

function flag(line: string, name: string): boolean | undefined {
  const at = line.indexOf(name);
  const sign = at < 0 ? '' : line[at + name.length];
  return sign === '+' ? true : sign === '-' ? false : undefined;
}

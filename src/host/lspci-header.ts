/** The line that starts an lspci entry: address or path, class, names, ids, revision. */

import { HEADER } from './lspci-lines.ts';

export interface LspciHeader {
  /** As printed, lower case: `00:1c.0`, `0001:00:00.0`, or a path of them. */
  where: string;
  /** 24 bits; without -v lspci prints no programming interface, which then counts as 0. */
  class?: number;
  vendor?: number;
  device?: number;
  revision?: number;
  /** Vendor and device name as printed. */
  label?: string;
  /** The ids stand on a following line (mail programs wrap), or were cut off. */
  wantsIds: boolean;
  /** Configuration space read as all ones: the device did not answer. */
  silent: boolean;
}

export function parseHeader(line: string): LspciHeader | undefined {
  const found = HEADER.exec(line);
  if (found === null) return undefined;
  const rest = line.slice(found[0].length);
  const revision = /\(rev ([0-9a-f]{2})\)/i.exec(rest)?.[1];
  const interfaceCode = /\(prog-if ([0-9a-f]{2})/i.exec(rest)?.[1];
  const header: LspciHeader = {
    where: found[1]!.toLowerCase(),
    wantsIds: !takesIds(rest),
    silent: revision === 'ff' && interfaceCode === 'ff',
  };
  const base = classCode(found[2]!);
  if (base !== undefined)
    header.class = base * 0x100 + (interfaceCode ? Number.parseInt(interfaceCode, 16) : 0);
  takeIds(header, rest);
  // lspci prints a revision only when it is not 0, but what was cut off may have held one.
  if (revision !== undefined) header.revision = Number.parseInt(revision, 16);
  else if (header.device !== undefined) header.revision = 0;
  const label = rest
    .replace(/ \((rev|prog-if) [^()]*\)?/g, '')
    .replace(/\[?[0-9a-f]{4}:[0-9a-f]{4}\]?\s*$/i, '')
    .trim();
  if (label !== '') header.label = label.slice(0, 200);
  return header;
}

const BRACKETED = /\[([0-9a-f]{4}):([0-9a-f]{4})\]/gi;

function takesIds(text: string): boolean {
  return text.search(BRACKETED) >= 0 || /^[0-9a-f]{4}:[0-9a-f]{4}\b/i.test(text);
}

/** Takes `[8086:10c9]` (-nn), `8086:10c9` (-n), or the vendor alone of ids that lspci cut off (`[1002:a...`). */
export function takeIds(header: LspciHeader, text: string): void {
  const whole = [...text.matchAll(BRACKETED)].at(-1) ?? /^([0-9a-f]{4}):([0-9a-f]{4})\b/i.exec(text);
  const found = whole ?? /\[([0-9a-f]{4}):[0-9a-f]{0,3}\.{3}/i.exec(text);
  if (!found) return;
  header.vendor = Number.parseInt(found[1]!, 16);
  if (found[2] !== undefined) header.device = Number.parseInt(found[2], 16);
}

/** `PCI bridge [0604]`, `0604`, or the name alone for the classes that decide something. */
function classCode(words: string): number | undefined {
  const digits = /\[([0-9a-f]{4})\]$/i.exec(words)?.[1] ?? /^([0-9a-f]{4})$/i.exec(words)?.[1];
  if (digits !== undefined) return Number.parseInt(digits, 16);
  return CLASS_BY_NAME.get(words.toLowerCase());
}

/** lspci without -n or -nn prints names only. These are its names for the classes met on PCs and servers. */
const CLASS_BY_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries({
    'scsi storage controller': 0x0100,
    'ide interface': 0x0101,
    'raid bus controller': 0x0104,
    'sata controller': 0x0106,
    'serial attached scsi controller': 0x0107,
    'non-volatile memory controller': 0x0108,
    'mass storage controller': 0x0180,
    'ethernet controller': 0x0200,
    'infiniband controller': 0x0207,
    'network controller': 0x0280,
    'vga compatible controller': 0x0300,
    '3d controller': 0x0302,
    'display controller': 0x0380,
    'multimedia video controller': 0x0400,
    'multimedia audio controller': 0x0401,
    'audio device': 0x0403,
    'multimedia controller': 0x0480,
    'ram memory': 0x0500,
    'memory controller': 0x0580,
    'host bridge': 0x0600,
    'isa bridge': 0x0601,
    'pci bridge': 0x0604,
    'cardbus bridge': 0x0607,
    bridge: 0x0680,
    'serial controller': 0x0700,
    'communication controller': 0x0780,
    pic: 0x0800,
    'sd host controller': 0x0805,
    iommu: 0x0806,
    'system peripheral': 0x0880,
    'firewire (ieee 1394)': 0x0c00,
    'usb controller': 0x0c03,
    smbus: 0x0c05,
    'serial bus controller': 0x0c80,
    'encryption controller': 0x1080,
    'signal processing controller': 0x1180,
    'processing accelerators': 0x1200,
    'non-essential instrumentation': 0x1300,
  }),
);

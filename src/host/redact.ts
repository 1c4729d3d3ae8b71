/**
 * Takes out of a snapshot what identifies one specimen of a machine, and changes no fact that grouping or any
 * report rests on.
 *
 * What is removed, and where such numbers hide:
 * - Device Serial Number (extended capability 0003h): eight bytes, in network cards made of the MAC address.
 * - Vital Product Data (capability 03h): configuration space has only a window of an address and a data word. The
 *   data word shows the last word read of the device's part and serial numbers.
 * - The kernel command line, whose parameters name disks, networks and passwords (`redactCommandLine`).
 * - Where things are mounted: UUIDs, and the user's name and the volume's label in /run/media/USER/LABEL. Interfaces
 *   that udev names after their MAC address (enx…).
 *
 * What stays: vendor-specific capabilities. Their content is not defined, drivers keep registers there, and
 * zeroing them would lose facts (virtio's layout, Intel's ACS words); no serial number is known to be in one. DMI
 * serial numbers and UUIDs are never read at all.
 */

import { redactCommandLine } from './redact-command-line.ts';
import type { ConfigFacts, PciFacts, Snapshot, UsageFacts } from './snapshot.ts';

const SERIAL_NUMBER = 0x0003;
const VITAL_PRODUCT_DATA = 0x03;
const EXTENDED_START = 0x100;

export function redact(snapshot: Snapshot): Snapshot {
  const { cmdline } = snapshot.kernel;
  return {
    ...snapshot,
    kernel:
      cmdline === undefined ? snapshot.kernel : { ...snapshot.kernel, cmdline: redactCommandLine(cmdline) },
    devices: snapshot.devices.map(redactDevice),
    ...(snapshot.usage !== undefined && { usage: snapshot.usage.map(redactUsage) }),
  };
}

function redactUsage(usage: UsageFacts): UsageFacts {
  const { detail, through } = usage;
  return {
    ...usage,
    detail: redactPath(detail),
    ...(through !== undefined && { through: redactPath(through) }),
  };
}

/** Folders that desktops name after users and volumes, and the name udev makes of a MAC address. */
const MEDIA = /^((?:\/run)?\/media)\/.+/;
const NAMED_AFTER_MAC = /\b(wlx|enx|wwx|slx|ibx)([0-9a-f]{12})\b/gi;

function redactPath(text: string): string {
  return redactText(text)
    .replace(NAMED_AFTER_MAC, (_, prefix: string) => prefix + '0'.repeat(12))
    .replace(MEDIA, '$1/removed');
}

/** Six hex pairs or more, and UUIDs. PCI addresses look like neither. */
const MAC = /(?<![0-9a-f])[0-9a-f]{2}(?:(?:-[0-9a-f]{2}){5,}|(?::[0-9a-f]{2}){5,})(?![0-9a-f])/gi;
const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;
function redactText(text: string): string {
  const zeros = (found: string) => found.replace(/[0-9a-f]/gi, '0');
  return text.replace(UUID, zeros).replace(MAC, zeros);
}

function redactDevice(device: PciFacts): PciFacts {
  return device.config === undefined ? device : { ...device, config: redactConfig(device.config) };
}

/** Zeroes serial numbers; lengths, headers and every other byte stay. */
export function redactConfig(config: ConfigFacts): ConfigFacts {
  const bytes = Buffer.from(config.bytes, 'hex');
  let changed = false;
  const clear = (from: number, count: number) => {
    if (from >= bytes.length) return;
    bytes.fill(0, from, Math.min(from + count, bytes.length));
    changed = true;
  };
  for (const at of capabilityOffsets(bytes)) if (bytes[at] === VITAL_PRODUCT_DATA) clear(at + 4, 4);
  for (const at of extendedOffsets(bytes)) if (bytes.readUInt16LE(at) === SERIAL_NUMBER) clear(at + 4, 8);
  return changed ? { ...config, bytes: bytes.toString('hex').replace(/(?:00)+$/, '') } : config;
}

/** The list as the kernel walks it (`pci_find_next_cap`): at most 48 entries, dword aligned, none in the header. */
function capabilityOffsets(bytes: Buffer): number[] {
  const offsets: number[] = [];
  if (((bytes[0x06] ?? 0) & 0x10) === 0) return offsets;
  const cardBus = ((bytes[0x0e] ?? 0) & 0x7f) === 2;
  let at = (bytes[cardBus ? 0x14 : 0x34] ?? 0) & 0xfc;
  while (at >= 0x40 && at + 1 < bytes.length && offsets.length < 48) {
    offsets.push(at);
    at = bytes[at + 1]! & 0xfc;
  }
  return offsets;
}

function extendedOffsets(bytes: Buffer): number[] {
  const offsets: number[] = [];
  let at = EXTENDED_START;
  while (at >= EXTENDED_START && at + 4 <= bytes.length && offsets.length < (4096 - EXTENDED_START) / 8) {
    offsets.push(at);
    at = (bytes.readUInt16LE(at + 2) >> 4) & 0xffc;
  }
  return offsets;
}

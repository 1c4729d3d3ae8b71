/** The machine around its devices: kernel, board, architecture, firmware tables, order of the device list. */

import { parseAddress, rid } from '../pci/address.ts';
import { type HostTree, under } from './host-tree.ts';
import type { Notes } from './notes.ts';
import type { PciFacts, Snapshot } from './snapshot.ts';
import { firstLine } from './sysfs-device.ts';

/** Tables that say which devices an IOMMU translates and what memory is reserved. */
const ACPI_TABLES = ['DMAR', 'IVRS', 'VIOT', 'IORT'];
/** IORT of a large server is some hundred kilobytes. */
const ACPI_LIMIT = 1 << 20;

export function readKernel(tree: HostTree): Snapshot['kernel'] {
  const read = (name: string) => firstLine(tree.files.readText(under(tree.proc, name)));
  const release = read('sys/kernel/osrelease');
  const version = read('sys/kernel/version');
  const cmdline = read('cmdline');
  return {
    ...(release && { release }),
    ...(version && { version }),
    ...(cmdline !== undefined && { cmdline }),
  };
}

/** Vendor and board name, without what firmware authors forgot to fill in. Never serial numbers or UUIDs. */
export function readBoard(tree: HostTree): string | undefined {
  const words = ['board_vendor', 'board_name']
    .map((name) => firstLine(tree.files.readText(under(tree.sys, `class/dmi/id/${name}`))) ?? '')
    .filter(
      (word) =>
        word !== '' &&
        !/^(to be filled|default string|not specified|n\/a|none|unknown|o\.?e\.?m)/i.test(word),
    );
  return words.length === 0 ? undefined : words.join(' ').slice(0, 200);
}

/** Distributions end their releases with the architecture, in their own words for it. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    amd64: 'x86_64',
    x86_64: 'x86_64',
    arm64: 'aarch64',
    aarch64: 'aarch64',
    riscv64: 'riscv64',
    ppc64le: 'ppc64le',
    s390x: 's390x',
    loong64: 'loongarch64',
  }),
);

export function readArch(tree: HostTree, release: string | undefined): string | undefined {
  if (tree.arch !== undefined) return tree.arch;
  const suffix = /[-.]([a-z0-9_]+)$/.exec(release ?? '')?.[1];
  return suffix === undefined ? undefined : ARCHITECTURES.get(suffix);
}

export function readAcpi(tree: HostTree, notes: Notes): Record<string, string> {
  const tables: Record<string, string> = {};
  for (const name of ACPI_TABLES) {
    const path = under(tree.sys, `firmware/acpi/tables/${name}`);
    if (!tree.files.exists(path)) continue;
    const bytes = tree.files.read(path, ACPI_LIMIT);
    if (bytes === undefined || bytes.length === 0)
      notes.add(`ACPI table ${name} cannot be read; root can read it`);
    else tables[name] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  }
  return tables;
}

/**
 * /proc/bus/pci/devices prints the kernel's device list, but without domains: `undefined` when two devices of
 * different domains could be meant, or when it does not name every device once.
 */
export function readDeviceOrder(tree: HostTree, devices: readonly PciFacts[]): string[] | undefined {
  const text = tree.files.readText(under(tree.proc, 'bus/pci/devices'));
  if (!text) return undefined;
  const byRequester = new Map<number, string>();
  for (const { address } of devices) {
    const parsed = parseAddress(address)!;
    const requester = rid(parsed.bus, parsed.devfn);
    if (byRequester.has(requester)) return undefined;
    byRequester.set(requester, address);
  }
  const order: string[] = [];
  for (const line of text.split('\n')) {
    const address = byRequester.get(Number.parseInt(line.slice(0, 4), 16));
    if (address !== undefined) order.push(address);
  }
  return new Set(order).size === devices.length && order.length === devices.length ? order : undefined;
}

/** The functions of a snapshot in numeric order, before anything is known of how they hang together. */

import { InputError } from '../kernel/errors.ts';
import { addressKey, type PciAddress, parseAddress } from './address.ts';
import type { PciFunctionInit } from './device.ts';

export interface FunctionRecord {
  init: PciFunctionInit;
  address: PciAddress;
  /** `addressKey` */
  key: number;
}

/** One number per bus: its key is that of every function on it without the lowest eight bits. */
export function busKey(domain: number, bus: number): number {
  return domain * 0x100 + bus;
}

export function busKeyOf(record: FunctionRecord): number {
  return busKey(record.address.domain, record.address.bus);
}

/** @throws InputError where an address makes no sense or stands twice */
export function recordsOf(functions: readonly PciFunctionInit[]): FunctionRecord[] {
  const records = functions.map((init) => {
    const address = parseAddress(init.address);
    if (address === undefined) throw new InputError(init.address, 'is no PCI address');
    return { init, address, key: addressKey(address) };
  });
  records.sort((a, b) => a.key - b.key);
  for (let i = 1; i < records.length; i++) {
    if (records[i]!.key === records[i - 1]!.key) {
      throw new InputError(records[i]!.init.address, 'stands in the device list twice');
    }
  }
  return records;
}

/** What a path below /sys/devices says a function hangs from. */
export type PathParent =
  | { kind: 'bridge'; address: PciAddress }
  /** Host bridge of `domain:bus`; `owner` is the PCI device the domain belongs to (VMD). */
  | { kind: 'root'; domain: number; bus: number; owner: PciAddress | undefined };

const HOST_BRIDGE = /^pci([0-9a-f]{4,8}):([0-9a-f]{2})$/i;

export function pathParent(path: string | undefined): PathParent | undefined {
  if (path === undefined) return undefined;
  const parts = path.split('/').filter((part) => part !== '');
  const above = parts.at(-2);
  if (above === undefined) return undefined;
  const bridge = parseAddress(above);
  if (bridge !== undefined) return { kind: 'bridge', address: bridge };
  const host = HOST_BRIDGE.exec(above);
  if (host === null) return undefined;
  const owner = parts.at(-3);
  return {
    kind: 'root',
    domain: Number.parseInt(host[1]!, 16),
    bus: Number.parseInt(host[2]!, 16),
    owner: owner === undefined ? undefined : parseAddress(owner),
  };
}

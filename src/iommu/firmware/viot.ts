/**
 * VIOT: which paravirtual IOMMU translates which PCI ranges and platform devices.
 *
 * A node points to its IOMMU by the offset of that node in the table.
 */

import { place, readAcpiTable, type TableBytes } from './acpi-table.ts';

const NODE_COUNT = 36;
const NODE_OFFSET = 38;
/** Header, node count, node offset, eight reserved bytes. */
const MIN_FIRST_NODE = 48;

const Node = { PciRange: 1, Mmio: 2, VirtioPci: 3, VirtioMmio: 4 } as const;
const NODE_LENGTH: Record<number, number> = {
  [Node.PciRange]: 24,
  [Node.Mmio]: 24,
  [Node.VirtioPci]: 16,
  [Node.VirtioMmio]: 16,
};

export interface ViotRange {
  firstEndpoint: number;
  firstSegment: number;
  lastSegment: number;
  /** Requester ids, both inclusive. */
  first: number;
  last: number;
  /** Offset of the IOMMU's node. */
  iommu: number;
}

export type ViotIommu =
  | { at: number; kind: 'pci'; segment: number; requesterId: number }
  | { at: number; kind: 'mmio'; address: bigint };

export interface Viot {
  iommus: ViotIommu[];
  ranges: ViotRange[];
  platform: { endpoint: number; address: bigint; iommu: number }[];
  notes: string[];
}

/**
 * Reads a VIOT table.
 *
 * @throws InputError when there is no usable header
 */
export function parseViot(bytes: Uint8Array): Viot {
  const table = readAcpiTable('VIOT', bytes);
  const viot: Viot = { iommus: [], ranges: [], platform: [], notes: table.notes };
  if (table.bytes.length < MIN_FIRST_NODE) {
    viot.notes.push('ends before its first node');
    return viot;
  }
  walkNodes(table.bytes, viot);
  dropOrphans(viot);
  return viot;
}

/** The IOMMU that translates a requester id, if one does (`viot_pci_dev_iommu_init`). */
export function viotIommuOf(viot: Viot, segment: number, requesterId: number): ViotIommu | undefined {
  const range = viot.ranges.find(
    (candidate) =>
      segment >= candidate.firstSegment &&
      segment <= candidate.lastSegment &&
      requesterId >= candidate.first &&
      requesterId <= candidate.last,
  );
  return range && viot.iommus.find((iommu) => iommu.at === range.iommu);
}

function walkNodes(bytes: TableBytes, viot: Viot): void {
  const count = bytes.u16(NODE_COUNT);
  let at = bytes.u16(NODE_OFFSET);
  if (at < MIN_FIRST_NODE) {
    viot.notes.push(`${place('VIOT', NODE_OFFSET)}: first node lies within the header`);
    return;
  }
  for (let i = 0; i < count; i++) {
    const length = at + 4 <= bytes.length ? bytes.u16(at + 2) : 0;
    const type = length > 0 ? bytes.u8(at) : 0;
    if (length < 4 || at + length > bytes.length || length < (NODE_LENGTH[type] ?? 0)) {
      viot.notes.push(
        `${place('VIOT', at)}: node does not fit, ${count - i} of ${count} nodes not looked at`,
      );
      return;
    }
    readNode(bytes, at, type, viot);
    at += length;
  }
}

function readNode(bytes: TableBytes, at: number, type: number, viot: Viot): void {
  switch (type) {
    case Node.PciRange:
      viot.ranges.push({
        firstEndpoint: bytes.u32(at + 4),
        firstSegment: bytes.u16(at + 8),
        lastSegment: bytes.u16(at + 10),
        first: bytes.u16(at + 12),
        last: bytes.u16(at + 14),
        iommu: bytes.u16(at + 16),
      });
      break;
    case Node.Mmio:
      viot.platform.push({
        endpoint: bytes.u32(at + 4),
        address: bytes.u64(at + 8),
        iommu: bytes.u16(at + 16),
      });
      break;
    case Node.VirtioPci:
      viot.iommus.push({ at, kind: 'pci', segment: bytes.u16(at + 4), requesterId: bytes.u16(at + 6) });
      break;
    case Node.VirtioMmio:
      viot.iommus.push({ at, kind: 'mmio', address: bytes.u64(at + 8) });
      break;
    default:
      viot.notes.push(`${place('VIOT', at)}: node type ${type} unknown`);
  }
}

/** An endpoint whose offset names no IOMMU is translated by none. */
function dropOrphans(viot: Viot): void {
  const known = new Set(viot.iommus.map((iommu) => iommu.at));
  const owned = <T extends { iommu: number }>(nodes: T[]) => nodes.filter((node) => known.has(node.iommu));
  const before = viot.ranges.length + viot.platform.length;
  viot.ranges = owned(viot.ranges);
  viot.platform = owned(viot.platform);
  const lost = before - viot.ranges.length - viot.platform.length;
  if (lost > 0) viot.notes.push(`${lost} endpoint nodes name no IOMMU`);
}

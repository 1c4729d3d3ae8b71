/** Configuration space bytes from a short description, laid out as real functions lay theirs out. */

import { PcieType } from '../../src/pci/facts.ts';

/** Everything a port usually offers (SV TB RR CR UF DT), and what the kernel turns on of it (SV RR CR UF). */
export const ACS_FULL = { capability: 0x5f, control: 0x1d } as const;

export interface FunctionSpace {
  vendor: number;
  device: number;
  /** 24 bits: base class, sub-class, programming interface. */
  class: number;
  revision?: number;
  subsystem?: readonly [vendor: number, device: number];
  multifunction?: boolean;
  /** Makes the header a bridge's (type 1). */
  bridge?: { primary: number; secondary: number; subordinate: number };
  pcie?: PcieSpace;
  acs?: { capability: number; control?: number };
  /** Alternative routing ids; the number is that of the next function, 0 on the last. */
  ari?: { next: number };
  sriov?: SriovSpace;
  /** Power management; `reset`: leaving D3hot resets the function (no NoSoftRst). */
  pm?: { reset: boolean };
  /** Conventional "advanced features" with FLR. */
  af?: boolean;
  msi?: boolean;
  /** Device serial number, 64 bits. */
  serial?: bigint;
  ats?: { enabled: boolean };
  /** Header of an AMD IOMMU's capability, upper 16 bits of the first word. */
  iommuCapability?: number;
  /** Bytes to put on top of all that, by offset. */
  patch?: Record<number, readonly number[]>;
}

export interface PcieSpace {
  /** `PcieType`, or any number for junk. */
  type: number;
  slot?: boolean;
  flr?: boolean;
  ariForwarding?: 'offered' | 'on';
  /** Link speed (1: 2.5 GT/s … 5: 32 GT/s) and width in lanes. */
  link?: readonly [speed: number, width: number];
}

export interface SriovSpace {
  vfs: number;
  total?: number;
  offset: number;
  stride: number;
  device: number;
  /** Default: enabled when there are virtual functions. */
  enabled?: boolean;
}

const CONVENTIONAL = 256;
const EXPRESS = 4096;

/** 4096 bytes where the function is PCIe, else 256. */
export function configSpace(spec: FunctionSpace): Uint8Array {
  const bytes = new Uint8Array(spec.pcie === undefined ? CONVENTIONAL : EXPRESS);
  const at = new DataView(bytes.buffer);
  writeHeader(at, spec);
  writeConventional(at, spec);
  if (spec.pcie !== undefined) writeExtended(at, spec);
  for (const [offset, patch] of Object.entries(spec.patch ?? {})) bytes.set(patch, Number(offset));
  return bytes;
}

/** A virtual function's space: ids read ffff, everything else is its own. */
export function virtualSpace(spec: Omit<FunctionSpace, 'vendor' | 'device' | 'multifunction'>): Uint8Array {
  return configSpace({ ...spec, vendor: 0xffff, device: 0xffff });
}

function writeHeader(at: DataView, spec: FunctionSpace): void {
  at.setUint16(0x00, spec.vendor, true);
  at.setUint16(0x02, spec.device, true);
  at.setUint16(0x04, spec.vendor === 0xffff ? 0 : 0x0406, true);
  at.setUint32(0x08, spec.class * 0x100 + (spec.revision ?? 0), true);
  at.setUint8(0x0c, 0x10);
  at.setUint8(0x0e, (spec.bridge === undefined ? 0 : 1) | (spec.multifunction === true ? 0x80 : 0));
  if (spec.bridge !== undefined) {
    at.setUint8(0x18, spec.bridge.primary);
    at.setUint8(0x19, spec.bridge.secondary);
    at.setUint8(0x1a, spec.bridge.subordinate);
  } else if (spec.subsystem !== undefined) {
    at.setUint16(0x2c, spec.subsystem[0], true);
    at.setUint16(0x2e, spec.subsystem[1], true);
  }
}

/** Capabilities at fixed places, chained in this order. */
function writeConventional(at: DataView, spec: FunctionSpace): void {
  const chain: { at: number; id: number; write(at: number): void }[] = [];
  const { pm, pcie, bridge, subsystem } = spec;
  if (pm !== undefined) {
    chain.push({
      at: 0x40,
      id: 0x01,
      write: (cap) => {
        at.setUint16(cap + 2, 0x0003, true);
        at.setUint16(cap + 4, pm.reset ? 0 : 0x0008, true);
      },
    });
  }
  if (spec.msi === true)
    chain.push({ at: 0x50, id: 0x05, write: (cap) => at.setUint16(cap + 2, 0x0080, true) });
  if (spec.iommuCapability !== undefined) {
    const word = spec.iommuCapability;
    chain.push({ at: 0x68, id: 0x0f, write: (cap) => at.setUint16(cap + 2, word, true) });
  }
  if (pcie !== undefined) chain.push({ at: 0x80, id: 0x10, write: (cap) => writeExpress(at, cap, pcie) });
  if (spec.af === true) {
    chain.push({
      at: 0xc0,
      id: 0x13,
      write: (cap) => {
        at.setUint8(cap + 2, 6);
        at.setUint8(cap + 3, 0x03);
      },
    });
  }
  if (bridge !== undefined && subsystem !== undefined) {
    chain.push({
      at: 0xd0,
      id: 0x0d,
      write: (cap) => {
        at.setUint16(cap + 4, subsystem[0], true);
        at.setUint16(cap + 6, subsystem[1], true);
      },
    });
  }
  if (chain.length === 0) return;
  at.setUint16(0x06, 0x0010, true);
  at.setUint8(0x34, chain[0]!.at);
  for (const [i, capability] of chain.entries()) {
    at.setUint8(capability.at, capability.id);
    at.setUint8(capability.at + 1, chain[i + 1]?.at ?? 0);
    capability.write(capability.at);
  }
}

/** Version 2 of the PCIe capability. */
function writeExpress(at: DataView, cap: number, pcie: PcieSpace): void {
  const [speed, width] = pcie.link ?? [0, 0];
  at.setUint16(cap + 2, 2 | (pcie.type << 4) | (pcie.slot === true ? 0x100 : 0), true);
  at.setUint32(cap + 0x04, 0x8000 | (pcie.flr === true ? 0x10000000 : 0), true);
  at.setUint32(cap + 0x0c, speed | (width << 4), true);
  at.setUint16(cap + 0x12, speed | (width << 4), true);
  if (pcie.ariForwarding !== undefined) at.setUint32(cap + 0x24, 0x20, true);
  if (pcie.ariForwarding === 'on') at.setUint16(cap + 0x28, 0x20, true);
}

function writeExtended(at: DataView, spec: FunctionSpace): void {
  const chain: { id: number; length: number; write(at: number): void }[] = [];
  const { serial, acs, ari, sriov, ats } = spec;
  if (serial !== undefined) {
    chain.push({ id: 0x03, length: 12, write: (cap) => at.setBigUint64(cap + 4, serial, true) });
  }
  if (acs !== undefined) {
    chain.push({
      id: 0x0d,
      length: 8,
      write: (cap) => {
        at.setUint16(cap + 4, acs.capability, true);
        at.setUint16(cap + 6, acs.control ?? 0, true);
      },
    });
  }
  if (ari !== undefined) {
    chain.push({ id: 0x0e, length: 8, write: (cap) => at.setUint8(cap + 5, ari.next) });
  }
  if (ats !== undefined) {
    chain.push({
      id: 0x0f,
      length: 8,
      write: (cap) => at.setUint16(cap + 6, ats.enabled ? 0x8000 : 0, true),
    });
  }
  if (sriov !== undefined) chain.push({ id: 0x10, length: 0x40, write: (cap) => writeSriov(at, cap, sriov) });
  let cap = CONVENTIONAL;
  for (const [i, capability] of chain.entries()) {
    const next = i + 1 < chain.length ? cap + capability.length : 0;
    at.setUint32(cap, capability.id + 0x10000 + next * 0x100000, true);
    capability.write(cap);
    cap = next;
  }
}

function writeSriov(at: DataView, cap: number, sriov: SriovSpace): void {
  const enabled = sriov.enabled ?? sriov.vfs > 0;
  // VF enable and memory space enable.
  at.setUint16(cap + 0x08, enabled ? 0x09 : 0, true);
  at.setUint16(cap + 0x0c, sriov.total ?? sriov.vfs, true);
  at.setUint16(cap + 0x0e, sriov.total ?? sriov.vfs, true);
  at.setUint16(cap + 0x10, sriov.vfs, true);
  at.setUint16(cap + 0x14, sriov.offset, true);
  at.setUint16(cap + 0x16, sriov.stride, true);
  at.setUint16(cap + 0x1a, sriov.device, true);
  // Pages of 4 KiB to 4 MiB offered, 4 KiB in use.
  at.setUint32(cap + 0x1c, 0x553, true);
  at.setUint32(cap + 0x20, 1, true);
}

export { PcieType };

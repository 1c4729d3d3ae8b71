/** Which VT-d unit translates which function (`device_lookup_iommu`), and which memory its RMRRs hold for it. */

import type { PciDevice } from '../../pci/device.ts';
import type { PciTopology } from '../../pci/topology.ts';
import { type Dmar, type DmarReserved, type DmarUnit, unitsInKernelOrder } from '../firmware/dmar.ts';
import { LAST_SEGMENT, ScopeIndex } from './vtd-scopes.ts';

const INTEL = 0x8086;
const DISPLAY = 0x03;
/** Sandy Bridge I/OAT; its unit lies at a fixed distance from the base the host bridge has in VTBAR. */
const IOAT_SNB = 0x402f;
const VTBAR = 0xb0;
const IOAT_UNIT_OFFSET = 0xa000n;

/** Graphics that does not work translated (`quirk_iommu_igfx`): Q35, G4x and GM45, QM57 and QS57, Broadwell. */
const BROKEN_GRAPHICS = new Set([
  0x29b2, 0x2a40, 0x2e00, 0x2e10, 0x2e20, 0x2e30, 0x2e40, 0x2e90, 0x0044, 0x1602, 0x1606, 0x160a, 0x160b,
  0x160d, 0x160e, 0x1612, 0x1616, 0x161a, 0x161b, 0x161d, 0x161e, 0x1622, 0x1626, 0x162a, 0x162b, 0x162d,
  0x162e, 0x1632, 0x1636, 0x163a, 0x163b, 0x163d, 0x163e,
]);

export type Lookup = { unit: DmarUnit } | { unit: undefined; why: string };

export class VtdCoverage {
  /** In the kernel's order. */
  readonly units: readonly DmarUnit[];
  readonly #dmar: Dmar;
  readonly #topology: PciTopology;
  readonly #graphicsOff: boolean;
  #known = new WeakSet<PciDevice>();
  #scopes = new ScopeIndex<number>();
  #reserved = reservedIndex();
  #ignored = new Map<number, string>();
  #includeAll = new Map<number, number>();

  /** @param graphicsOff `intel_iommu=igfx_off` */
  constructor(dmar: Dmar, topology: PciTopology, graphicsOff: boolean) {
    this.#dmar = dmar;
    this.#topology = topology;
    this.units = unitsInKernelOrder(dmar);
    this.#graphicsOff = graphicsOff || topology.devices.some(hasBrokenGraphics);
    this.#build();
    this.#ignore();
  }

  /** Functions of another kind than their scope says; not empty: the kernel leaves VT-d off. */
  get mismatches(): readonly PciDevice[] {
    return [...this.#scopes.mismatches, ...this.#reserved.mismatches];
  }

  /** Units the kernel does not use (`init_no_remapping_devices`), with the reason. */
  ignored(unit: DmarUnit): string | undefined {
    return this.#ignored.get(this.units.indexOf(unit));
  }

  lookup(device: PciDevice): Lookup {
    const real = device.realDmaDevice;
    const physical = real.physfn ?? real;
    this.#notice(physical);
    const first = this.#firstUnit(physical);
    const unit = first === undefined ? undefined : this.units[first];
    if (first === undefined || unit === undefined) {
      return { unit: undefined, why: 'no DMAR unit names it, and none includes all of its segment' };
    }
    const ignored = this.#ignored.get(first);
    if (ignored !== undefined) return { unit: undefined, why: ignored };
    if (hasWrongUnit(real, unit))
      return { unit: undefined, why: 'firmware names the wrong unit for this I/OAT' };
    return { unit };
  }

  /** RMRRs for a device. Unlike units they do not follow virtual functions to their PF. */
  reservedFor(device: PciDevice): DmarReserved[] {
    this.#notice(device);
    return this.#reserved.of(device);
  }

  #firstUnit(device: PciDevice): number | undefined {
    const candidates = this.#scopes.of(device);
    const all = this.#includeAll.get(device.domain);
    return all === undefined ? min(candidates) : min([...candidates, all]);
  }

  /** A function that was plugged in later may be named by a scope that led nowhere so far. */
  #notice(device: PciDevice): void {
    if (!this.#known.has(device) && !device.isVirtual && device.domain <= LAST_SEGMENT) this.#build();
  }

  #build(): void {
    this.#known = new WeakSet(this.#topology.devices);
    this.#scopes = new ScopeIndex();
    this.#reserved = reservedIndex();
    this.#includeAll = new Map();
    for (const [index, unit] of this.units.entries()) {
      if (unit.includeAll) {
        if (!this.#includeAll.has(unit.segment)) this.#includeAll.set(unit.segment, index);
      } else {
        this.#scopes.add(this.#topology, unit.segment, unit.scopes, index);
      }
    }
    for (const region of this.#dmar.reserved) {
      this.#reserved.add(this.#topology, region.segment, region.scopes, region);
    }
  }

  /** Decided once, at boot. */
  #ignore(): void {
    for (const [index, unit] of this.units.entries()) {
      if (unit.includeAll) continue;
      const present = new ScopeIndex<number>().add(this.#topology, unit.segment, unit.scopes, index);
      const hasAcpi = unit.scopes.some((scope) => scope.kind === 'namespace');
      if (present.length === 0 && !hasAcpi)
        this.#ignored.set(index, 'its unit names no device that is there');
      else if (this.#graphicsOff && !hasAcpi && present.every(isDisplay)) {
        this.#ignored.set(index, 'its unit is for graphics only, which is left untranslated');
      }
    }
  }
}

/** The driver compares bus numbers only when it looks for regions (`intel_iommu_get_resv_regions`). */
function reservedIndex(): ScopeIndex<DmarReserved> {
  return new ScopeIndex({ segmentCounts: false });
}

function isDisplay(device: PciDevice): boolean {
  return device.class !== undefined && device.class >>> 16 === DISPLAY;
}

function hasBrokenGraphics(device: PciDevice): boolean {
  return device.vendor === INTEL && BROKEN_GRAPHICS.has(device.device ?? -1) && !device.untrusted;
}

/** `quirk_ioat_snb_local_iommu`; where the host bridge's register was not read the table is believed. */
function hasWrongUnit(device: PciDevice, unit: DmarUnit): boolean {
  if (device.vendor !== INTEL || device.device !== IOAT_SNB) return false;
  const base = device.pciBus.deviceAt(0)?.config?.dword(VTBAR);
  return base !== undefined && unit.address - BigInt((base >>> 16) * 0x10000) !== IOAT_UNIT_OFFSET;
}

function min(numbers: readonly number[]): number | undefined {
  let least: number | undefined;
  for (const number of numbers) if (least === undefined || number < least) least = number;
  return least;
}

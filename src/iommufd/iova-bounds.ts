/** Which addresses of an address space may be used at all: reserved ranges, and the list of those allowed. */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import { RegionType, type ReservedRegion } from '../iommu/reserved-region.ts';
import { KernelError } from '../kernel/errors.ts';
import { AllowedIovas } from './allowed-iovas.ts';
import type { Area } from './area.ts';
import { AreaMap } from './area-map.ts';
import { contiguousPieces } from './contiguous-areas.ts';
import { type IovaRange, rangeWords } from './iova-range.ts';
import { type ReservationOwner, ReservedIovas } from './reserved-iovas.ts';

export interface IovaBoundsInit {
  /** Whom messages name. */
  readonly owner: { readonly label: string };
  readonly faults: FaultInjector;
}

/** What is mapped, what is reserved and what is allowed exclude each other; this is where that is kept up. */
export abstract class IovaBounds {
  readonly faults: FaultInjector;
  readonly reserved = new ReservedIovas();
  /** What is mapped, and what is just being mapped (`unsettled`). */
  readonly areas = new AreaMap<Area>();
  /** Areas that have their place but are not filled yet (`pages == NULL`): nobody else may touch them. */
  readonly unsettled = new Set<Area>();
  readonly #owner: { readonly label: string };
  #allowed = new AllowedIovas();

  constructor(init: IovaBoundsInit) {
    this.#owner = init.owner;
    this.faults = init.faults;
  }

  get name(): string {
    return this.#owner.label;
  }

  get allowed(): AllowedIovas {
    return this.#allowed;
  }

  /** The area that covers an address, if it is there in full. */
  areaAt(iova: bigint): Area | undefined {
    const area = this.areas.at(iova);
    return area === undefined || this.unsettled.has(area) ? undefined : area;
  }

  /** The areas that cover `start … last` without a gap, ascending; undefined where there is one. */
  contiguousAreas(start: bigint, last: bigint): Area[] | undefined {
    const pieces = [...contiguousPieces((iova) => this.areaAt(iova), start, last)];
    return pieces.at(-1)?.last === last ? pieces.map(({ area }) => area) : undefined;
  }

  /** Areas that are there in full, ascending. */
  *settledAreas(): Generator<Area> {
    for (const { value } of this.areas) if (!this.unsettled.has(value)) yield value;
  }

  /**
   * `iopt_set_allow_iova`: automatic placement keeps to this list; it replaces the one before.
   *
   * @throws KernelError EADDRINUSE a range meets a reserved one; the list before is kept then
   */
  setAllowed(allowed: AllowedIovas): void {
    for (const { start, last } of allowed) {
      const taken = this.reserved.meeting(start, last);
      if (taken === undefined) continue;
      throw new KernelError(
        'EADDRINUSE',
        this.name,
        `${rangeWords(start, last)} cannot be allowed: ${rangeWords(taken.start, taken.last)} is reserved`,
      );
    }
    this.#allowed = allowed;
  }

  /**
   * `iopt_reserve_iova`: nobody may map `start … last` until the owner gives its reservations back. Those of several
   * owners may overlap.
   *
   * @throws KernelError EADDRINUSE something is mapped or allowed there; ENOMEM
   */
  reserve(owner: ReservationOwner, start: bigint, last: bigint): void {
    const area = this.areas.firstIn(start, last);
    const met =
      area === undefined ? this.#allowed.meeting(start, last) : { start: area.iova, last: area.last };
    if (met !== undefined) {
      throw new KernelError(
        'EADDRINUSE',
        this.name,
        `${owner?.name ?? 'a test'} reserves ${rangeWords(start, last)}, and ${rangeWords(met.start, met.last)} is ` +
          (area === undefined ? 'allowed' : 'mapped'),
        area === undefined ? 'change the allowed ranges' : 'unmap it',
      );
    }
    this.faults.step('reserved range');
    this.reserved.add(owner, start, last);
  }

  /** `iopt_remove_reserved_iova`: all reservations of this owner. */
  removeReserved(owner: ReservationOwner): void {
    this.reserved.removeOwner(owner);
  }

  /** What nobody reserves, ascending; mappings and the allowed list do not matter. */
  usableRanges(): IovaRange[] {
    return this.reserved.holes();
  }

  /**
   * `iopt_table_enforce_dev_resv_regions`: the addresses this device cannot use are reserved for it, but for those
   * that only want to be mapped to themselves as long as nobody uses the device.
   *
   * @param wantMsi a window for interrupt messages is looked for
   * @returns where that window begins, if the device has one to be set up by software
   * @throws KernelError EADDRINUSE something is mapped or allowed in a region; EINVAL windows for interrupt messages
   *   of both kinds, or two of software; ENOMEM. Nothing is reserved for the device then
   */
  enforceDevRegions(
    device: { readonly name: string },
    regions: readonly ReservedRegion[],
    wantMsi = false,
  ): bigint | undefined {
    this.faults.step('reserved regions');
    const kept = regions.filter(({ type }) => type !== RegionType.DirectRelaxable);
    try {
      for (const { start, last } of kept) this.reserve(device, start, last);
      return wantMsi ? softwareMsiStart(device.name, kept) : undefined;
    } catch (error) {
      this.removeReserved(device);
      throw error;
    }
  }
}

/** Interrupt messages go through one window at most; a device says whether software has to make it. */
function softwareMsiStart(name: string, regions: readonly ReservedRegion[]): bigint | undefined {
  const software = regions.filter(({ type }) => type === RegionType.SoftwareMsi);
  const hardware = regions.some(({ type }) => type === RegionType.Msi);
  if (software.length > 1 || (software.length > 0 && hardware)) {
    throw new KernelError('EINVAL', name, 'its driver reports contradicting windows for interrupt messages');
  }
  return software[0]?.start;
}

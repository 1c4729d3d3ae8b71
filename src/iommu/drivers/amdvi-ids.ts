/**
 * What the AMD driver makes of IVRS for one PCI segment: which IOMMU translates an id (`rlookup_table`) and under
 * which id it appears (`alias_table`).
 *
 * Later entries overwrite earlier ones. Ranges are painted from the last entry back, each id once, so that a table
 * of nothing but overlapping ranges costs no more than one of single ids.
 */

import { type IvhdBlock, lastDeviceId } from '../firmware/ivrs.ts';
import type { IvhdEntry } from '../firmware/ivrs-entries.ts';

const IDS = 0x10000;
const NONE = -1;

/** Ids `first` to `last` get `value`. */
interface Assignment {
  first: number;
  last: number;
  value: number;
}

export class SegmentIds {
  /** Highest id the driver looks at. */
  readonly lastId: number;
  readonly #units = new Int8Array(IDS).fill(NONE);
  /** Only ids that appear as another. */
  readonly #aliases = new Map<number, number>();

  /** @param units all units of the table in order; only those of `segment` count */
  constructor(units: readonly IvhdBlock[], segment: number) {
    this.lastId = lastDeviceId([...units], segment);
    const covered: Assignment[] = [];
    const aliased: Assignment[] = [];
    for (const [index, unit] of units.entries()) {
      if (unit.segment === segment) this.#collect(unit.entries, index, covered, aliased);
    }
    paint(covered, (id, unit) => {
      this.#units[id] = unit;
    });
    paint(aliased, (id, alias) => {
      if (alias !== id) this.#aliases.set(id, alias);
    });
    // The table says an IOMMU translates itself; the driver knows better.
    for (const unit of units) if (unit.segment === segment) this.#units[unit.deviceId] = NONE;
  }

  /** Index of the unit that translates an id, if one does. */
  unitOf(id: number): number | undefined {
    const unit = this.#units[id] ?? NONE;
    return unit === NONE ? undefined : unit;
  }

  aliasOf(id: number): number {
    return this.#aliases.get(id) ?? id;
  }

  /** `amd_iommu_set_rlookup_table`: an id that DMA of a probed device carries goes to the unit of that device. */
  assign(id: number, unit: number): void {
    this.#units[id] = unit;
  }

  #collect(entries: readonly IvhdEntry[], unit: number, covered: Assignment[], aliased: Assignment[]): void {
    let start: { id: number; as?: number } = { id: 0 };
    const cover = (first: number, last = first) => covered.push({ first, last, value: unit });
    for (const entry of entries) {
      switch (entry.kind) {
        case 'all':
          cover(0, this.lastId);
          break;
        case 'alias':
          cover(entry.id);
          cover(entry.as);
          aliased.push({ first: entry.id, last: entry.id, value: entry.as });
          break;
        case 'range-start':
        case 'extended-range-start':
          start = { id: entry.id };
          break;
        case 'alias-range-start':
          start = { id: entry.id, as: entry.as };
          break;
        case 'range-end':
          if (entry.id < start.id) break;
          if (start.as !== undefined) {
            cover(start.as);
            aliased.push({ first: start.id, last: entry.id, value: start.as });
          }
          cover(start.id, entry.id);
          break;
        default:
          cover(entry.id);
      }
    }
  }
}

/** Calls back once per id, with the value of the last assignment that names it. */
function paint(assignments: readonly Assignment[], put: (id: number, value: number) => void): void {
  // next[id]: the first id from there on that is not painted yet.
  const next = new Int32Array(IDS + 1);
  for (let id = 0; id <= IDS; id++) next[id] = id;
  const find = (id: number): number => {
    let root = id;
    while (next[root] !== root) root = next[root]!;
    for (let at = id; at !== root; ) [at, next[at]] = [next[at]!, root];
    return root;
  };
  for (let i = assignments.length - 1; i >= 0; i--) {
    const { first, last, value } = assignments[i]!;
    for (let id = find(first); id <= last; id = find(id)) {
      put(id, value);
      next[id] = id + 1;
    }
  }
}

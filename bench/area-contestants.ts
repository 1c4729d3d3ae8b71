/** The maps that are compared, each with the keys it is quickest with: bigint for ours, plain numbers for the peers. */

import { default as IntervalTree } from '@flatten-js/interval-tree';
import { OrderedMap } from 'js-sdsl';
import sortedBtree from 'sorted-btree';
import { AreaMap } from '../src/iommufd/area-map.ts';

/** What an address space keeps for an area; made before the clock runs. */
export interface Area<K> {
  readonly id: number;
  readonly start: K;
  readonly last: K;
}

export interface Contestant<K> {
  key(address: number): K;
  /** False, and nothing is changed: another area overlaps. */
  map(area: Area<K>): boolean;
  /** The area that covers an address. */
  lookup(address: K): Area<K> | undefined;
  unmap(start: K): boolean;
  /** Puts it where there is room, lowest first. */
  place?(bytes: K, area: Area<K>): void;
}

// CommonJS: its default is inside Node's.
const BTree = sortedBtree.default;

const TOP = 0xffff_ffff_ffff_efffn;

export const CONTESTANTS: Record<string, () => Contestant<bigint> | Contestant<number>> = {
  ringfence: () => {
    const areas = new AreaMap<Area<bigint>>();
    return {
      key: BigInt,
      map(area) {
        // Looks for overlaps itself, and throws.
        areas.set(area.start, area.last, area);
        return true;
      },
      lookup: (address) => areas.at(address),
      unmap: (start) => areas.delete(start) !== undefined,
      place(bytes, area) {
        const start = areas.lowestHole(4096n, TOP, bytes, (hole) => hole)!;
        areas.set(start, start + bytes - 1n, area);
      },
    } satisfies Contestant<bigint>;
  },

  'js-sdsl OrderedMap': () => {
    const areas = new OrderedMap<number, Area<number>>();
    return {
      key: Number,
      map(area) {
        const near = areas.reverseLowerBound(area.start);
        if (near.isAccessible()) {
          if (near.pointer[1].last >= area.start) return false;
          near.next();
          if (near.isAccessible() && near.pointer[0] <= area.last) return false;
        } else {
          const first = areas.front();
          if (first !== undefined && first[0] <= area.last) return false;
        }
        areas.setElement(area.start, area);
        return true;
      },
      lookup(address) {
        const near = areas.reverseLowerBound(address);
        if (!near.isAccessible()) return undefined;
        const area = near.pointer[1];
        return area.last >= address ? area : undefined;
      },
      unmap: (start) => areas.eraseElementByKey(start),
    } satisfies Contestant<number>;
  },

  'sorted-btree': () => {
    const areas = new BTree<number, Area<number>>(undefined, (a, b) => a - b);
    const pair: [number, Area<number>] = [0, { id: 0, start: 0, last: 0 }];
    return {
      key: Number,
      map(area) {
        const before = areas.getPairOrNextLower(area.start, pair);
        if (before !== undefined && before[1].last >= area.start) return false;
        const after = areas.nextHigherPair(area.start, pair);
        if (after !== undefined && after[0] <= area.last) return false;
        return areas.set(area.start, area);
      },
      lookup(address) {
        const found = areas.getPairOrNextLower(address, pair);
        return found !== undefined && found[1].last >= address ? found[1] : undefined;
      },
      unmap: (start) => areas.delete(start),
    } satisfies Contestant<number>;
  },

  '@flatten-js/interval-tree': () => {
    const areas = new IntervalTree<Area<number>>();
    return {
      key: Number,
      map(area) {
        const range: [number, number] = [area.start, area.last];
        if (areas.intersect_any(range)) return false;
        areas.insert(range, area);
        return true;
      },
      lookup: (address) => areas.search([address, address])[0],
      // Removing wants the whole range.
      unmap(start) {
        const found = areas.search([start, start])[0];
        return found !== undefined && areas.remove([start, found.last]) !== undefined;
      },
    } satisfies Contestant<number>;
  },
};

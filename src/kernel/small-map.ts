/**
 * A map for many owners with few entries each: a flat list of just the size it needs up to eight, an ordinary Map
 * beyond. Order is that of insertion, as with Map. Most directories in sysfs hold one to four names and most groups
 * one device, and a machine has hundreds of thousands of both.
 */

const FEW = 8;

export class SmallMap<K, V> {
  /** Key, value, key, value … while there are few. Replaced, never grown: growing would make room for sixteen more. */
  #flat: readonly (K | V)[] = [];
  #map: Map<K, V> | undefined;

  get size(): number {
    return this.#map?.size ?? this.#flat.length / 2;
  }

  get(key: K): V | undefined {
    if (this.#map !== undefined) return this.#map.get(key);
    const at = this.#indexOf(key);
    return at < 0 ? undefined : (this.#flat[at + 1] as V);
  }

  has(key: K): boolean {
    return this.#map?.has(key) ?? this.#indexOf(key) >= 0;
  }

  set(key: K, value: V): void {
    if (this.#map !== undefined) {
      this.#map.set(key, value);
      return;
    }
    const at = this.#indexOf(key);
    if (at >= 0) this.#flat = this.#flat.with(at + 1, value);
    else if (this.size < FEW) this.#flat = this.#flat.concat([key, value]);
    else {
      this.#map = new Map(this.entries()).set(key, value);
      this.#flat = [];
    }
  }

  delete(key: K): boolean {
    if (this.#map !== undefined) return this.#map.delete(key);
    const at = this.#indexOf(key);
    if (at >= 0) this.#flat = this.#flat.toSpliced(at, 2);
    return at >= 0;
  }

  /** May be changed while it is walked, as a Map may; few entries are walked as they were at the start. */
  *entries(): Generator<[K, V]> {
    if (this.#map !== undefined) {
      yield* this.#map;
      return;
    }
    const flat = this.#flat;
    for (let at = 0; at < flat.length; at += 2) yield [flat[at] as K, flat[at + 1] as V];
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  /** Keys stand in even places; a value that happens to be the same does not count. */
  #indexOf(key: K): number {
    const flat = this.#flat;
    for (let at = 0; at < flat.length; at += 2) if (flat[at] === key) return at;
    return -1;
  }
}

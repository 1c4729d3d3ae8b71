/** A set of devfns on one bus, 256 bits (`dma_alias_mask`), kept small: every function of a bus may have one. */

const DEVFNS = 256;

export class DevfnSet implements Iterable<number> {
  readonly #words = new Uint32Array(DEVFNS / 32);

  has(devfn: number): boolean {
    return ((this.#words[devfn >> 5] ?? 0) & (1 << (devfn & 31))) !== 0;
  }

  /** Adds `count` devfns from `first` up, cut off at the last devfn of the bus (`pci_add_dma_alias`). */
  add(first: number, count = 1): void {
    const end = Math.min(first + count, DEVFNS);
    for (let devfn = first; devfn < end; devfn++) this.#words[devfn >> 5]! |= 1 << (devfn & 31);
  }

  get size(): number {
    let size = 0;
    for (const _ of this) size++;
    return size;
  }

  /** Ascending. */
  *[Symbol.iterator](): Iterator<number> {
    for (let word = 0; word < this.#words.length; word++) {
      const bits = this.#words[word]!;
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) yield word * 32 + bit;
    }
  }
}

/** Bytes of a range of any size, all 0 at first; room for them is made in pieces when they are first written. */

import type { Backing } from '../iommu/physical-memory.ts';

const CHUNK = 1 << 16;

export class SparseBytes implements Backing {
  readonly #chunks = new Map<number, Uint8Array>();

  read(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const within = at % CHUNK;
      const length = Math.min(CHUNK - within, into.length - done);
      const chunk = this.#chunks.get((at - within) / CHUNK);
      if (chunk === undefined) into.fill(0, done, done + length);
      else into.set(chunk.subarray(within, within + length), done);
      done += length;
    }
  }

  write(offset: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const at = offset + done;
      const within = at % CHUNK;
      const length = Math.min(CHUNK - within, from.length - done);
      this.#chunk((at - within) / CHUNK).set(from.subarray(done, done + length), within);
      done += length;
    }
  }

  #chunk(index: number): Uint8Array {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(CHUNK);
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }
}

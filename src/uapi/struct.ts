/** Structs of the uAPI: bytes to request objects and back. */

import type { Field } from './fields.ts';

type Value = number | bigint | [number, number, number];

/** A field for every member of a request that comes from the struct. */
export type Fields<R> = { readonly [K in keyof R]-?: Field<NonNullable<R[K]>> };

export interface StructInit<R> {
  /** In C, without `struct`. */
  name: string;
  /** Bytes. */
  size: number;
  fields: Fields<R>;
  /** The first u32, where the kernel looks at it and calls do not. */
  header?: string;
  /** In a union: which member the fields are of. */
  member?: string;
}

export class Struct<R> {
  readonly name: string;
  readonly size: number;
  readonly fields: Fields<R>;
  readonly header: string | undefined;
  readonly member: string | undefined;
  readonly #entries: readonly (readonly [string, Field<Value>])[];

  constructor(init: StructInit<R>) {
    this.name = init.name;
    this.size = init.size;
    this.fields = init.fields;
    this.header = init.header;
    this.member = init.member;
    this.#entries = Object.entries(init.fields) as [string, Field<Value>][];
  }

  /** Field by field, with the names C has them by. */
  get cFields(): { name: string; offset: number; size: number }[] {
    return this.#entries.map(([key, { offset, size, cName }]) => ({
      name: this.#cName(key, cName),
      offset,
      size,
    }));
  }

  /** @param bytes all of the struct, zero beyond what the program gave */
  decode(bytes: Uint8Array): R {
    const view = viewOf(bytes);
    const request: Record<string, Value> = {};
    for (const [key, field] of this.#entries) request[key] = field.read(view, 0);
    return request as R;
  }

  /** Writes every field; what lies between them stays. */
  encode(request: R, bytes: Uint8Array): void {
    const view = viewOf(bytes);
    for (const [key, field] of this.#entries) {
      const value = (request as Record<string, Value | undefined>)[key];
      if (value !== undefined) field.write(view, 0, value);
    }
  }

  /**
   * `{size=12, flags=0, out_ioas_id=0}`, with `0 => 1` for what changed.
   *
   * @param before as the program gave it; fields that are not whole in it are left out
   * @param after likewise, when the call was over
   */
  words(before: Uint8Array, after: Uint8Array = before): string {
    const [old, now] = [viewOf(before), viewOf(after)];
    const words =
      this.header !== undefined && before.length >= 4 ? [`${this.header}=${old.getUint32(0, true)}`] : [];
    for (const [key, field] of this.#entries) {
      if (field.offset + field.size > before.length) continue;
      const was = field.words(field.read(old, 0));
      const is = field.offset + field.size > after.length ? was : field.words(field.read(now, 0));
      const name = this.#cName(key, field.cName).replace(/^.*\./, '');
      if (is !== was) words.push(`${name}=${was} => ${is}`);
      else if (!name.startsWith('__reserved') || !/^(0|0x0|\[0, 0, 0\])$/.test(was))
        words.push(`${name}=${was}`);
    }
    return `{${words.join(', ')}}`;
  }

  #cName(key: string, given: string | undefined): string {
    if (given !== undefined) return given;
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return this.member === undefined ? snake : `${this.member}.${snake}`;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

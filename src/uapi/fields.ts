/** The fields structs of the uAPI are made of: where they lie, and how their values read in a trace. Little endian. */

/** One field; `T` is what requests have it as. */
export interface Field<T> {
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Its name in C where that does not follow from the one in requests. */
  readonly cName?: string;
  read(view: DataView, base: number): T;
  write(view: DataView, base: number, value: T): void;
  words(value: T): string;
}

export interface FieldOptions<T> {
  cName?: string;
  words?: (value: T) => string;
}

type Options<T> = FieldOptions<T> | ((value: T) => string);

/** `__u32`. */
export function u32(offset: number, options?: Options<number>): Field<number> {
  return {
    ...common(offset, 4, options, decimal),
    read: (view, base) => view.getUint32(base + offset, true),
    write: (view, base, value) => view.setUint32(base + offset, value, true),
  };
}

/** `__s32`. */
export function s32(offset: number, options?: Options<number>): Field<number> {
  return {
    ...common(offset, 4, options, decimal),
    read: (view, base) => view.getInt32(base + offset, true),
    write: (view, base, value) => view.setInt32(base + offset, value, true),
  };
}

/** `__u16`. */
export function u16(offset: number, options?: Options<number>): Field<number> {
  return {
    ...common(offset, 2, options, decimal),
    read: (view, base) => view.getUint16(base + offset, true),
    write: (view, base, value) => view.setUint16(base + offset, value, true),
  };
}

/** `__u8`. */
export function u8(offset: number, options?: Options<number>): Field<number> {
  return {
    ...common(offset, 1, options, decimal),
    read: (view, base) => view.getUint8(base + offset),
    write: (view, base, value) => view.setUint8(base + offset, value),
  };
}

/** `__aligned_u64`; an address or a length, so hexadecimal unless told. */
export function u64(offset: number, options?: Options<bigint>): Field<bigint> {
  return {
    ...common(offset, 8, options, hex),
    read: (view, base) => view.getBigUint64(base + offset, true),
    write: (view, base, value) => view.setBigUint64(base + offset, value, true),
  };
}

/** `__u8[3]`, as reserved fields come. */
export function threeBytes(
  offset: number,
  options?: Options<[number, number, number]>,
): Field<[number, number, number]> {
  return {
    ...common(offset, 3, options, (value) => `[${value.join(', ')}]`),
    read: (view, base) => [
      view.getUint8(base + offset),
      view.getUint8(base + offset + 1),
      view.getUint8(base + offset + 2),
    ],
    write: (view, base, value) => {
      for (const [at, byte] of value.entries()) view.setUint8(base + offset + at, byte);
    },
  };
}

function common<T>(
  offset: number,
  size: number,
  options: Options<T> | undefined,
  fallback: (value: T) => string,
) {
  const { cName, words = fallback } = typeof options === 'function' ? { words: options } : (options ?? {});
  return { offset, size, words, ...(cName !== undefined && { cName }) };
}

export function decimal(value: number): string {
  return String(value);
}

/** `0x1000`, also of numbers that came out negative. */
export function hex(value: number | bigint): string {
  return `0x${(typeof value === 'number' ? value >>> 0 : value).toString(16)}`;
}

/** Words for a field that a descriptor's number will be put into: `new` while there is none. */
export function newDescriptor(value: number): string {
  return (value | 0) === -1 ? 'new' : String(value);
}

/** Words for a set of bits: `WRITEABLE|READABLE`, what has no name in hexadecimal, `0` for none. */
export function flags(names: Readonly<Record<string, number>>): (value: number) => string {
  return (value) => {
    let left = value >>> 0;
    const words: string[] = [];
    for (const [name, bit] of Object.entries(names)) {
      if ((left & bit) === 0) continue;
      words.push(name);
      left = (left & ~bit) >>> 0;
    }
    if (left !== 0) words.push(hex(left));
    return words.join('|') || '0';
  };
}

/** Words for one of some values: `SET`, what has no name as a number. */
export function oneOf(names: Readonly<Record<string, number>>): (value: number) => string {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [value >>> 0, name]));
  return (value) => byValue.get(value >>> 0) ?? (value > 0xffff ? hex(value) : String(value));
}

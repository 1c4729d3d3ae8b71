/** The ACPI tables that say what an IOMMU translates, from short descriptions. */

/** Device or bridge as a table names it: `00:02.0`, or `00:1c.0/00.0` for one behind a bridge. */
export interface Scope {
  kind?: 'endpoint' | 'bridge' | 'ioapic' | 'hpet';
  at: string;
  id?: number;
}

export interface DmarSpec {
  units: { address: bigint; scopes?: readonly Scope[] }[];
  reserved?: { start: bigint; last: bigint; scopes: readonly Scope[] }[];
}

/** Intel's table. A unit without scopes takes everything that no other one does. */
export function dmar(spec: DmarSpec): Uint8Array {
  const body = new Bytes().u8(38, 0x01).zeros(10);
  for (const { address, scopes } of spec.units) {
    const named = scopes?.flatMap(scopeBytes) ?? [];
    body
      .u16(0, 16 + named.length)
      .u8(scopes === undefined ? 1 : 0, 0)
      .u16(0)
      .u64(address)
      .u8(...named);
  }
  for (const { start, last, scopes } of spec.reserved ?? []) {
    const named = scopes.flatMap(scopeBytes);
    body
      .u16(1, 24 + named.length, 0, 0)
      .u64(start, last)
      .u8(...named);
  }
  return acpiTable('DMAR', body.list);
}

const SCOPE_TYPES = { endpoint: 1, bridge: 2, ioapic: 3, hpet: 4 } as const;

function scopeBytes({ kind = 'endpoint', at, id = 0 }: Scope): number[] {
  const [bus, steps] = at.split(':') as [string, string];
  const path = steps.split('/').flatMap((step) => step.split('.').map((part) => Number.parseInt(part, 16)));
  return [SCOPE_TYPES[kind], 6 + path.length, 0, 0, id, Number.parseInt(bus, 16), ...path];
}

export interface IvrsSpec {
  /** Requester id of the IOMMU's function, and where its capability stands there. */
  device: number;
  capability: number;
  address: bigint;
  /** First and last requester id that it translates. */
  ranges: readonly (readonly [first: number, last: number])[];
  /** Bridges whose devices appear under another id. */
  aliases?: readonly { id: number; as: number }[];
  features: bigint;
}

/** AMD's table: the IOMMU once in the old form and once in the one with the feature register. */
export function ivrs(spec: IvrsSpec): Uint8Array {
  const entries = new Bytes();
  for (const [first, last] of spec.ranges) entries.u8(0x03).u16(first).u8(0).u8(0x04).u16(last).u8(0);
  for (const { id, as } of spec.aliases ?? []) entries.u8(0x42).u16(id).u8(0, 0).u16(as).u8(0);
  // The I/O APIC of the south bridge, without which the driver remaps no interrupts.
  entries.u8(0x48, 0, 0, 0, 0x20).u16(0x00a0).u8(1);
  const body = new Bytes().u32(0x00203043).zeros(8);
  for (const type of [0x10, 0x11]) {
    const length = (type === 0x10 ? 24 : 40) + entries.list.length;
    body.u8(type, 0xb0).u16(length, spec.device, spec.capability).u64(spec.address).u16(0, 0).u32(0x80048824);
    if (type === 0x11) body.u64(spec.features, 0n);
    body.u8(...entries.list);
  }
  return acpiTable('IVRS', body.list);
}

/** A table with a correct header in front of `body`, length and checksum included. */
export function acpiTable(signature: string, body: readonly number[]): Uint8Array {
  const header = new Bytes()
    .text(signature)
    .u32(36 + body.length)
    .u8(1, 0)
    .text('RNGFNC')
    .text('EXAMPLE ')
    .u32(1)
    .text('RNGF')
    .u32(1);
  const bytes = Uint8Array.from([...header.list, ...body]);
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

/** Little-endian numbers, one after the other. */
class Bytes {
  readonly list: number[] = [];

  u8(...values: number[]): this {
    this.list.push(...values);
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) this.u8(value & 0xff, value >> 8);
    return this;
  }

  u32(value: number): this {
    return this.u16(value & 0xffff, value >>> 16);
  }

  u64(...values: bigint[]): this {
    for (const value of values) this.u32(Number(value & 0xffffffffn)).u32(Number(value >> 32n));
    return this;
  }

  text(text: string): this {
    return this.u8(...Buffer.from(text, 'latin1'));
  }

  zeros(count: number): this {
    return this.u8(...new Array<number>(count).fill(0));
  }
}

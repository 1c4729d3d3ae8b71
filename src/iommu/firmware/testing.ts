/** For tests: tables of recorded machines of ours, and a maker of others. */

/** ACPI tables as QEMU's firmware wrote them, hex. */
export const recorded = {
  rootPorts:
    '444d41528800000001ca424f434853204258504320202020010000004258504301000000260100000000000000000000' +
    '00005800000000000000d9fe000000000308000000ff0000010800000000000002080000000002000208000000000300' +
    '020800000000040001080000000008000108000000001f000108000000001f020108000000001f03',
  pxb:
    '444d4152980000000184424f434853204258504320202020010000004258504301000000260100000000000000000000' +
    '00006800000000000000d9fe000000000308000000ff0000010800000000000002080000000002000108000000001000' +
    '01080000000011000108000000001f000108000000001f020108000000001f0302080000008000000208000000400000' +
    '0208000000400100',
  amd:
    '49565253a400000001e0424f434853204258504320202020010000004258504301000000002800000000000000000000' +
    '10d17400080040000000d8fe0000000000000000440000000200000002080000021800000300010004ff010002200000' +
    '02000200020003000300040004ff0400020803000300050004ff05000228000002000600430007000000070004ff0700' +
    '02f8000002fa000002fb00004800000000a00001',
  virtio:
    '56494f5458000000005f424f434853204258504320202020010000004258504301000000020030000000000000000000' +
    '030010000000080000000000000000000100180000000000000000000000ff073000000000000000',
};

/** A table with a correct header in front of `body`, length and checksum included. */
export function table(signature: string, body: number[]): Uint8Array {
  const bytes = new Uint8Array(36 + body.length);
  bytes.set(new TextEncoder().encode(signature));
  new DataView(bytes.buffer).setUint32(4, bytes.length, true);
  bytes.set(body, 36);
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

export const le16 = (value: number): number[] => [value & 0xff, value >> 8];
export const le64 = (value: bigint): number[] => [...new Uint8Array(new BigUint64Array([value]).buffer)];

/** Hex as snapshots hold it. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const ENDPOINT = 1;
export const BRIDGE = 2;

/** Device scope of DMAR: from `bus` down, one `[device, function]` a step. */
export function scope(kind: number, bus: number, ...path: [device: number, fn: number][]): number[] {
  return [kind, 6 + 2 * path.length, 0, 0, 0, bus, ...path.flat()];
}

/** Translation unit of DMAR; flag 1 is INCLUDE_ALL. */
export function drhd(address: bigint, flags: number, scopes: number[] = [], segment = 0): number[] {
  return [...le16(0), ...le16(16 + scopes.length), flags, 0, ...le16(segment), ...le64(address), ...scopes];
}

/** Reserved memory of DMAR. */
export function rmrr(start: bigint, last: bigint, scopes: number[], segment = 0): number[] {
  return [
    ...[...le16(1), ...le16(24 + scopes.length), 0, 0, ...le16(segment)],
    ...[...le64(start), ...le64(last), ...scopes],
  ];
}

export function dmarTable(...records: number[][]): Uint8Array {
  return table('DMAR', [0x26, 1, ...Array<number>(10).fill(0), ...records.flat()]);
}

/** IOMMU of IVRS, types 10h, 11h and 40h. */
export function ivhd(
  entries: number[],
  {
    type = 0x10,
    id = 2,
    segment = 0,
    features = 0n,
  }: { type?: number; id?: number; segment?: number; features?: bigint } = {},
): number[] {
  const extended = type === 0x10 ? [] : [...le64(features), ...le64(0n)];
  return [
    ...[type, 0, ...le16(24 + extended.length + entries.length), ...le16(id), ...le16(0x40)],
    ...[...le64(0xfeb80000n), ...le16(segment), ...Array<number>(6).fill(0), ...extended, ...entries],
  ];
}

/** Memory of IVRS: type 20h all, 21h one device, 22h a range. */
export function ivmd(
  type: number,
  flags: number,
  first: number,
  last: number,
  start: bigint,
  length: bigint,
): number[] {
  return [
    ...[type, flags, ...le16(32), ...le16(first), ...le16(last), ...le16(0), ...Array<number>(6).fill(0)],
    ...[...le64(start), ...le64(length)],
  ];
}

/** Device entries of IVHD. */
export const ivhdEntry = {
  all: [1, 0, 0, 0],
  select: (id: number) => [2, ...le16(id), 0],
  range: (first: number, last: number) => [3, ...le16(first), 0, 4, ...le16(last), 0],
  alias: (id: number, as: number) => [0x42, ...le16(id), 0, 0, ...le16(as), 0],
  aliasRange: (first: number, last: number, as: number) => [
    ...[0x43, ...le16(first), 0, 0, ...le16(as), 0],
    ...[4, ...le16(last), 0],
  ],
};

/** IVinfo says that the copies of feature registers in it are good. */
export function ivrsTable(...blocks: number[][]): Uint8Array {
  return table('IVRS', [1, ...Array<number>(11).fill(0), ...blocks.flat()]);
}

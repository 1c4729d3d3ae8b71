/** Which bits of configuration space hardware lets software change. */

import type { RegisterBytes } from '../../iommufd/vfio/pci/register-bytes.ts';

/** Bits of a 32-bit word at `at`; `clears`: bits that writing 1 to clears, such as status bits. */
interface Row {
  at: number;
  writable: number;
  clears?: number;
}

/** Per byte: bits that keep what is written, and bits that a 1 clears. */
export interface ConfigMasks {
  readonly writable: Uint8Array;
  readonly clears: Uint8Array;
}

const STATUS_BITS = 0xf900_0000;
const ANY = 0xffff_ffff;

const DEVICE_HEADER: readonly Row[] = [
  { at: 0x04, writable: 0x0557, clears: STATUS_BITS },
  { at: 0x0c, writable: 0xffff },
  { at: 0x3c, writable: 0xff },
];

const BRIDGE_HEADER: readonly Row[] = [
  ...DEVICE_HEADER,
  { at: 0x18, writable: ANY },
  { at: 0x1c, writable: 0xf0f0, clears: STATUS_BITS },
  { at: 0x20, writable: 0xfff0_fff0 },
  { at: 0x24, writable: 0xfff0_fff0 },
  { at: 0x28, writable: ANY },
  { at: 0x2c, writable: ANY },
  { at: 0x30, writable: ANY },
  { at: 0x3c, writable: 0x0f7f_00ff },
];

/** Of a virtual function only bus mastering can be switched; its memory is, with those of all, in the physical one. */
const VIRTUAL_HEADER: readonly Row[] = [{ at: 0x04, writable: 0x0004, clears: STATUS_BITS }];

/** By capability id, relative to the capability. What is not listed keeps its value. */
const CONVENTIONAL: ReadonlyMap<number, readonly Row[]> = new Map([
  [0x01, [{ at: 0x04, writable: 0x0103, clears: 0x8000 }]],
  [
    0x05,
    [
      { at: 0x00, writable: 0x0071_0000 },
      { at: 0x04, writable: 0xffff_fffc },
      { at: 0x08, writable: ANY },
    ],
  ],
  [
    0x10,
    [
      { at: 0x08, writable: 0x7fff, clears: 0x000f_0000 },
      { at: 0x10, writable: 0x0ffb },
      { at: 0x18, writable: 0x1fff, clears: 0x011f_0000 },
      { at: 0x1c, writable: 0x001f },
    ],
  ],
  [0x11, [{ at: 0x00, writable: 0xc000_0000 }]],
]);

/** The second half of the PCIe capability, from version 2 on. */
const EXPRESS_SECOND: readonly Row[] = [
  { at: 0x28, writable: 0xffff },
  { at: 0x30, writable: 0xffff },
];

const EXTENDED: ReadonlyMap<number, readonly Row[]> = new Map([
  [
    0x01,
    [
      { at: 0x04, writable: 0, clears: 0x07ff_f030 },
      { at: 0x08, writable: 0x07ff_f030 },
      { at: 0x0c, writable: 0x07ff_f030 },
      { at: 0x10, writable: 0, clears: 0xf1c1 },
      { at: 0x14, writable: 0xf1c1 },
      { at: 0x18, writable: 0x0140 },
    ],
  ],
  [0x0e, [{ at: 0x04, writable: 0x0073_0000 }]],
  [0x0f, [{ at: 0x04, writable: 0x801f_0000 }]],
  [
    0x10,
    [
      { at: 0x08, writable: 0x001f },
      { at: 0x10, writable: 0xffff },
      { at: 0x20, writable: ANY },
    ],
  ],
  [0x13, [{ at: 0x04, writable: 0x0001 }]],
  [0x18, [{ at: 0x04, writable: 0x1fff_1fff }]],
  [0x1b, [{ at: 0x04, writable: 0x0007_0000 }]],
]);

const ACS = 0x0d;
const EXPRESS = 0x10;

export interface MaskedFunction {
  readonly bridge: boolean;
  readonly isVirtual: boolean;
  readonly capabilities: readonly { id: number; at: number }[];
  readonly extended: readonly { id: number; at: number }[];
  /** Sizes of BARs 0 to 5 and the ROM, in bytes; 0: not there. */
  readonly barSizes: readonly bigint[];
  /** Intel's root ports whose ACS words have 32 bits. */
  readonly wideAcs: boolean;
}

export function configMasks(registers: RegisterBytes, of: MaskedFunction): ConfigMasks {
  const size = registers.bytes.length;
  const writable = new RegisterMask(size);
  const clears = new RegisterMask(size);
  const take = (base: number, rows: readonly Row[]) => {
    for (const row of rows) {
      writable.add(base + row.at, row.writable);
      clears.add(base + row.at, row.clears ?? 0);
    }
  };
  if (of.isVirtual) take(0, VIRTUAL_HEADER);
  else {
    take(0, of.bridge ? BRIDGE_HEADER : DEVICE_HEADER);
    takeBars(writable, registers, of);
  }
  for (const { id, at } of of.capabilities) {
    take(at, CONVENTIONAL.get(id) ?? []);
    if (id === EXPRESS && (registers.read(at + 2, 1) & 0xf) >= 2) take(at, EXPRESS_SECOND);
  }
  for (const { id, at } of of.extended) {
    take(at, EXTENDED.get(id) ?? []);
    if (id !== ACS || at + 12 > size) continue;
    // Of the control word the bits that the capability offers.
    const offered = registers.read(at + 4, 2) & 0x7f;
    writable.add(of.wideAcs ? at + 8 : at + 6, offered);
  }
  return { writable: writable.bytes, clears: clears.bytes };
}

/** Address bits above the size; what is not there has none. */
function takeBars(writable: RegisterMask, registers: RegisterBytes, of: MaskedFunction): void {
  const last = of.bridge ? 2 : 6;
  for (let bar = 0; bar < last; bar++) {
    const size = of.barSizes[bar] ?? 0n;
    if (size === 0n) continue;
    const mask = BigInt.asUintN(64, ~(size - 1n));
    const kind = registers.read(0x10 + 4 * bar, 1);
    writable.add(0x10 + 4 * bar, Number(mask & ((kind & 1) === 1 ? 0xffff_fffcn : 0xffff_fff0n)));
    if ((kind & 7) === 4 && bar + 1 < last) {
      bar++;
      writable.add(0x10 + 4 * bar, Number(mask >> 32n));
    }
  }
  const rom = of.barSizes[6] ?? 0n;
  if (rom > 0n) writable.add(of.bridge ? 0x38 : 0x30, Number(BigInt.asUintN(32, ~(rom - 1n))) + 1);
}

class RegisterMask {
  readonly bytes: Uint8Array;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** What would lie past the end is left out. */
  add(at: number, bits: number): void {
    for (let byte = 0; byte < 4; byte++) {
      const index = at + byte;
      if (index < this.bytes.length) this.bytes[index]! |= (bits >>> (8 * byte)) & 0xff;
    }
  }
}

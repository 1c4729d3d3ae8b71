/** What a trace has to know of a call: its name, and what its argument is. */

import type { Struct } from './struct.ts';

/** `_IO(';', nr)`: the type that iommufd and VFIO share; no size, no direction. */
export function ioctlCommand(nr: number): number {
  return 0x3b00 | nr;
}

/** `string`: a pointer to one. `descriptor`: a pointer to its number. */
export type ArgumentKind = 'none' | 'number' | 'string' | 'descriptor' | 'struct';

export interface CallShape {
  /** All 32 bits. */
  readonly command: number;
  /** `IOMMU_IOAS_MAP`. */
  readonly name: string;
  readonly argument: ArgumentKind;
  /** Of the struct; its first 32 bits are how much of it the program has. */
  readonly size?: number;
  /** The fields of these bytes; there may be several forms. */
  structOf?(bytes: Uint8Array): Struct<never> | undefined;
  /** Of an argument that is a number. */
  words?(value: number): string;
}

/** Bits of the registers that tell what a VT-d unit can do. */

import type { Device } from '../../device/device.ts';

/** Capability register. */
export const Cap = {
  CachingMode: 1n << 7n,
  FirstLevel5: 1n << 60n,
} as const;

/** Extended capability register. */
export const Ecap = {
  PassThrough: 1n << 6n,
  SnoopControl: 1n << 7n,
  Nesting: 1n << 26n,
  PageRequests: 1n << 29n,
  SupervisorRequests: 1n << 31n,
  ExtendedAccessFlag: 1n << 34n,
  ScalableMode: 1n << 43n,
  SecondLevelDirty: 1n << 45n,
  SecondLevel: 1n << 46n,
  FirstLevel: 1n << 47n,
  PageWalkCoherency: 1n << 48n,
} as const;

/** Registers of the units as recorded; `undefined`: that one was not. */
export interface UnitRegisters {
  all(name: 'cap' | 'ecap'): (bigint | undefined)[];
  /** Of the unit that translates `device`. */
  of(device: Device, name: 'cap' | 'ecap'): bigint | undefined;
}

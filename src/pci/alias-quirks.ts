/**
 * Devices that make DMA under requester ids that are not their own, and bridges that change requester ids without
 * saying so. Plain data; `alias-rules.ts` applies it.
 */

import { devfn } from './address.ts';

/** Devfns on its own bus that a device uses as well. */
export type AliasEffect =
  /** Function 0 of its slot, or function 1: one that need not exist. */
  | { function: 0 | 1 }
  | { devfns: readonly number[] }
  /** The first `everySlot` functions of every slot. */
  | { everySlot: number }
  | { every: true }
  /** Read from the device's own memory (NTB proxy ids), which no snapshot holds. */
  | { unknowable: string }
  /** A PCIe-to-PCI bridge without the capability that says so. */
  | { bridge: 'express-to-pci' }
  /** Translation happens at this bridge; what is above it does not matter. */
  | { bridge: 'translation-root' };

export interface AliasQuirk {
  name: string;
  vendor: number;
  devices: readonly number[];
  /** Only with one of these subsystem ids. */
  subsystems?: readonly { vendor: number; device: number }[];
  /** Only devices of this base class and sub-class. */
  class?: number;
  effect: AliasEffect;
}

const SWITCHTEC = { name: 'Switchtec NTB', class: 0x0680, effect: { unknowable: 'proxy ids' } } as const;

export const ALIAS_QUIRKS: readonly AliasQuirk[] = [
  { name: 'Ricoh', vendor: 0x1180, devices: [0xe832, 0xe476], effect: { function: 0 } },
  { name: 'Glenfly', vendor: 0x6766, devices: [0x3d40, 0x3d41], effect: { function: 0 } },
  {
    name: 'Marvell SATA',
    vendor: 0x1b4b,
    devices: [
      0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9215, 0x9220,
      0x9230, 0x9235,
    ],
    effect: { function: 1 },
  },
  { name: 'HighPoint SATA', vendor: 0x1103, devices: [0x0642, 0x0645], effect: { function: 1 } },
  { name: 'JMicron JMB388', vendor: 0x197b, devices: [0x2392], effect: { function: 1 } },
  { name: 'Plextor M6e', vendor: 0x1c28, devices: [0x0122], effect: { function: 1 } },
  {
    name: 'Adaptec 3405/3805',
    vendor: 0x9005,
    devices: [0x0285],
    subsystems: [
      { vendor: 0x9005, device: 0x02bb },
      { vendor: 0x9005, device: 0x02bc },
    ],
    effect: { devfns: [devfn(1, 0)] },
  },
  {
    name: 'MIC x200 NTB',
    vendor: 0x8086,
    devices: [0x2260, 0x2264],
    effect: { devfns: [devfn(0x10, 0), devfn(0x11, 0), devfn(0x12, 3)] },
  },
  {
    name: 'Intel VCA',
    vendor: 0x8086,
    devices: [0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a],
    effect: { everySlot: 5 },
  },
  { name: 'PLX NTB', vendor: 0x10b5, devices: [0x87b0, 0x87b1], effect: { every: true } },
  { ...SWITCHTEC, vendor: 0x11f8, devices: switchtecDevices() },
  { ...SWITCHTEC, vendor: 0x1055, devices: [0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1008] },
  { name: 'ASMedia ASM1083', vendor: 0x1b21, devices: [0x1080], effect: { bridge: 'express-to-pci' } },
  { name: 'Tundra 8113', vendor: 0x10e3, devices: [0x8113], effect: { bridge: 'express-to-pci' } },
  { name: 'ITE 8892/8893', vendor: 0x1283, devices: [0x8892, 0x8893], effect: { bridge: 'express-to-pci' } },
  { name: 'Intel 82801', vendor: 0x8086, devices: [0x244e], effect: { bridge: 'express-to-pci' } },
  { name: 'ThunderX2', vendor: 0x14e4, devices: [0x9000, 0x9084], effect: { bridge: 'translation-root' } },
];

function switchtecDevices(): number[] {
  const third = [0x8530, 0x8540, 0x8550, 0x8560, 0x8570].flatMap((family) =>
    [1, 2, 3, 4, 5, 6].map((n) => family + n),
  );
  const lanes = [0x00, 0x84, 0x68, 0x52, 0x36, 0x28];
  const full = [0x40, 0x41, 0x42, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55];
  const fourth = full.flatMap((family) => lanes.map((lane) => family * 0x100 + lane));
  const short = [0x43, 0x44, 0x45].flatMap((family) =>
    [0x52, 0x36, 0x28].map((lane) => family * 0x100 + lane),
  );
  return [...third, ...fourth, ...short];
}

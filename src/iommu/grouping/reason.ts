/**
 * Why a device is in its group, kept as data at the moment each decision is made. Words are made of it in
 * advise/; nothing is computed a second time.
 */

import type { AcsVerdict } from '../../pci/acs.ts';

/** One decision of the walk, in the order it was made. */
export type Step =
  /** DMA of the device appears under `requesterId`, that of `as`; `grouped`: that one had a group already. */
  | {
      step: 'alias';
      device: string;
      requesterId: number;
      how: 'self' | 'alias-mask' | 'real-dma-device' | 'bridge-own' | 'bridge-subordinate';
      quirk?: string;
      grouped: boolean;
    }
  /** The path from `bridge` to the root does not isolate, so `bridge` stands for what is below it. */
  | { step: 'climb'; bridge: string; blockedBy: AcsVerdict; grouped: boolean }
  /** The path from `bridge` to the root isolates: no climb further. `path` nearest first. */
  | { step: 'isolated-above'; bridge: string; path: AcsVerdict[] }
  /** On a root bus: nothing above to test. */
  | { step: 'root-bus'; device: string }
  /** `device` and `partner` use each other's requester id. */
  | { step: 'alias-partner'; device: string; partner: string; quirk?: string; grouped: boolean }
  /** Function rule: `device` is multifunction without ACS, as is `sibling`; absent sibling: rule did not apply. */
  | {
      step: 'function';
      device: string;
      own: AcsVerdict;
      sibling?: string;
      siblingAcs?: AcsVerdict;
      grouped: boolean;
    }
  /** One group per device (generic_device_group). */
  | { step: 'own' }
  /** One group per IOMMU instance (generic_single_device_group). */
  | { step: 'instance'; iommu: string; grouped: boolean }
  /** Firmware names the devices that share (AMD ACPI HID entries, stream ids). */
  | { step: 'firmware'; key: string; table: string; grouped: boolean }
  /** Optional quirk: USB 1 and USB 2 controllers of one PCI device share ports, so they share a group. */
  | { step: 'usb-companion'; device: string; companion: string; grouped: boolean }
  /** Historic drivers: the number that stands for the group, and the device it was taken of. */
  | { step: 'number'; id: number; of: string; because: string; grouped: boolean }
  /** Proposed 2025 rules: how a bus isolates, and the bridge that decides. */
  | { step: 'bus'; bus: string; isolation: string; bridge?: string; acs?: AcsVerdict; grouped: boolean };

/** The whole chain for one device. */
export interface Reason {
  device: string;
  policy: string;
  steps: Step[];
  /** `null`: a new group was made for it. Else the device whose group it joined, and by which step. */
  joined: { through: string; step: Step['step'] } | null;
  /** Facts that were not known and what was assumed instead; not empty: the grouping is not certain. */
  assumed: string[];
}

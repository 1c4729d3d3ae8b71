/**
 * A laptop: integrated devices that share slots and so groups, Wi-Fi inside the chipset that the kernel knows as
 * isolated all the same, two Thunderbolt ports, and a dock at one of them, whose ports offer part of ACS and whose
 * devices are not trusted.
 */

import { dmar } from '../../test/support/acpi.ts';
import type { FunctionSpec } from '../../test/support/machine.ts';
import {
  conventional,
  type Example,
  endpoint,
  ids,
  integrated,
  MSI_WINDOW,
  PcieType,
  port,
  region,
} from './parts.ts';

const BOARD = { subsystem: ids('17aa:22e7'), revision: 0x01 };
const MULTI = { ...BOARD, multifunction: true };
const PORT_ACS = { capability: 0x0f, control: 0x0d };
/** Ports that lead outside block translated requests as well. */
const OUTSIDE_ACS = { capability: 0x0f, control: 0x0f };
const DOCK_ACS = { capability: 0x13, control: 0x13 };
const DOCK = { subsystem: ids('8086:0000'), revision: 0x03, facts: { removable: 'removable' } };

const GRAPHICS = '00:02.0';
const LPC = '00:1f.0';

const functions: FunctionSpec[] = [
  conventional('00:00.0', '8086:4641', 0x060000, null, { ...BOARD, revision: 0x02 }),
  integrated(GRAPHICS, '8086:46a6', 0x030000, 'i915', {
    ...BOARD,
    revision: 0x0c,
    pcie: { type: PcieType.IntegratedEndpoint, flr: true },
    facts: { bootVga: true },
  }),
  conventional('00:04.0', '8086:461d', 0x118000, 'proc_thermal_pci', { ...BOARD, revision: 0x02 }),
  port('00:06.0', '8086:464d', PcieType.RootPort, [0x01, 0x01], { ...BOARD, revision: 0x02, acs: PORT_ACS }),
  port('00:07.0', '8086:466e', PcieType.RootPort, [0x02, 0x2b], {
    ...MULTI,
    revision: 0x02,
    acs: OUTSIDE_ACS,
  }),
  port('00:07.2', '8086:462f', PcieType.RootPort, [0x2c, 0x55], {
    ...MULTI,
    revision: 0x02,
    acs: OUTSIDE_ACS,
  }),
  conventional('00:08.0', '8086:464f', 0x088000, null, { ...BOARD, revision: 0x02 }),
  integrated('00:0a.0', '8086:467d', 0x118000, 'intel_vsec', BOARD),
  conventional('00:0d.0', '8086:461e', 0x0c0330, 'xhci_hcd', { ...MULTI, revision: 0x02 }),
  conventional('00:0d.2', '8086:463e', 0x0c0340, 'thunderbolt', { ...MULTI, revision: 0x02 }),
  conventional('00:0d.3', '8086:466d', 0x0c0340, 'thunderbolt', { ...MULTI, revision: 0x02 }),
  conventional('00:14.0', '8086:51ed', 0x0c0330, 'xhci_hcd', MULTI),
  conventional('00:14.2', '8086:51ef', 0x050000, null, MULTI),
  integrated('00:14.3', '8086:51f0', 0x028000, 'iwlwifi', {
    ...MULTI,
    subsystem: ids('8086:0094'),
    pcie: { type: PcieType.IntegratedEndpoint, flr: true },
  }),
  conventional('00:15.0', '8086:51e8', 0x0c8000, 'intel-lpss', MULTI),
  conventional('00:15.1', '8086:51e9', 0x0c8000, 'intel-lpss', MULTI),
  conventional('00:16.0', '8086:51e0', 0x078000, 'mei_me', MULTI),
  port('00:1d.0', '8086:51bf', PcieType.RootPort, [0x56, 0x56], { ...MULTI, acs: PORT_ACS }),
  conventional(LPC, '8086:5182', 0x060100, null, MULTI),
  conventional('00:1f.3', '8086:51c8', 0x040380, 'snd_hda_intel', MULTI),
  conventional('00:1f.4', '8086:51a3', 0x0c0500, 'i801_smbus', MULTI),
  conventional('00:1f.5', '8086:51a4', 0x0c8000, 'intel-spi', MULTI),
  endpoint('01:00.0', '1c5c:174a', 0x010802, 'nvme', { subsystem: ids('1c5c:174a') }),

  port('02:00.0', '8086:0b26', PcieType.Upstream, [0x03, 0x2b], DOCK),
  ...['00', '01', '02', '03'].map((slot, index) => {
    const buses = [0x04 + index * 10, index === 3 ? 0x2b : 0x0d + index * 10] as const;
    return port(`03:${slot}.0`, '8086:0b26', PcieType.Downstream, buses, { ...DOCK, acs: DOCK_ACS });
  }),
  endpoint('04:00.0', '8086:0b27', 0x0c0330, 'xhci_hcd', DOCK),

  endpoint('56:00.0', '10ec:525a', 0xff0000, 'rtsx_pci', BOARD),
];

const GRAPHICS_UNIT = 'dmar0';
const OTHERS_UNIT = 'dmar1';
const GRAPHICS_MEMORY = [0x7c000000n, 0x807fffffn] as const;

export const laptop: Example = {
  board: 'Example 14 Laptop',
  kernel: {
    release: '6.12.48+deb13-amd64',
    version: '#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)',
    cmdline: 'BOOT_IMAGE=/vmlinuz-6.12.48+deb13-amd64 root=/dev/nvme0n1p3 ro quiet intel_iommu=on',
  },
  functions,
  acpi: {
    DMAR: dmar({
      units: [{ address: 0xfed90000n, scopes: [{ at: GRAPHICS }] }, { address: 0xfed91000n }],
      reserved: [{ start: GRAPHICS_MEMORY[0], last: GRAPHICS_MEMORY[1], scopes: [{ at: GRAPHICS }] }],
    }),
  },
  iommus: [
    {
      name: GRAPHICS_UNIT,
      registers: { address: 'fed90000', cap: '1c0000c40660462', ecap: '29a00f0505e', version: '4:0' },
    },
    {
      name: OTHERS_UNIT,
      registers: { address: 'fed91000', cap: 'd2008c40660462', ecap: 'f050da', version: '1:0' },
    },
  ],
  iommuOf: (address) => (address === `0000:${GRAPHICS}` ? GRAPHICS_UNIT : OTHERS_UNIT),
  numberedBy: [GRAPHICS_UNIT, OTHERS_UNIT],
  // Devices that can be plugged in from outside get strict translation.
  typeOf: (members) => (members.some((one) => one.facts?.removable === 'removable') ? 'DMA' : 'DMA-FQ'),
  regionsOf: (members) => {
    const has = (address: string) => members.some((one) => one.at === address);
    return [
      ...(has(LPC) ? [region(0n, 0xffffffn, 'direct-relaxable')] : []),
      ...(has(GRAPHICS) ? [region(...GRAPHICS_MEMORY, 'direct-relaxable')] : []),
      MSI_WINDOW,
    ];
  },
};

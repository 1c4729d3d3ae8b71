/**
 * A two-root-bus server where hand-over works: ports and switch isolate, virtual functions have groups of their
 * own, the two-port network card is known to the kernel as isolated. Only the disk controller cannot go: firmware
 * keeps memory of its own for it (RMRR).
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

const BOARD = ids('15d9:095d');
const ON_BOARD = { subsystem: BOARD, facts: { numaNode: 0 } };
const MULTI = { ...ON_BOARD, multifunction: true };
const PCH_ACS = { capability: 0x0f, control: 0x0d };
const CPU_ACS = { capability: 0x1f, control: 0x1d };
const SWITCH_ACS = { capability: 0x5f, control: 0x1d };
/** The capability is there and offers nothing: the kernel takes such functions as isolated. */
const NO_ACS_NEEDED = { capability: 0, control: 0 };

const USB = '00:14.0';
const DISKS = '19:00.0';
const LPC = '00:1f.0';

const dmaEngines = [0, 1, 2, 3, 4, 5, 6, 7].map((fn) =>
  integrated(`00:04.${fn}`, '8086:2021', 0x088000, 'ioatdma', { ...MULTI, revision: 0x07 }),
);

const virtualFunctions = [0, 1, 2, 3].map((index) =>
  endpoint(`18:01.${index}`, '8086:1889', 0x020000, index === 0 ? 'vfio-pci' : 'iavf', {
    subsystem: ids('8086:0000'),
    revision: 0x02,
    ari: { next: 0 },
    acs: NO_ACS_NEEDED,
    physfn: '18:00.0',
    facts: { numaNode: 0 },
  }),
);

const bays = [0x04, 0x05, 0x06, 0x07].flatMap((slot, index) => {
  const bus = 0x1d + index;
  return [
    port(`1c:${slot.toString(16).padStart(2, '0')}.0`, '10b5:8747', PcieType.Downstream, [bus, bus], {
      revision: 0xca,
      acs: SWITCH_ACS,
      facts: { numaNode: 0 },
    }),
    endpoint(`${bus.toString(16)}:00.0`, '8086:0a54', 0x010802, 'nvme', {
      subsystem: ids('8086:4702'),
      acs: NO_ACS_NEEDED,
      facts: { numaNode: 0 },
    }),
  ];
});

const functions: FunctionSpec[] = [
  conventional('00:00.0', '8086:2020', 0x060000, null, { ...ON_BOARD, revision: 0x07 }),
  ...dmaEngines,
  integrated('00:05.0', '8086:2024', 0x088000, null, { ...MULTI, revision: 0x07 }),
  integrated('00:05.2', '8086:2025', 0x088000, null, { ...MULTI, revision: 0x07 }),
  conventional('00:05.4', '8086:2026', 0x080020, null, { ...MULTI, revision: 0x07 }),
  conventional('00:11.0', '8086:a1ec', 0xff0000, null, { ...MULTI, revision: 0x09 }),
  conventional('00:11.5', '8086:a1d2', 0x010601, 'ahci', { ...MULTI, revision: 0x09 }),
  conventional(USB, '8086:a1af', 0x0c0330, 'xhci_hcd', { ...MULTI, revision: 0x09 }),
  conventional('00:14.2', '8086:a1b1', 0x118000, 'intel_pch_thermal', { ...MULTI, revision: 0x09 }),
  conventional('00:16.0', '8086:a1ba', 0x078000, 'mei_me', { ...MULTI, revision: 0x09 }),
  conventional('00:17.0', '8086:a182', 0x010601, 'ahci', { ...ON_BOARD, revision: 0x09 }),
  port('00:1c.0', '8086:a190', PcieType.RootPort, [0x01, 0x01], { ...MULTI, revision: 0xf9, acs: PCH_ACS }),
  port('00:1c.5', '8086:a195', PcieType.RootPort, [0x02, 0x03], { ...MULTI, revision: 0xf9, acs: PCH_ACS }),
  conventional(LPC, '8086:a1c1', 0x060100, null, { ...MULTI, revision: 0x09 }),
  conventional('00:1f.2', '8086:a1a1', 0x058000, null, { ...MULTI, revision: 0x09 }),
  conventional('00:1f.4', '8086:a1a3', 0x0c0500, 'i801_smbus', { ...MULTI, revision: 0x09 }),
  conventional('00:1f.5', '8086:a1a4', 0x0c8000, null, { ...MULTI, revision: 0x09 }),
  endpoint('01:00.0', '8086:1521', 0x020000, 'igb', { ...MULTI, revision: 0x01 }),
  endpoint('01:00.1', '8086:1521', 0x020000, 'igb', { ...MULTI, revision: 0x01 }),
  port('02:00.0', '1a03:1150', PcieType.PciBridge, [0x03, 0x03], { driver: null, revision: 0x04 }),
  conventional('03:00.0', '1a03:2000', 0x030000, 'ast', {
    subsystem: BOARD,
    revision: 0x41,
    facts: { numaNode: 0, bootVga: true },
  }),

  port('17:00.0', '8086:2030', PcieType.RootPort, [0x18, 0x18], {
    ...ON_BOARD,
    revision: 0x07,
    acs: CPU_ACS,
    pcie: { type: PcieType.RootPort, slot: true, ariForwarding: 'on', link: [3, 16] },
  }),
  port('17:01.0', '8086:2031', PcieType.RootPort, [0x19, 0x19], {
    ...ON_BOARD,
    revision: 0x07,
    acs: CPU_ACS,
  }),
  port('17:02.0', '8086:2032', PcieType.RootPort, [0x1a, 0x1a], {
    ...ON_BOARD,
    revision: 0x07,
    acs: CPU_ACS,
  }),
  port('17:03.0', '8086:2033', PcieType.RootPort, [0x1b, 0x20], {
    ...ON_BOARD,
    revision: 0x07,
    acs: CPU_ACS,
  }),
  integrated('17:05.0', '8086:2034', 0x088000, null, { ...MULTI, revision: 0x07 }),
  integrated('17:05.2', '8086:2035', 0x088000, null, { ...MULTI, revision: 0x07 }),
  conventional('17:05.4', '8086:2036', 0x080020, null, { ...MULTI, revision: 0x07 }),
  ...[0, 1].map((fn) =>
    endpoint(`18:00.${fn}`, '8086:1592', 0x020000, 'ice', {
      subsystem: ids('8086:0001'),
      revision: 0x02,
      multifunction: true,
      ari: { next: fn === 0 ? 1 : 0 },
      acs: NO_ACS_NEEDED,
      sriov: { vfs: fn === 0 ? 4 : 0, total: 64, offset: fn === 0 ? 8 : 71, stride: 1, device: 0x1889 },
      facts: { numaNode: 0 },
    }),
  ),
  ...virtualFunctions,
  endpoint(DISKS, '1000:0097', 0x010700, 'mpt3sas', { ...ON_BOARD, revision: 0x02 }),
  endpoint('1a:00.0', '144d:a80a', 0x010802, 'nvme', {
    subsystem: ids('144d:a814'),
    acs: NO_ACS_NEEDED,
    facts: { numaNode: 0 },
  }),
  port('1b:00.0', '10b5:8747', PcieType.Upstream, [0x1c, 0x20], { revision: 0xca, facts: { numaNode: 0 } }),
  ...bays,
];

const PROCESSOR_UNIT = 'dmar0';
const CHIPSET_UNIT = 'dmar1';
const USB_MEMORY = [0x6f5a2000n, 0x6f5a4fffn] as const;
const DISK_MEMORY = [0x6f5e8000n, 0x6f5effffn] as const;

export const server: Example = {
  board: 'Example S1 Server Board',
  kernel: {
    release: '6.12.48+deb13-amd64',
    version: '#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)',
    cmdline: 'BOOT_IMAGE=/vmlinuz-6.12.48+deb13-amd64 root=/dev/sda2 ro intel_iommu=on iommu=pt',
  },
  functions,
  acpi: {
    DMAR: dmar({
      units: [
        {
          address: 0xc5ffc000n,
          scopes: [
            ...[0, 1, 2, 3].map((slot) => ({ kind: 'bridge' as const, at: `17:0${slot}.0` })),
            { at: '17:05.0' },
            { at: '17:05.2' },
            { at: '17:05.4' },
          ],
        },
        { address: 0xd37fc000n },
      ],
      reserved: [
        { start: USB_MEMORY[0], last: USB_MEMORY[1], scopes: [{ at: USB }] },
        { start: DISK_MEMORY[0], last: DISK_MEMORY[1], scopes: [{ at: '17:01.0/00.0' }] },
      ],
    }),
  },
  iommus: [
    {
      name: PROCESSOR_UNIT,
      registers: { address: 'c5ffc000', cap: '8d2078c106f0466', ecap: 'f020df', version: '1:0' },
    },
    {
      name: CHIPSET_UNIT,
      registers: { address: 'd37fc000', cap: '8d2078c106f0466', ecap: 'f020df', version: '1:0' },
    },
  ],
  iommuOf: (address) =>
    address.startsWith('0000:00:') || /^0000:0[123]:/.test(address) ? CHIPSET_UNIT : PROCESSOR_UNIT,
  numberedBy: [PROCESSOR_UNIT, CHIPSET_UNIT],
  typeOf: () => 'identity',
  regionsOf: (members) => {
    const has = (address: string) => members.some((one) => one.at === address);
    return [
      ...(has(LPC) ? [region(0n, 0xffffffn, 'direct-relaxable')] : []),
      ...(has(USB) ? [region(...USB_MEMORY, 'direct-relaxable')] : []),
      ...(has(DISKS) ? [region(...DISK_MEMORY, 'direct')] : []),
      MSI_WINDOW,
    ];
  },
};

/**
 * An AM4 desktop whose graphics card cannot be handed over alone: the two ports of slot 03 lack ACS, so card and
 * NVMe drive share a group, with the dummy host bridge of the slot. Behind the chipset, a multifunction device
 * without ACS, everything is one group: network, Wi-Fi, SATA, and a sound card behind a PCI bridge.
 */

import { ivrs } from '../../test/support/acpi.ts';
import type { FunctionSpec } from '../../test/support/machine.ts';
import type { PcieSpace } from '../../test/support/space.ts';
import {
  conventional,
  type Example,
  endpoint,
  ids,
  MSI_WINDOW,
  PcieType,
  pciBridge,
  port,
  region,
} from './parts.ts';

const BOARD = ids('1022:1453');
const PORT_ACS = { capability: 0x5f, control: 0x1d };
/** The internal ports offer source validation and translation blocking only. */
const INTERNAL_ACS = { capability: 0x03, control: 0x01 };
const NVME: PcieSpace = { type: PcieType.Endpoint, flr: true, link: [4, 4] };
/** Functions of the processor itself, reached through its internal ports. */
const INTERNAL: PcieSpace = { type: PcieType.Endpoint, flr: true, link: [4, 16] };
const MULTI = { multifunction: true, subsystem: BOARD };

const dummies = ['01.0', '02.0', '03.0', '04.0', '05.0', '07.0', '08.0'].map((slot) =>
  conventional(`00:${slot}`, '1022:1482', 0x060000, null, { multifunction: true }),
);

const dataFabric = [0, 1, 2, 3, 4, 5, 6, 7].map((fn) =>
  conventional(`00:18.${fn}`, `1022:144${fn}`, 0x060000, fn === 3 ? 'k10temp' : null, {
    multifunction: true,
  }),
);

const functions: FunctionSpec[] = [
  conventional('00:00.0', '1022:1480', 0x060000, null, MULTI),
  conventional('00:00.2', '1022:1481', 0x080600, null, { ...MULTI, msi: true, iommuCapability: 0x190b }),
  ...dummies,
  port('00:01.3', '1022:1483', PcieType.RootPort, [0x01, 0x06], { ...MULTI, acs: PORT_ACS }),
  port('00:03.1', '1022:1483', PcieType.RootPort, [0x07, 0x07], MULTI),
  port('00:03.2', '1022:1483', PcieType.RootPort, [0x08, 0x08], MULTI),
  port('00:07.1', '1022:1484', PcieType.RootPort, [0x09, 0x09], { ...MULTI, acs: INTERNAL_ACS }),
  port('00:08.1', '1022:1484', PcieType.RootPort, [0x0a, 0x0a], { ...MULTI, acs: INTERNAL_ACS }),
  conventional('00:14.0', '1022:790b', 0x0c0500, 'piix4_smbus', { ...MULTI, revision: 0x61 }),
  conventional('00:14.3', '1022:790e', 0x060100, null, { ...MULTI, revision: 0x51 }),
  ...dataFabric,

  // The chipset: three functions of one device, none with ACS; a switch is the third.
  endpoint('01:00.0', '1022:43d5', 0x0c0330, 'xhci_hcd', {
    ...MULTI,
    revision: 0x01,
    pcie: { type: PcieType.LegacyEndpoint, link: [3, 4] },
  }),
  endpoint('01:00.1', '1022:43c8', 0x010601, 'ahci', {
    ...MULTI,
    revision: 0x01,
    pcie: { type: PcieType.LegacyEndpoint, link: [3, 4] },
  }),
  port('01:00.2', '1022:43c6', PcieType.Upstream, [0x02, 0x06], { ...MULTI, revision: 0x01 }),
  port('02:00.0', '1022:43c7', PcieType.Downstream, [0x03, 0x03], { revision: 0x01 }),
  port('02:01.0', '1022:43c7', PcieType.Downstream, [0x04, 0x04], { revision: 0x01 }),
  port('02:04.0', '1022:43c7', PcieType.Downstream, [0x05, 0x06], { revision: 0x01 }),
  endpoint('03:00.0', '10ec:8125', 0x020000, 'r8169', { subsystem: BOARD, revision: 0x05 }),
  endpoint('04:00.0', '8086:2723', 0x028000, 'iwlwifi', { subsystem: ids('8086:0084'), revision: 0x1a }),
  // This bridge does not say that it is PCIe; the kernel knows it by its ids.
  pciBridge('05:00.0', '1b21:1080', [0x06, 0x06], { revision: 0x04, class: 0x060401 }),
  conventional('06:04.0', '13f6:8788', 0x040100, 'snd_virtuoso', { subsystem: ids('1043:8467') }),

  endpoint('07:00.0', '10de:2484', 0x030000, 'nvidia', {
    multifunction: true,
    subsystem: ids('10de:146b'),
    revision: 0xa1,
    pcie: { type: PcieType.LegacyEndpoint, link: [4, 16] },
    facts: { bootVga: true },
  }),
  endpoint('07:00.1', '10de:228b', 0x040300, 'snd_hda_intel', {
    multifunction: true,
    subsystem: ids('10de:146b'),
    revision: 0xa1,
    pcie: { type: PcieType.Endpoint, link: [4, 16] },
  }),
  endpoint('08:00.0', '144d:a80a', 0x010802, 'nvme', { subsystem: ids('144d:a801'), pcie: NVME }),
  endpoint('09:00.0', '1022:148a', 0x130000, null, { subsystem: BOARD, pcie: INTERNAL }),
  endpoint('0a:00.0', '1022:1485', 0x130000, null, { ...MULTI, pcie: INTERNAL, acs: { capability: 0 } }),
  endpoint('0a:00.1', '1022:1486', 0x108000, 'ccp', { ...MULTI, pcie: INTERNAL, acs: { capability: 0 } }),
  endpoint('0a:00.3', '1022:149c', 0x0c0330, 'xhci_hcd', {
    ...MULTI,
    pcie: INTERNAL,
    acs: { capability: 0 },
  }),
  endpoint('0a:00.4', '1022:1487', 0x040300, 'snd_hda_intel', {
    ...MULTI,
    pcie: INTERNAL,
    acs: { capability: 0 },
  }),
];

export const desktop: Example = {
  board: 'Example B450 Board',
  kernel: {
    release: '6.12.48+deb13-amd64',
    version: '#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)',
    cmdline: 'BOOT_IMAGE=/vmlinuz-6.12.48+deb13-amd64 root=/dev/nvme0n1p2 ro quiet',
  },
  functions,
  acpi: {
    // The root complex and the IOMMU itself lie below the first translated id.
    IVRS: ivrs({
      device: 0x0002,
      capability: 0x68,
      address: 0xfeb80000n,
      ranges: [[0x0003, 0xfffe]],
      features: 0x58f77ef22294a5an,
    }),
  },
  iommus: [
    {
      name: 'ivhd0',
      path: 'pci0000:00/0000:00:00.2/iommu/ivhd0',
      registers: { cap: '190b000f', features: '58f77ef22294a5a:0' },
    },
  ],
  iommuOf: (address) => (/^0000:00:00\./.test(address) ? null : 'ivhd0'),
  numberedBy: ['ivhd0'],
  typeOf: () => 'DMA-FQ',
  regionsOf: () => [MSI_WINDOW, region(0xfd00000000n, 0xffffffffffn, 'reserved')],
};

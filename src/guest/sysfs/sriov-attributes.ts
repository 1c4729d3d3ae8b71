/** The files `sriov_…` of a physical function (drivers/pci/iov.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { PciDevice } from '../../pci/device.ts';
import { parseUnsigned } from './numbers.ts';
import type { PciAttribute } from './pci-attributes.ts';

const hasSriov = (device: PciDevice) => !device.isVirtual && Boolean(device.facts.sriov);
const LAST_U16 = 0xffffn;

/** What `kstrtou16` finds too large is ERANGE there as well. */
function count(device: PciDevice, text: string): number {
  return Number(parseUnsigned(text, `${device.name}/sriov_numvfs`, LAST_U16));
}

export const SRIOV_ATTRIBUTES: readonly PciAttribute[] = [
  {
    name: 'sriov_numvfs',
    mode: 0o644,
    live: true,
    visible: hasSriov,
    show: (device, { virtualFunctions }) => `${virtualFunctions.countOf(device)}\n`,
    store: (device, text, { virtualFunctions }) => {
      virtualFunctions.configure(device, count(device, text));
      return undefined;
    },
  },
  {
    name: 'sriov_totalvfs',
    mode: 0o444,
    visible: hasSriov,
    show: ({ facts }) => `${facts.sriov?.totalVfs ?? 0}\n`,
  },
  {
    name: 'sriov_offset',
    mode: 0o444,
    visible: hasSriov,
    show: ({ facts }) => `${facts.sriov?.offset ?? 0}\n`,
  },
  {
    name: 'sriov_stride',
    mode: 0o444,
    visible: hasSriov,
    show: ({ facts }) => `${facts.sriov?.stride ?? 0}\n`,
  },
  {
    name: 'sriov_vf_device',
    mode: 0o444,
    visible: hasSriov,
    show: ({ facts }) => `${(facts.sriov?.vfDevice ?? 0).toString(16)}\n`,
  },
  { name: 'sriov_vf_total_msix', mode: 0o444, visible: hasSriov, show: () => '0\n' },
  {
    name: 'sriov_vf_msix_count',
    mode: 0o200,
    live: true,
    visible: (device) => device.isVirtual,
    store: (device) => {
      throw new KernelError(
        'EOPNOTSUPP',
        device.name,
        'no driver that can change its vectors has its function',
      );
    },
  },
];

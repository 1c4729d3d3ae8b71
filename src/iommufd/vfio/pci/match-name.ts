/** The name a program gives to `VFIO_GROUP_GET_DEVICE_FD`, with options of vfio-pci behind it. */

import { KernelError } from '../../../kernel/errors.ts';
import type { PciDevice } from '../../../pci/device.ts';

const TOKEN = /^vf_token=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/i;

/**
 * `vfio_pci_core_match`: `0000:01:00.0`, or with ` vf_token=UUID` behind it. A token makes sense only for a physical
 * function: virtual ones whose physical function a program has are not part of the model.
 *
 * @throws KernelError EINVAL an option that is unknown, twice there, or not for this device
 */
export function matchesName(device: PciDevice, name: string): boolean {
  if (!name.startsWith(device.name)) return false;
  const rest = name.slice(device.name.length);
  if (rest !== '' && !rest.startsWith(' ')) return false;
  let token = false;
  for (let options = unpad(rest); options !== ''; options = unpad(options)) {
    const found = TOKEN.exec(options);
    if (found === null || token) {
      throw new KernelError(
        'EINVAL',
        device.name,
        `does not understand ${JSON.stringify(options)} behind its name`,
      );
    }
    token = true;
    options = options.slice(found[0].length);
  }
  if (token && !device.facts.sriov) {
    throw new KernelError('EINVAL', device.name, 'has no VF token', 'leave it out');
  }
  return true;
}

function unpad(text: string): string {
  return text.replace(/^ +/, '');
}

/** The files of a PCI function that are no text: configuration space, regions, the option ROM. */

import { KernelError } from '../../kernel/errors.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { ConfigRegisters } from './config-registers.ts';
import type { ViewFile } from './entry.ts';
import { parseBoolean } from './numbers.ts';
import type { Resource } from './resources.ts';

/** What everybody may read: the header; of CardBus bridges, which have a longer one, twice as much. */
const PUBLIC = 64;
const PUBLIC_CARDBUS = 128;
const CARDBUS = 2;

/** `pci_read_config`, `pci_write_config`. */
export function configFile(device: PciDevice, registers: ConfigRegisters): ViewFile {
  const { size, readable } = registers.of(device);
  const name = `${device.name}/config`;
  return {
    kind: 'file',
    mode: 0o644,
    size: size > 256 ? 4096 : 256,
    open: ({ admin }) => {
      const open = device.facts.headerType === CARDBUS ? PUBLIC_CARDBUS : PUBLIC;
      const end = Math.min(readable, admin ? size : open);
      return {
        read: (offset, length) => {
          assertPresent(device, name);
          return registers.of(device).bytes.bytes.slice(offset, Math.min(end, offset + length));
        },
        write: (offset, bytes) => {
          assertPresent(device, name);
          const taken = bytes.subarray(0, Math.max(0, size - offset));
          registers.write(device, offset, taken);
          return taken.length;
        },
      };
    },
  };
}

/**
 * `resourceN`: memory can only be mapped, which needs a device; ports answer as if nobody was there.
 */
export function resourceFile(device: PciDevice, file: string, resource: Resource): ViewFile {
  const name = `${device.name}/${file}`;
  const access = (offset: number, length: number): number => {
    assertPresent(device, name);
    if (!resource.io) throw new KernelError('EIO', name, 'memory is mapped, not read');
    if (BigInt(offset) >= resource.size) return 0;
    const fits = (length === 1 || length === 2 || length === 4) && BigInt(offset + length) <= resource.size;
    if (!fits) throw new KernelError('EINVAL', name, 'ports are read 1, 2 or 4 bytes at a time');
    return length;
  };
  return {
    kind: 'file',
    mode: 0o600,
    size: Number(resource.size),
    open: () => ({
      read: (offset, length) => new Uint8Array(access(offset, length)).fill(0xff),
      write: (offset, bytes) => access(offset, bytes.length),
    }),
  };
}

/** What is in a ROM is not recorded: switching it on works, reading it does not. */
export function romFile(device: PciDevice, resource: Resource): ViewFile {
  const name = `${device.name}/rom`;
  return {
    kind: 'file',
    mode: 0o600,
    size: Number(resource.size),
    open: () => ({
      read: () => {
        assertPresent(device, name);
        if (ENABLED.has(device)) throw new KernelError('EIO', name, 'its content was not recorded');
        throw new KernelError('EINVAL', name, 'is switched off', 'write 1 first');
      },
      write: (_offset, bytes) => {
        assertPresent(device, name);
        if (parseBoolean(Buffer.from(bytes).toString('latin1'), name)) ENABLED.add(device);
        else ENABLED.delete(device);
        return bytes.length;
      },
    }),
  };
}

/** `rom_attr_enabled`. */
const ENABLED = new WeakSet<PciDevice>();

function assertPresent(device: PciDevice, name: string): void {
  if (device.kobj === undefined) throw new KernelError('ENODEV', name, 'its device is gone');
}

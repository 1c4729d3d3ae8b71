/** The PCI function under vfio-pci: its registers, where its BARs are, and what a reset does. */

import { EXTENDED_SPACE } from '../../../pci/config-space.ts';
import type { PciDevice } from '../../../pci/device.ts';
import { resetMethods } from '../../../pci/reset.ts';
import { RegisterBytes, type Width } from './register-bytes.ts';
import { CONVENTIONAL_SIZE, Header } from './registers.ts';

/** `struct resource` of a BAR or the option ROM. */
export interface PciResource {
  /** Physical address, or first I/O port; 0 where the host gave it none. */
  start: bigint;
  /** Bytes. */
  size: bigint;
  kind: 'memory' | 'io';
  prefetchable?: boolean;
  /** 64 bits: takes the next BAR's register too. */
  wide?: boolean;
  /** What answers behind it; all ones without. Offsets are bytes into the region. */
  behind?: {
    read(offset: number, into: Uint8Array): void;
    write(offset: number, from: Uint8Array): void;
  };
}

/** BARs 0 to 5, then the ROM. */
export const ROM_RESOURCE = 6;

/** `IORESOURCE_*` as in sysfs's `resource`. */
const IORESOURCE = { Io: 0x100n, Memory: 0x200n, Prefetch: 0x2000n, Wide: 0x10_0000n } as const;

/**
 * One line of sysfs's `resource`: start, inclusive end, flags. None for a region that is not there.
 */
export function pciResource(start: bigint, end: bigint, flags: bigint): PciResource | undefined {
  const io = (flags & IORESOURCE.Io) !== 0n;
  if (end < start || (!io && (flags & IORESOURCE.Memory) === 0n)) return undefined;
  return {
    start,
    size: end - start + 1n,
    kind: io ? 'io' : 'memory',
    prefetchable: (flags & IORESOURCE.Prefetch) !== 0n,
    wide: (flags & IORESOURCE.Wide) !== 0n,
  };
}

export interface PciHardwareInit {
  /** The registers, where others see them as well; what was recorded unless given. */
  registers?: RegisterBytes;
  /** By region number; those left out are not there. */
  resources?: readonly (PciResource | undefined)[];
  /** Whether it can be reset alone; what `resetMethods` knows unless told. */
  canReset?: boolean;
  /** Told of every reset. */
  onReset?(): void;
}

/**
 * A function that answers as it was recorded, plus what is written to it: every bit keeps what is written there,
 * which registers of real hardware do not all do. Bytes that were not read answer 0; without any the header is made
 * of what is known.
 */
export class PciHardware {
  readonly device: PciDevice;
  readonly resources: readonly (PciResource | undefined)[];
  readonly canReset: boolean;
  readonly #registers: RegisterBytes;
  readonly #onReset: (() => void) | undefined;

  constructor(device: PciDevice, init: PciHardwareInit = {}) {
    this.device = device;
    this.resources = init.resources ?? [];
    this.canReset = init.canReset ?? resetMethods(device).methods.length > 0;
    this.#onReset = init.onReset;
    this.#registers = init.registers ?? recordedRegisters(device);
    if (init.registers === undefined && device.config === undefined) this.#describe();
  }

  #describe(): void {
    const { device } = this;
    this.write(Header.Vendor, 2, device.vendor ?? 0);
    this.write(Header.Device, 2, device.device ?? 0);
    this.write(Header.Revision, 4, (((device.class ?? 0) << 8) | (device.revision ?? 0)) >>> 0);
    this.write(Header.SubsystemVendor, 2, device.subsystemVendor ?? 0);
    this.write(Header.SubsystemDevice, 2, device.subsystemDevice ?? 0);
  }

  /** `cfg_size`. */
  get configSize(): number {
    return this.#registers.bytes.length;
  }

  /** `pci_read_config_*`; beyond the end as if nobody answered. */
  read(at: number, width: Width): number {
    if (at < 0 || at + width > this.#registers.bytes.length) return 2 ** (8 * width) - 1;
    return this.#registers.read(at, width);
  }

  /** `pci_write_config_*`. */
  write(at: number, width: Width, value: number): void {
    if (at < 0 || at + width > this.#registers.bytes.length) return;
    this.#registers.write(at, width, value);
  }

  /** `pci_save_state`. */
  save(): Uint8Array {
    return this.#registers.bytes.slice();
  }

  /** `pci_restore_state`. */
  restore(saved: Uint8Array): void {
    this.#registers.bytes.set(saved);
  }

  /** `pci_try_reset_function`: registers come back as they were. */
  resetFunction(): void {
    const saved = this.save();
    this.#onReset?.();
    this.restore(saved);
  }
}

function recordedRegisters({ config, isPcie }: PciDevice): RegisterBytes {
  const size = config?.size ?? (isPcie === true ? EXTENDED_SPACE : CONVENTIONAL_SIZE);
  return new RegisterBytes(Uint8Array.from({ length: size }, (_, at) => config?.byte(at) ?? 0));
}

/**
 * Configuration space as a program sees it through vfio-pci (vfio_pci_config.c): some bits are the hardware's, some
 * only seem to be, and what would reach beyond the function cannot be written.
 */

import { KernelError } from '../../../kernel/errors.ts';
import { isBar, shapeBars } from './bars.ts';
import { BASIC, type ConfigMap, mapConfig, UNASSIGNED } from './config-map.ts';
import type { PciHardware } from './hardware.ts';
import {
  CAPABILITY_PERMISSIONS,
  EXTENDED_PERMISSIONS,
  HEADER_PERMISSIONS,
  type Permissions,
  RAW_CAPABILITIES,
  RAW_EXTENDED,
} from './permissions.ts';
import type { RegisterBytes, Width } from './register-bytes.ts';
import { Af, Capability, CONVENTIONAL_SIZE, Command, Express, Header, Msi, Pm } from './registers.ts';

/** One access: at most a double word of one capability. */
interface Access {
  at: number;
  width: Width;
  owner: number;
  /** Where its capability begins. */
  start: number;
  permissions: Permissions | undefined;
}

const D3HOT = 3;

export class VirtualConfigSpace {
  readonly #hardware: PciHardware;
  readonly #map: ConfigMap;
  /** `vconfig`. */
  readonly #shown: RegisterBytes;
  readonly #reset: () => void;
  /** BARs were written since they were last made to look like hardware's (`bardirty`). */
  #barsWritten = true;

  /** @param reset resets the function, when the program asks for it by a register */
  constructor(hardware: PciHardware, reset: () => void) {
    this.#hardware = hardware;
    this.#reset = reset;
    this.#map = mapConfig(hardware);
    this.#shown = this.#map.shown;
    const { device } = hardware;
    if (!device.isVirtual) return;
    // Registers a virtual function does not have: ids, interrupt pin, the switch for its memory.
    this.#shown.write(Header.Vendor, 2, device.vendor ?? 0xffff);
    this.#shown.write(Header.Device, 2, device.device ?? 0xffff);
    this.#shown.write(Header.InterruptPin, 1, 0);
    this.#shown.write(Header.Command, 2, this.#command() | Command.Memory);
  }

  /** What the copy shows of the interrupt pin: 0 for none. */
  get interruptPin(): number {
    return this.#shown.read(Header.InterruptPin, 1);
  }

  /** `__vfio_pci_memory_enabled`. */
  get memoryEnabled(): boolean {
    const on = this.#hardware.device.isVirtual || (this.#command() & Command.Memory) !== 0;
    return on && this.#powerState() < D3HOT;
  }

  /**
   * `vfio_pci_config_rw`: reads `bytes` from `position` on.
   *
   * @throws KernelError EFAULT past the end; what lies before it has been read
   */
  read(position: number, bytes: Uint8Array): number {
    return this.#each(position, bytes.length, (access, done) => {
      put(bytes, done, access.width, this.#read(access));
    });
  }

  /**
   * The same for writing.
   *
   * @throws KernelError EFAULT past the end; what lies before it has been written
   */
  write(position: number, bytes: Uint8Array): number {
    return this.#each(position, bytes.length, (access, done) => {
      this.#write(access, get(bytes, done, access.width));
    });
  }

  #each(position: number, length: number, work: (access: Access, done: number) => void): number {
    const { configSize } = this.#hardware;
    for (let done = 0; done < length; ) {
      const at = position + done;
      if (at >= configSize || at + (length - done) > configSize) {
        throw new KernelError(
          'EFAULT',
          this.#hardware.device.name,
          `configuration space ends at ${configSize} bytes`,
        );
      }
      const access = this.#access(at, length - done);
      work(access, done);
      done += access.width;
    }
    return length;
  }

  /** Cuts an access to what is aligned and of one capability. */
  #access(at: number, length: number): Access {
    const { owners, msi } = this.#map;
    const owner = owners[at]!;
    let reach = 1;
    while ((at + reach) % 4 !== 0 && owners[at + reach] === owner) reach++;
    const room = Math.min(reach, length);
    const width: Width = room >= 4 && at % 4 === 0 ? 4 : room >= 2 && at % 2 === 0 ? 2 : 1;
    const access = { at, width, owner, start: at };
    if (owner === UNASSIGNED) return { ...access, permissions: undefined };
    if (owner === BASIC && at < CONVENTIONAL_SIZE)
      return { ...access, start: 0, permissions: HEADER_PERMISSIONS };
    while (access.start > 0 && owners[access.start - 1] === owner && access.start !== CONVENTIONAL_SIZE)
      access.start--;
    if (at >= CONVENTIONAL_SIZE) return { ...access, permissions: EXTENDED_PERMISSIONS.get(owner) };
    if (owner === Capability.Msi) return { ...access, permissions: msi };
    return { ...access, permissions: CAPABILITY_PERMISSIONS.get(owner) };
  }

  #read(access: Access): number {
    const { at, width, owner, start, permissions } = access;
    if (owner === UNASSIGNED) return this.#hardware.read(at, width);
    if (permissions === undefined) return this.#readDirect(access);
    if (permissions === HEADER_PERMISSIONS && isBar(at) && this.#barsWritten) {
      shapeBars(this.#shown, this.#hardware.resources);
      this.#barsWritten = false;
    }
    const virtual = permissions.virtual(at - start, width);
    const value = (this.#shown.read(at, width) & virtual) | (this.#hardware.read(at, width) & ~virtual);
    const forced = owner === BASIC && at === Header.Command && this.#hardware.device.isVirtual;
    return (forced ? value | (this.#command() & Command.Memory) : value) >>> 0;
  }

  /** `vfio_direct_config_read`: the hardware's, but for what links the capabilities. */
  #readDirect({ at, width, start }: Access): number {
    const value = this.#hardware.read(at, width);
    const offset = at - start;
    if (at >= CONVENTIONAL_SIZE) return offset < 4 ? this.#shown.read(at, width) : value;
    if (offset === 0 && width > 1) return ((value & ~0xffff) | this.#shown.read(at, 2)) >>> 0;
    return offset === 1 ? this.#shown.read(at, 1) : value;
  }

  #write(access: Access, value: number): void {
    const { at, width, owner, permissions } = access;
    if (permissions === undefined) {
      const raw = at >= CONVENTIONAL_SIZE ? RAW_EXTENDED : RAW_CAPABILITIES;
      if (owner === UNASSIGNED || raw.has(owner)) this.#hardware.write(at, width, value);
      return;
    }
    const readRequest = this.#readRequest(access);
    this.#writePermitted(access, permissions, value);
    if (at >= CONVENTIONAL_SIZE) return;
    if (owner === BASIC) this.#headerWritten(access, value);
    else if (owner === Capability.PowerManagement) this.#powerWritten(access, value);
    else if (owner === Capability.Express) this.#expressWritten(access, readRequest);
    else if (owner === Capability.AdvancedFeatures) this.#featuresWritten(access);
    else if (owner === Capability.Msi) this.#msiWritten(access);
  }

  /** `vfio_default_config_write`: virtual bits into the copy, the others into the hardware. */
  #writePermitted({ at, width, start }: Access, permissions: Permissions, value: number): void {
    const writable = permissions.writable(at - start, width);
    const virtual = permissions.virtual(at - start, width);
    const kept = writable & virtual;
    const passed = writable & ~virtual;
    if (kept !== 0) this.#shown.write(at, width, (this.#shown.read(at, width) & ~kept) | (value & kept));
    if (passed !== 0) {
      this.#hardware.write(at, width, ((this.#hardware.read(at, width) & ~passed) | (value & passed)) >>> 0);
    }
  }

  /** The copy keeps the switches of memory and I/O ports; BARs are shaped when they are read again. */
  #headerWritten({ at }: Access, value: number): void {
    if (at === Header.Command) {
      const switches = Command.Memory | Command.Io;
      this.#shown.write(at, 2, (this.#command() & ~switches) | (value & switches));
    }
    if (isBar(at)) this.#barsWritten = true;
  }

  /** The state bits are read-only to the program; the change is made for it. */
  #powerWritten({ at, start }: Access, value: number): void {
    if (at - start !== Pm.Ctrl) return;
    const ctrl = this.#hardware.read(at, 2) & ~Pm.stateMask;
    this.#hardware.write(at, 2, ctrl | (value & Pm.stateMask));
  }

  #readRequest({ owner, start, at }: Access): number {
    if (owner !== Capability.Express || at >= CONVENTIONAL_SIZE) return 0;
    return this.#shown.read(start + Express.Control, 2) & Express.readRequest;
  }

  /** A reset if it asked for one; never smaller read requests than the payload the host settled on. */
  #expressWritten({ start }: Access, before: number): void {
    const at = start + Express.Control;
    const control = this.#shown.read(at, 2);
    if ((control & Express.flr) !== 0) {
      this.#shown.write(at, 2, control & ~Express.flr);
      if ((this.#hardware.read(start + Express.Capabilities, 4) & Express.flrSupported) !== 0) this.#reset();
    }
    const wanted = control & Express.readRequest;
    if (wanted === before) return;
    const real = this.#hardware.read(at, 2);
    const floor = (real & Express.payload) << 7;
    this.#hardware.write(at, 2, (real & ~Express.readRequest) | Math.max(wanted, floor));
  }

  #featuresWritten({ start }: Access): void {
    const at = start + Af.Control;
    const control = this.#shown.read(at, 1);
    if ((control & Af.flr) === 0) return;
    this.#shown.write(at, 1, control & ~Af.flr);
    const needed = Af.flrSupported | Af.tpSupported;
    if ((this.#hardware.read(start + Af.Capabilities, 1) & needed) === needed) this.#reset();
  }

  /** Interrupts are switched on by a call, and only as many as it set up: none as long as there is none. */
  #msiWritten({ at, width, start }: Access): void {
    const offset = at - start;
    if (offset > Msi.Flags || offset + width < Msi.Flags) return;
    const flags = this.#shown.read(start + Msi.Flags, 2) & ~(Msi.enable | Msi.sizeMask);
    this.#shown.write(start + Msi.Flags, 2, flags);
    this.#hardware.write(start + Msi.Flags, 2, flags);
  }

  #powerState(): number {
    const at = this.#map.owners.indexOf(Capability.PowerManagement);
    if (at < 0 || at >= CONVENTIONAL_SIZE) return 0;
    return this.#hardware.read(at + Pm.Ctrl, 2) & Pm.stateMask;
  }

  #command(): number {
    return this.#shown.read(Header.Command, 2);
  }
}

function get(bytes: Uint8Array, at: number, width: Width): number {
  let value = 0;
  for (let byte = width - 1; byte >= 0; byte--) value = value * 256 + bytes[at + byte]!;
  return value;
}

function put(bytes: Uint8Array, at: number, width: Width, value: number): void {
  for (let byte = 0; byte < width; byte++) bytes[at + byte] = (value >>> (8 * byte)) & 0xff;
}

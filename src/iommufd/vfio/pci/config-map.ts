/**
 * Which capability each byte of configuration space belongs to, and the copy of it a program sees, in which the
 * capabilities it is not to see are skipped (`vfio_cap_init`, `vfio_ecap_init`).
 */

import { announcesExtended, capabilityLength, extendedLength } from './capability-lengths.ts';
import type { PciHardware } from './hardware.ts';
import { msiPermissions, type Permissions } from './permissions.ts';
import { RegisterBytes } from './register-bytes.ts';
import {
  Capability,
  CONVENTIONAL_SIZE,
  HEADER_SIZE,
  Header,
  Msi,
  Pm,
  STATUS_CAPABILITY_LIST,
} from './registers.ts';

/** Belongs to the header; no capability has id 0. */
export const BASIC = 0;
/** Belongs to no capability. */
export const UNASSIGNED = 0xffff;

const NEXT_POINTER = 1;
const SMALLEST_CAPABILITY = 4;

export interface ConfigMap {
  /** Capability id by byte, or `BASIC` or `UNASSIGNED`. */
  readonly owners: Uint16Array;
  /** `vconfig`. */
  readonly shown: RegisterBytes;
  /** Bits of the function's own MSI capability. */
  readonly msi: Permissions | undefined;
}

export function mapConfig(hardware: PciHardware): ConfigMap {
  return new ConfigMapper(hardware).map();
}

class ConfigMapper {
  readonly #hardware: PciHardware;
  readonly #owners: Uint16Array;
  readonly #shown: RegisterBytes;
  #msi: Permissions | undefined;
  #extended = false;

  constructor(hardware: PciHardware) {
    this.#hardware = hardware;
    this.#owners = new Uint16Array(hardware.configSize).fill(UNASSIGNED);
    this.#shown = new RegisterBytes(new Uint8Array(hardware.configSize));
  }

  map(): ConfigMap {
    this.#take(BASIC, 0, HEADER_SIZE);
    this.#conventional();
    if (this.#extended) this.#extendedChain();
    return { owners: this.#owners, shown: this.#shown, msi: this.#msi };
  }

  #conventional(): void {
    const hardware = this.#hardware;
    if ((hardware.read(Header.Status, 2) & STATUS_CAPABILITY_LIST) === 0) return;
    /** Where the pointer to the next shown capability is. */
    let pointer: number = Header.CapabilityList;
    let found = 0;
    let at = hardware.read(Header.CapabilityList, 1);
    const most = (CONVENTIONAL_SIZE - HEADER_SIZE) / SMALLEST_CAPABILITY;
    for (let steps = 0; at !== 0 && steps < most; steps++) {
      const id = hardware.read(at, 1);
      const next = hardware.read(at + NEXT_POINTER, 1);
      const length = capabilityLength(hardware, id, at);
      if (length === 0) {
        this.#shown.write(pointer, 1, next);
      } else {
        this.#extended = announcesExtended(hardware, id, at) || this.#extended;
        this.#take(id, at, length);
        if (id === Capability.PowerManagement) this.#hideWakeUp(at);
        if (id === Capability.Msi) this.#msi ??= msiPermissions(length, hardware.read(at + Msi.Flags, 2));
        pointer = at + NEXT_POINTER;
        found++;
      }
      at = next;
    }
    if (found > 0) return;
    this.#shown.write(Header.Status, 2, this.#shown.read(Header.Status, 2) & ~STATUS_CAPABILITY_LIST);
  }

  /** Nothing can be left out in front of the first capability, so what is hidden there stays as an empty one. */
  #extendedChain(): void {
    const hardware = this.#hardware;
    let previous: number | undefined;
    let found = 0;
    let at = CONVENTIONAL_SIZE;
    const most = (hardware.configSize - CONVENTIONAL_SIZE) / SMALLEST_CAPABILITY;
    for (let steps = 0; steps < most && at >= CONVENTIONAL_SIZE; steps++) {
      const header = hardware.read(at, 4);
      const id = header & 0xffff;
      const next = (header >>> 20) & 0xffc;
      const length = extendedLength(hardware, id, at);
      if (length === 0 && previous !== undefined) {
        this.#setHeader(previous, (this.#header(previous) & 0xf_ffff) | (next << 20));
      } else {
        this.#take(id, at, length || SMALLEST_CAPABILITY);
        if (length === 0) this.#setHeader(at, this.#header(at) & (0xffc << 20));
        else found++;
        previous = at;
      }
      at = next;
    }
    if (found === 0) this.#setHeader(CONVENTIONAL_SIZE, 0);
  }

  /** Wake-up events concern the host. */
  #hideWakeUp(at: number): void {
    const shown = this.#shown;
    shown.write(at + Pm.Pmc, 2, shown.read(at + Pm.Pmc, 2) & ~Pm.pmeSupport);
    shown.write(at + Pm.Ctrl, 2, shown.read(at + Pm.Ctrl, 2) & ~(Pm.pmeEnable | Pm.pmeStatus));
  }

  #take(id: number, at: number, length: number): void {
    const end = Math.min(at + length, this.#owners.length);
    this.#owners.fill(id, at, end);
    for (let byte = at; byte < end; byte++) this.#shown.write(byte, 1, this.#hardware.read(byte, 1));
  }

  #header(at: number): number {
    return this.#shown.read(at, 4);
  }

  #setHeader(at: number, value: number): void {
    this.#shown.write(at, 4, value);
  }
}

/** The ACS words as they stand once the kernel has enabled ACS and applied its parameters (`pci_enable_acs`). */

import { Acs } from './acs-bits.ts';
import { AcsParameter } from './acs-parameters.ts';
import { INTEL_PCH_PORTS, INTEL_SPT_PORTS, inRanges } from './acs-quirks.ts';
import { devfn } from './address.ts';
import type { PciDevice } from './device.ts';
import { type Fact, PcieType } from './facts.ts';

export interface AcsWords {
  capability: number;
  control: number;
}

export interface AcsControlOptions {
  /**
   * `recorded`: the control words are those of a kernel that used an IOMMU, so it has enabled ACS already.
   * `enabled`: they are firmware's, and what such a kernel would make of them is asked for.
   */
  mode: 'recorded' | 'enabled';
  disableAcsRedir?: string | undefined;
  configAcs?: string | undefined;
  /** ATS is off (`pci=noats`): translation blocking is then enabled as well. */
  noAts?: boolean | undefined;
}

/** Root complex base address register of the LPC function, and its enable bit. */
const INTEL_LPC_RCBA = 0xf0;
/** Port register with the "invalid receive bus number check", which the quirk switches on. */
const INTEL_MPC = 0xd8;
const INTEL_MPC_IRBNCE = 0x04000000;

export class AcsControl {
  readonly #mode: AcsControlOptions['mode'];
  readonly #noAts: boolean;
  readonly #parameters: AcsParameter[] = [];
  readonly #written = new WeakMap<PciDevice, number>();

  constructor(options: AcsControlOptions) {
    this.#mode = options.mode;
    this.#noAts = options.noAts === true;
    // In this order: the second of them wins where both name a device.
    if (options.disableAcsRedir !== undefined) {
      this.#parameters.push(new AcsParameter('disable_acs_redir', options.disableAcsRedir));
    }
    if (options.configAcs !== undefined)
      this.#parameters.push(new AcsParameter('config_acs', options.configAcs));
  }

  /** What is wrong with the parameters. */
  get notes(): string[] {
    return this.#parameters.flatMap((parameter) => parameter.notes);
  }

  /**
   * Somebody has written the control word (`setpci`): from now on it is this, whatever enabling made of it. Answers
   * that were remembered are to be forgotten (`AcsContext.invalidate`).
   */
  write(device: PciDevice, control: number): void {
    this.#written.set(device, control);
  }

  /** The 16-bit words at +4 and +6, which the standard test reads. */
  words(device: PciDevice): Fact<AcsWords> {
    const { acs } = device.facts;
    if (!acs) return acs;
    const { capability } = acs;
    const written = this.#written.get(device);
    if (written !== undefined && !isIntelSptPort(device)) return { capability, control: written & 0xffff };
    const firmware = acs.control;
    let control = firmware;
    const special = isIntelPchPort(device) || isIntelSptPort(device);
    if (this.#mode === 'enabled' && !special) control |= this.#standard(device, capability);
    if (isIntelSptPort(device)) return { capability, control };
    for (const parameter of this.#parameters) {
      const change = parameter.changeFor(device);
      // Bits outside the mask fall back to firmware's: enabling by the kernel is lost for them.
      if (change !== undefined) control = (firmware & ~change.mask) | (change.flags & change.mask);
    }
    return { capability, control };
  }

  /**
   * Intel 100 and 200 series ports: 32-bit words, control at +8. Where only the 16-bit words are known (lspci
   * prints the wrong control word) control is what the kernel's quirk makes of it: everything offered.
   */
  wideWords(device: PciDevice): Fact<AcsWords> {
    const { acs } = device.facts;
    if (!acs) return acs;
    const capability = acs.wide?.capability ?? acs.capability;
    const written = this.#written.get(device);
    if (written !== undefined) return { capability, control: written };
    let control = acs.wide?.control ?? 0;
    if (this.#mode === 'enabled' || acs.wide === undefined) control |= this.#standard(device, capability);
    if (this.#parameters.some((parameter) => parameter.changeFor(device) !== undefined)) {
      control &= ~(Acs.RR | Acs.CR | Acs.EC);
    }
    return { capability, control };
  }

  /**
   * Whether the enabling quirk of Intel PCH root ports succeeded (`pci_quirk_enable_intel_pch_acs`); `undefined`
   * where the registers were not read.
   */
  pchEnabled(device: PciDevice): boolean | undefined {
    const port = device.config?.dword(INTEL_MPC);
    if (this.#mode === 'recorded' && port !== undefined && (port & INTEL_MPC_IRBNCE) === 0) return false;
    const base = device.pciBus.deviceAt(devfn(0x1f, 0))?.config?.dword(INTEL_LPC_RCBA);
    return base === undefined ? undefined : (base & 1) !== 0;
  }

  /** `pci_std_enable_acs` */
  #standard(device: PciDevice, capability: number): number {
    const blocking = this.#noAts || device.untrusted ? Acs.TB : 0;
    return capability & (Acs.SV | Acs.RR | Acs.CR | Acs.UF | blocking);
  }
}

/** `pci_quirk_intel_pch_acs_match` */
export function isIntelPchPort(device: PciDevice): boolean {
  return isIntelRootPort(device) && INTEL_PCH_PORTS.has(device.device!);
}

/** `pci_quirk_intel_spt_pch_acs_match` */
export function isIntelSptPort(device: PciDevice): boolean {
  return isIntelRootPort(device) && inRanges(INTEL_SPT_PORTS, device.device!);
}

function isIntelRootPort(device: PciDevice): boolean {
  return device.vendor === 0x8086 && device.device !== undefined && device.pcieType === PcieType.RootPort;
}

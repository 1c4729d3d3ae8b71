/** One PCI function in the model (`struct pci_dev`). */

import type { Bus } from '../device/bus.ts';
import { Device } from '../device/device.ts';
import { functionOf, type PciAddress, rid, slotOf } from './address.ts';
import type { PciBus } from './bus.ts';
import type { ConfigSpace } from './config-space.ts';
import type { DevfnSet } from './devfn-set.ts';
import type { FunctionFacts } from './facts.ts';

/** What a reader hands over of one function. Absent: unknown. */
export interface PciFunctionInit {
  /** Full address, lower case. */
  address: string;
  facts: FunctionFacts;
  vendor?: number | undefined;
  device?: number | undefined;
  subsystemVendor?: number | undefined;
  subsystemDevice?: number | undefined;
  /** 24 bits: base class, sub-class, programming interface. */
  class?: number | undefined;
  revision?: number | undefined;
  /** Below /sys/devices. Where it is given it decides what the function hangs from. */
  path?: string | undefined;
  /** Address of the physical function; `null`: known not to be virtual. */
  physfn?: string | null | undefined;
  /** For the few quirks that read registers (`INTEL_LPC_RCBA_REG`). */
  config?: ConfigSpace | undefined;
  /** The device itself can be plugged in from outside (`removable` attribute). */
  untrusted?: boolean | undefined;
}

/** Device flags that matter here, with the kernel's bit numbers (`PCI_DEV_FLAGS_*`). */
export const PciFlag = {
  PcieBridgeAlias: 1 << 5,
  NoBusReset: 1 << 6,
  NoPmReset: 1 << 7,
  BridgeXlateRoot: 1 << 9,
  NoFlrReset: 1 << 10,
} as const;

export class PciDevice extends Device {
  readonly domain: number;
  readonly devfn: number;
  readonly pciBus: PciBus;
  readonly facts: FunctionFacts;
  readonly vendor: number | undefined;
  readonly device: number | undefined;
  readonly subsystemVendor: number | undefined;
  readonly subsystemDevice: number | undefined;
  readonly class: number | undefined;
  readonly revision: number | undefined;
  readonly config: ConfigSpace | undefined;
  /** Header bit, or found at a function number above 0; always false for a virtual function. */
  multifunction: boolean;
  readonly isVirtual: boolean;
  /** Absent for a virtual function whose physical function is not in the snapshot. */
  readonly physfn: PciDevice | undefined;
  /** The bus behind a bridge (`subordinate`). */
  subordinate: PciBus | undefined = undefined;
  /** Device/port type where the register contradicts what is above it (`set_pcie_port_type`). */
  correctedType: number | undefined = undefined;
  /** Devfns on its own bus whose requester ids this device may use as well. */
  dmaAliasMask: DevfnSet | undefined = undefined;
  /** Name of the quirk that made `dmaAliasMask`, or of the table. */
  dmaAliasQuirk: string | undefined = undefined;
  /** Aliases it has and that cannot be known from here: what they are. */
  dmaAliasUnknown: string | undefined = undefined;
  /** `PciFlag` bits, set by quirks. */
  flags = 0;
  /** Hangs from, or is, something that can be plugged in from outside. */
  readonly untrusted: boolean;

  constructor(
    init: PciFunctionInit,
    address: PciAddress,
    pciBus: PciBus,
    place: { parent?: Device; bus?: Bus; isVirtual: boolean; physfn?: PciDevice | undefined },
  ) {
    super({
      name: init.address,
      ...(place.parent === undefined ? {} : { parent: place.parent }),
      ...(place.bus === undefined ? {} : { bus: place.bus }),
    });
    this.domain = address.domain;
    this.devfn = address.devfn;
    this.pciBus = pciBus;
    this.facts = init.facts;
    this.isVirtual = place.isVirtual;
    this.physfn = place.physfn;
    // The kernel gives a virtual function its PF's vendor and the PF's "VF device id"; its own registers read ffff.
    this.vendor = init.vendor ?? place.physfn?.vendor;
    this.device = init.device ?? place.physfn?.facts.sriov?.vfDevice;
    this.subsystemVendor = init.subsystemVendor;
    this.subsystemDevice = init.subsystemDevice;
    this.class = init.class;
    this.revision = init.revision;
    this.config = init.config;
    this.multifunction = !place.isVirtual && init.facts.multifunctionBit === true;
    this.untrusted = init.untrusted === true || pciBus.self?.untrusted === true;
  }

  /** Full address, `0000:01:00.0` (`pci_name`). */
  get address(): string {
    return this.name;
  }

  get slot(): number {
    return slotOf(this.devfn);
  }

  get func(): number {
    return functionOf(this.devfn);
  }

  /** Requester id (`pci_dev_id`). */
  get rid(): number {
    return rid(this.pciBus.number, this.devfn);
  }

  /** `pci_is_pcie` */
  get isPcie(): boolean | undefined {
    const { pcie } = this.facts;
    return pcie === undefined ? undefined : pcie !== null;
  }

  /** `pci_pcie_type`, corrected; `null`: not a PCIe device. */
  get pcieType(): number | null | undefined {
    const { pcie } = this.facts;
    return pcie ? (this.correctedType ?? pcie.type) : pcie;
  }

  /** `pci_upstream_bridge`: for a virtual function, that of its physical function. */
  get upstreamBridge(): PciDevice | undefined {
    return (this.physfn ?? this).pciBus.self;
  }

  /** `pci_real_dma_dev`: the device on whose behalf DMA is made (the VMD endpoint for what is behind it). */
  get realDmaDevice(): PciDevice {
    return this.pciBus.dmaDevice ?? this;
  }
}

/** A booted machine: the model of one snapshot, with its groups formed and every reason kept. */

import type { DeviceCore } from '../device/core.ts';
import type { Device } from '../device/device.ts';
import type { PciFacts, Snapshot } from '../host/snapshot.ts';
import type { Group } from '../iommu/group.ts';
import type { Reason } from '../iommu/grouping/reason.ts';
import type { Iommu } from '../iommu/iommu.ts';
import { hex64, type ReservedRegion, regionWord } from '../iommu/reserved-region.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Sysfs } from '../kernel/sysfs.ts';
import { type AcsContext, type AcsVerdict, acsPath } from '../pci/acs.ts';
import { forEachDmaAlias } from '../pci/alias.ts';
import type { PciDevice } from '../pci/device.ts';
import type { PciTopology } from '../pci/topology.ts';
import type { BootOptions } from './boot.ts';
import { functionInit } from './function-init.ts';
import { noGroupWords } from './no-group.ts';

/** A group as reports show it: plain data, members in the order they came. */
export interface GroupView {
  id: number;
  /** As its `type` file reads. */
  type: string;
  name?: string;
  devices: string[];
  reservedRegions: RegionView[];
}

export interface RegionView {
  /** 16 hex digits, as in `reserved_regions`; `end` is inclusive. */
  start: string;
  end: string;
  type: string;
}

export interface MachineParts {
  snapshot: Snapshot;
  options: BootOptions;
  policy: string;
  sysfs: Sysfs;
  core: DeviceCore;
  pci: PciTopology;
  iommu: Iommu;
  acs: AcsContext;
  others: ReadonlyMap<string, Device>;
  notes: string[];
}

export class Machine {
  /** The facts it was booted with; after hot-plug, those it has now, for reports to speak of. */
  snapshot: Snapshot;
  readonly options: BootOptions;
  /** Name of the grouping policy it was booted with. */
  readonly policy: string;
  readonly sysfs: Sysfs;
  readonly core: DeviceCore;
  readonly pci: PciTopology;
  readonly iommu: Iommu;
  readonly acsContext: AcsContext;
  /** What was doubtful while booting: tables that do not hold together, parameters the kernel refuses. */
  readonly notes: readonly string[];
  readonly #others: ReadonlyMap<string, Device>;

  constructor(parts: MachineParts) {
    this.snapshot = parts.snapshot;
    this.options = parts.options;
    this.policy = parts.policy;
    this.sysfs = parts.sysfs;
    this.core = parts.core;
    this.pci = parts.pci;
    this.iommu = parts.iommu;
    this.acsContext = parts.acs;
    this.notes = parts.notes;
    this.#others = parts.others;
  }

  /** A device by full address or, for other buses, by name. */
  device(name: string): Device | undefined {
    return this.pci.find(name) ?? this.#others.get(name);
  }

  /** All groups that have members, in numeric order. */
  groups(): GroupView[] {
    return [...this.iommu.groups.values()]
      .filter((group) => group.size > 0)
      .sort((a, b) => a.id - b.id)
      .map(groupView);
  }

  /** The group of a device, if it has one. */
  groupOf(name: string): GroupView | undefined {
    const device = this.device(name);
    const group = device && this.iommu.groupOf(device);
    return group && groupView(group);
  }

  /** The decisions that put a device into its group. */
  reason(name: string): Reason | undefined {
    const device = this.device(name);
    return device && this.iommu.reasonFor(device);
  }

  /** Why a device is in no group, in words. */
  noGroupReason(name: string): string | undefined {
    const device = this.device(name);
    const why = device && this.iommu.noGroupReason(device);
    return why && noGroupWords(why);
  }

  /** Whether every fact that decided over the device's group was known: over it and over every other member. */
  certain(name: string): boolean {
    const device = this.device(name);
    if (device === undefined) return true;
    const members = this.iommu.groupOf(device)?.devices ?? [device];
    return members.every((member) => (this.iommu.reasonFor(member)?.assumed.length ?? 0) === 0);
  }

  /** Devices whose place is not certain. */
  uncertain(): string[] {
    const doubtful = new Set<Group | undefined>();
    for (const device of this.pci.devices) {
      const reason = this.iommu.reasonFor(device);
      if (reason !== undefined && reason.assumed.length > 0) doubtful.add(this.iommu.groupOf(device));
    }
    if (doubtful.size === 0) return [];
    return this.pci.devices
      .filter((device) => doubtful.has(this.iommu.groupOf(device)))
      .map((device) => device.name);
  }

  /** The bridge right above a device. */
  parentOf(name: string): string | undefined {
    return this.pci.find(name)?.upstreamBridge?.name;
  }

  /** Bridges from a device to the root, nearest first. */
  bridgesAbove(name: string): string[] {
    const bridges: string[] = [];
    for (let at = this.pci.find(name)?.upstreamBridge; at !== undefined; at = at.upstreamBridge)
      bridges.push(at.name);
    return bridges;
  }

  /**
   * The kernel's answer to "does this function isolate" (`pci_acs_enabled` with the required flags).
   * @throws KernelError ENODEV when there is no such PCI function
   */
  acs(name: string): AcsVerdict {
    return this.acsContext.verdict(this.#pci(name));
  }

  /** The answers for a bridge and those above it, up to and including the first that does not isolate. */
  acsPath(name: string): AcsVerdict[] {
    return acsPath(this.#pci(name), undefined, this.acsContext).verdicts;
  }

  /** The requester ids under which a device's DMA may appear, and whose they are. */
  aliases(name: string): { device: string; requesterId: number }[] {
    const found: { device: string; requesterId: number }[] = [];
    forEachDmaAlias(this.#pci(name), (device, requesterId) => {
      found.push({ device: device.name, requesterId });
    });
    return found;
  }

  /** Reserved regions of one device, merged as its group shows them. */
  reservedRegions(name: string): RegionView[] {
    const device = this.device(name);
    const driver = device && this.iommu.instanceOf(device)?.driver;
    return [...(driver?.getResvRegions?.(device!) ?? [])].map(regionView);
  }

  /** Names of the quirks that speak about a device. */
  quirks(name: string): string[] {
    const device = this.#pci(name);
    const verdict = this.acs(name);
    return [
      ...(verdict.because === 'quirk' && verdict.quirk !== undefined ? [`ACS: ${verdict.quirk}`] : []),
      ...(device.dmaAliasQuirk === undefined ? [] : [`DMA alias: ${device.dmaAliasQuirk}`]),
    ];
  }

  /**
   * Hot-plug: the functions of one slot arrive, in the order given, and each looks for its group as it appears. Only
   * then does one above 0 count as multifunction (`pci_scan_slot`), so groups can be narrower than after a boot with
   * the same card.
   *
   * @throws KernelError EEXIST an address is taken, ENODEV no bus leads there
   */
  plug(...functions: PciFacts[]): PciDevice[] {
    const added: PciDevice[] = [];
    for (const facts of functions) {
      this.acsContext.invalidate();
      const device = this.pci.add(functionInit(facts));
      this.core.addDevice(device);
      this.pci.slotScanned(device);
      added.push(device);
      this.#recorded([...this.snapshot.devices, facts]);
    }
    this.acsContext.invalidate();
    return added;
  }

  /**
   * Hot-unplug: the function goes, with everything below it and its virtual functions, last first.
   * @throws KernelError ENODEV when there is no such PCI function
   */
  unplug(name: string): void {
    const gone = this.pci.remove(this.#pci(name));
    for (const device of gone) this.core.deleteDevice(device);
    this.acsContext.invalidate();
    const names = new Set(gone.map((device) => device.name));
    this.#recorded(this.snapshot.devices.filter((facts) => !names.has(facts.address)));
  }

  /** The facts after hot-plug. What the recorded kernel formed no longer says anything about them. */
  #recorded(devices: PciFacts[]): void {
    const { groups: _, ...rest } = this.snapshot;
    this.snapshot = { ...rest, devices };
  }

  #pci(name: string): PciDevice {
    const device = this.pci.find(name);
    if (device === undefined) throw new KernelError('ENODEV', name, 'is no PCI function of this machine');
    return device;
  }
}

function groupView(group: Group): GroupView {
  return {
    id: group.id,
    type: group.type,
    ...(group.name !== undefined && { name: group.name }),
    devices: group.devices.map((device) => device.name),
    reservedRegions: group.reservedRegions().map(regionView),
  };
}

function regionView(region: ReservedRegion): RegionView {
  return { start: hex64(region.start), end: hex64(region.last), type: regionWord(region.type) };
}

/**
 * The IOMMU subsystem as a provider: isolation groups are its groups, whatever IOMMUs the machine has. What they lack
 * follows from facts the subsystem keeps: interrupt remapping, and the reason for every grouping.
 */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { IommuDriver } from '../iommu/driver.ts';
import type { GroupEvent } from '../iommu/group-events.ts';
import type { Reason } from '../iommu/grouping/reason.ts';
import type { Iommu } from '../iommu/iommu.ts';
import { RegionType } from '../iommu/reserved-region.ts';
import type { AcsContext } from '../pci/acs.ts';
import { PciDevice } from '../pci/device.ts';
import type { IsolationGroup } from './group.ts';
import { IommuGroupOps } from './iommu-ops.ts';
import type { Isolation } from './isolation.ts';
import type { StatedLack } from './lacks.ts';
import { OwnGroups, type Place } from './own-groups.ts';
import { ProvenGroups, provenRules } from './proven-groups.ts';
import type { ProviderAnswer, Segment } from './provider.ts';

export interface IommuProviderOptions {
  isolation: Isolation;
  iommu: Iommu;
  /** What the machine's PCI groups were judged with; absent: nothing is known of peer-to-peer but the reasons. */
  acs?: AcsContext;
}

export class IommuProvider extends OwnGroups {
  readonly #iommu: Iommu;
  readonly #acs: AcsContext | undefined;
  readonly #ops = new Map<IommuDriver, IommuGroupOps>();
  /** Forgotten whenever a device comes or goes. */
  #proven: ProvenGroups | undefined;

  constructor(options: IommuProviderOptions) {
    super(options.isolation, 'iommu');
    this.#iommu = options.iommu;
    this.#acs = options.acs;
  }

  override start(buses: Iterable<Bus>): void {
    this.#iommu.groupNotifier.register(this.#onGroup);
    super.start(buses);
  }

  override stop(): void {
    this.#iommu.groupNotifier.unregister(this.#onGroup);
    super.stop();
  }

  override added(device: Device): ProviderAnswer {
    this.#proven = undefined;
    try {
      return super.added(device);
    } finally {
      // A function that is plugged in may make its neighbours multifunction only after this.
      this.#proven = undefined;
    }
  }

  override removed(device: Device): void {
    this.#proven = undefined;
    super.removed(device);
  }

  /** `nomsi` unless interrupts are known to be remapped; `nop2p` where a claim, a guess or a late arrival keeps devices apart. */
  lacksOf(devices: readonly Device[]): StatedLack[] {
    const lacks: StatedLack[] = [];
    for (const device of devices) {
      const why = this.#whyNoIsolatedMsi(device);
      if (why === undefined) continue;
      lacks.push({ lack: 'nomsi', why });
      break;
    }
    const why = this.#whyNotApart(devices);
    if (why !== undefined) lacks.push({ lack: 'nop2p', why });
    return lacks;
  }

  /** Memory that firmware wants mapped 1:1 can neither be taken from a device nor kept from its new owner. */
  unmanageable(group: IsolationGroup): string | undefined {
    for (const device of group.devices) {
      const regions = this.#iommu.instanceOf(device)?.driver.getResvRegions?.(device) ?? [];
      if (regions.some(({ type }) => type === RegionType.Direct)) {
        return `firmware wants memory mapped 1:1 for ${device.name}`;
      }
    }
    return undefined;
  }

  /** What proven facts put together, at the topmost bridge among it or the one above. */
  segmentOf(devices: readonly Device[]): Segment | undefined {
    const proven = this.#provenGroups();
    if (proven === undefined) return undefined;
    const all = new Set(devices.flatMap((device) => [...proven.of(device)]));
    const top = [...all].find((device) => !hasAncestorIn(device, all));
    if (!(top instanceof PciDevice)) return undefined;
    const bridge = top.subordinate === undefined ? (top.upstreamBridge ?? top) : top;
    return { bridge, devices: [...all] };
  }

  consolidated(merged: readonly IsolationGroup[], into: IsolationGroup): void {
    for (const [group, weak] of this.groups) if (merged.includes(weak)) this.groups.set(group, into);
  }

  /** Named for its first device, which is the same after a reboot; numbers of IOMMU groups may not be. */
  protected override placeOf(device: Device): Place | ProviderAnswer {
    const group = this.#iommu.groupOf(device);
    const driver = this.#iommu.instanceOf(device)?.driver;
    // A group without an IOMMU (vfio-noiommu) isolates nothing. What is not PCI may work through the device above.
    if (group === undefined || driver === undefined)
      return device instanceof PciDevice ? 'outside' : undefined;
    if (!this.groups.has(group)) {
      const strong = this.#strongGroup(device);
      if (strong) this.groups.set(group, strong);
    }
    return { key: group, name: device.name, ops: this.#opsOf(driver) };
  }

  /** IOMMUs may come late and go early; a device that is unplugged leaves its IOMMU group in the same way. */
  readonly #onGroup = ({ action, device }: GroupEvent): void => {
    if (device.bus === undefined || !this.buses.has(device.bus)) return;
    if (action === 'addDevice') this.isolation.announce(device);
    else if (action === 'delDevice') this.removed(device);
  };

  #opsOf(driver: IommuDriver): IommuGroupOps {
    let ops = this.#ops.get(driver);
    if (ops === undefined) {
      ops = new IommuGroupOps(this.#iommu, driver.name);
      this.#ops.set(driver, ops);
    }
    return ops;
  }

  /** A new device of a segment that was consolidated: it is not isolated from the rest any better than they were. */
  #strongGroup(device: Device): IsolationGroup | undefined {
    if (![...this.groups.values()].some(({ bridge }) => bridge !== undefined)) return undefined;
    const others = this.#provenGroups()?.of(device) ?? [];
    return others.map((other) => this.isolation.groupOf(other)).find((group) => group?.bridge !== undefined);
  }

  /** A device without an IOMMU does no DMA of its own, so it raises no interrupts in the way that matters here. */
  #whyNoIsolatedMsi(device: Device): string | undefined {
    const instance = this.#iommu.instanceOf(device);
    if (instance === undefined) return undefined;
    const isolated = instance.isolatedMsi === undefined ? false : instance.isolatedMsi(device);
    if (isolated === undefined) return `it is not known whether interrupts of ${device.name} are remapped`;
    return isolated ? undefined : `the IOMMU does not remap interrupts of ${device.name}`;
  }

  #whyNotApart(devices: readonly Device[]): string | undefined {
    const members = new Set(devices);
    for (const device of devices) {
      const together = this.#provenGroups()?.of(device) ?? [];
      const missing = together.find((other) => !members.has(other));
      if (missing === undefined) continue;
      // The claim is kept with whichever of them was grouped by it.
      const claim = this.#claimBehind([...devices, ...together]);
      return `${device.name} is not kept apart from ${missing.name}${claim === undefined ? '' : `: ${claim}`}`;
    }
    for (const device of devices) {
      const [assumed] = this.#iommu.reasonFor(device)?.assumed ?? [];
      if (assumed !== undefined) return assumed;
    }
    return this.#acs === undefined ? this.#claimBehind(devices) : undefined;
  }

  /** The first verdict for these devices that rests on `pcie_acs_override=`. */
  #claimBehind(devices: readonly Device[]): string | undefined {
    for (const device of devices) {
      const claimed = overridden(this.#iommu.reasonFor(device));
      if (claimed !== undefined) return `pcie_acs_override= only claims that ${claimed} isolates`;
    }
    return undefined;
  }

  #provenGroups(): ProvenGroups | undefined {
    if (this.#acs === undefined) return undefined;
    const translated = (device: Device) => this.#iommu.instanceOf(device) !== undefined;
    this.#proven ??= new ProvenGroups(this.buses, provenRules(this.#acs), translated);
    return this.#proven;
  }
}

function hasAncestorIn(device: Device, devices: ReadonlySet<Device>): boolean {
  for (let above = device.parent; above !== undefined; above = above.parent)
    if (devices.has(above)) return true;
  return false;
}

/** The device whose isolation is only claimed, if the group rests on one. */
function overridden(reason: Reason | undefined): string | undefined {
  for (const step of reason?.steps ?? []) {
    const verdicts = step.step === 'isolated-above' ? step.path : step.step === 'function' ? [step.own] : [];
    const claim = verdicts.find(({ because }) => because === 'override');
    if (claim) return claim.device;
  }
  return undefined;
}

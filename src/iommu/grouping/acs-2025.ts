/**
 * Grouping by the series "Fix incorrect iommu_groups with PCIe ACS" (v3, September 2025; proposed, not in
 * mainline): the highest bus that does not isolate captures everything below it.
 */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { AcsContext, AcsVerdict } from '../../pci/acs.ts';
import type { PciBus } from '../../pci/bus.ts';
import { type PciDevice, PciFlag } from '../../pci/device.ts';
import { type BusVerdict, busIsolation } from './bus-isolation.ts';
import { SharedBy } from './members.ts';
import { type Found, NeighbourSearch } from './neighbours.ts';
import { requirePci } from './pci.ts';
import { notePlace } from './place.ts';
import type { GroupingPolicy } from './policy.ts';
import { type Decision, GroupSearch } from './search.ts';

export interface Acs2025Options {
  /** Whether an IOMMU translates the device, so that waiting for its group makes sense. Absent: nothing waits. */
  willBeGrouped?(device: Device): boolean;
}

export class Acs2025Grouping implements GroupingPolicy {
  readonly name = 'acs-2025';
  readonly #acs: AcsContext;
  readonly #willBeGrouped: (device: Device) => boolean;
  readonly #verdicts = new WeakMap<PciBus, { members: number; verdict: BusVerdict }>();
  readonly #captured = new SharedBy<PciBus>();

  constructor(acs: AcsContext, options: Acs2025Options = {}) {
    this.#acs = acs;
    this.#willBeGrouped = (device) => options.willBeGrouped?.(device) === true;
  }

  /**
   * `pci_device_group` of the series
   *
   * @throws KernelError EINVAL for what is not a PCI device, EPROBE_DEFER while a bridge above, or the device that
   *   makes the DMA, has no group yet but will have one
   */
  deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined): Decision<G> {
    const pci = requirePci(device);
    const search = new GroupSearch(this.name, device, groupOf, this.#acs);
    notePlace(pci, search);
    const real = pci.realDmaDevice;
    if (real !== pci) return this.#withRealDevice(pci, real, search);

    const captor = this.#highestCaptor((pci.physfn ?? pci).pciBus, search);
    if (captor) return this.#capture(pci, captor, search);
    if (isTranslationRoot(pci)) return search.alone();
    const neighbours = new LoopbackNeighbours(search);
    const byAlias = neighbours.aliasGroup(pci);
    if (byAlias) return search.join(byAlias.group, byAlias.through, 'alias-partner');
    const byFunction = neighbours.functionGroup(pci);
    if (byFunction) return search.join(byFunction.group, byFunction.through, 'function');
    return search.alone();
  }

  #withRealDevice<G>(device: PciDevice, real: PciDevice, search: GroupSearch<G>): Decision<G> {
    const group = search.groupOf(real);
    if (group === undefined && this.#willBeGrouped(real)) throw probeFirst(device, real);
    search.steps.push({
      step: 'alias',
      device: real.name,
      requesterId: real.rid,
      how: 'real-dma-device',
      grouped: group !== undefined,
    });
    return group === undefined ? search.alone() : search.join(group, real, 'alias');
  }

  /** The bus nearest to the root that does not isolate; a bridge that is a translation root ends the way. */
  #highestCaptor<G>(start: PciBus, search: GroupSearch<G>): { bus: PciBus; verdict: BusVerdict } | undefined {
    let captor: { bus: PciBus; verdict: BusVerdict } | undefined;
    for (let bus: PciBus | undefined = start; bus !== undefined; bus = bus.parent) {
      if (bus.self !== undefined && isTranslationRoot(bus.self)) break;
      const verdict = this.#isolationOf(bus, search);
      if (verdict.assumed !== undefined) search.assume(verdict.assumed);
      if (verdict.isolation !== 'isolated') captor = { bus, verdict };
    }
    return captor;
  }

  #isolationOf<G>(bus: PciBus, search: GroupSearch<G>): BusVerdict {
    const known = this.#verdicts.get(bus);
    if (known !== undefined && known.members === bus.devices.length) {
      if (known.verdict.acs !== undefined && bus.self !== undefined) search.noteUnknown(known.verdict.acs);
      return known.verdict;
    }
    const verdict = busIsolation(bus, (device) => search.acs(device));
    this.#verdicts.set(bus, { members: bus.devices.length, verdict });
    return verdict;
  }

  #capture<G>(
    device: PciDevice,
    captor: { bus: PciBus; verdict: BusVerdict },
    search: GroupSearch<G>,
  ): Decision<G> {
    const { bus, verdict } = captor;
    const found = this.#captorGroup(device, captor, search);
    search.steps.push({
      step: 'bus',
      bus: bus.name,
      isolation: verdict.isolation,
      ...(bus.self === undefined ? {} : { bridge: bus.self.name }),
      ...(verdict.acs === undefined ? {} : { acs: verdict.acs }),
      grouped: found !== undefined,
    });
    return found ? search.join(found.group, found.through, 'bus') : search.alone();
  }

  #captorGroup<G>(
    device: PciDevice,
    captor: { bus: PciBus; verdict: BusVerdict },
    search: GroupSearch<G>,
  ): { group: G; through: Device } | undefined {
    const { bus, verdict } = captor;
    const bridge = bus.self;
    const withBridge =
      verdict.isolation === 'pcie-non-isolated' || verdict.isolation === 'pci-bridge-non-isolated';
    if (withBridge && bridge !== undefined) {
      const group = search.groupOf(bridge);
      if (group !== undefined) return { group, through: bridge };
      if (this.#willBeGrouped(bridge)) throw probeFirst(device, bridge);
    }
    return this.#captured.join(bus, device, (other) => search.groupOf(other));
  }
}

/** Functions of a slot by the series: without the capability they are taken to have no loopback. */
class LoopbackNeighbours<G> extends NeighbourSearch<G> {
  override functionGroup(device: PciDevice): Found<G> | undefined {
    if (device.isVirtual) return undefined;
    const siblings = device.pciBus
      .functionsOf(device.slot)
      .filter((sibling) => sibling !== device && !sibling.isVirtual);
    if (siblings.length === 0) return undefined;
    const own = this.search.acs(device);
    const loopsBack = [device, ...siblings].some((member) => hasBadFlags(this.search.acs(member)));
    const inconsistent = siblings.some((sibling) => sibling.multifunction !== device.multifunction);
    if (!loopsBack && !inconsistent) {
      this.noteKeptApart(device, own);
      return undefined;
    }
    return this.firstGroup(device, own, siblings);
  }
}

/** ACS is implemented, or a quirk stands in for it, and it does not isolate. */
function hasBadFlags(verdict: AcsVerdict): boolean {
  return !verdict.enabled && (verdict.because === 'capability' || verdict.because === 'quirk');
}

function isTranslationRoot(device: PciDevice): boolean {
  return (device.flags & PciFlag.BridgeXlateRoot) !== 0;
}

function probeFirst(device: Device, other: Device): KernelError {
  return new KernelError('EPROBE_DEFER', device.name, `has to wait for the group of ${other.name}`);
}

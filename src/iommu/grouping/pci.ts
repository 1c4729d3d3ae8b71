/**
 * `pci_device_group()`: the rules by which Linux 6.12, and every kernel seen since, groups PCI functions.
 *
 * Up first, sideways last. The alias walk finds the device that the IOMMU sees; the climb finds the bridge below
 * which nothing is kept apart; only then do neighbours of *that* device count. It looks at groups that exist, so
 * the order in which devices are probed is part of the rule.
 */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { AcsContext, AcsPath, AcsVerdict } from '../../pci/acs.ts';
import { forEachDmaAlias } from '../../pci/alias.ts';
import { PciDevice } from '../../pci/device.ts';
import { NeighbourSearch } from './neighbours.ts';
import { notePlace } from './place.ts';
import type { GroupingPolicy } from './policy.ts';
import type { Step } from './reason.ts';
import { type Decision, GroupSearch } from './search.ts';

export class PciGrouping implements GroupingPolicy {
  readonly name: string;
  readonly #acs: AcsContext;

  constructor(name: string, acs: AcsContext) {
    this.name = name;
    this.#acs = acs;
  }

  /**
   * `pci_device_group`
   *
   * @throws KernelError EINVAL for what is not a PCI device
   */
  deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined): Decision<G> {
    const pci = requirePci(device);
    const search = new GroupSearch(this.name, device, groupOf, this.#acs);
    const walk = walkAliases(pci, search);
    if (walk.decision) return walk.decision;
    const climb = climbToIsolation(walk.top, search);
    if (climb.decision) return climb.decision;

    const neighbours = new NeighbourSearch(search);
    const byAlias = neighbours.aliasGroup(climb.top);
    if (byAlias) return search.join(byAlias.group, byAlias.through, 'alias-partner');
    const byFunction = neighbours.functionGroup(climb.top);
    if (byFunction) return search.join(byFunction.group, byFunction.through, 'function');
    return search.alone();
  }
}

/** The device, for rules that only know PCI. */
export function requirePci(device: Device): PciDevice {
  if (device instanceof PciDevice) return device;
  throw new KernelError('EINVAL', device.name, 'is not a PCI device', 'use the generic policy for it');
}

/** Where a part of the search got to, and the decision if it ended there. */
interface Leg<G> {
  top: PciDevice;
  decision?: Decision<G>;
}

/** Step 1 and 2: every device whose requester id the IOMMU may see; the last one stands for all. */
function walkAliases<G>(device: PciDevice, search: GroupSearch<G>): Leg<G> {
  let top = device;
  notePlace(device, search);
  const group = forEachDmaAlias(device, (alias, requesterId, how, note) => {
    top = alias;
    const existing = search.groupOf(alias);
    if (note.assumed !== undefined) search.assume(note.assumed);
    search.steps.push({
      step: 'alias',
      device: alias.name,
      requesterId,
      how,
      ...(note.quirk === undefined ? {} : { quirk: note.quirk }),
      grouped: existing !== undefined,
    });
    return existing;
  });
  return group === undefined ? { top } : { top, decision: search.join(group, top, 'alias') };
}

/** Step 3: up to the bridge from which the whole rest of the path isolates. */
function climbToIsolation<G>(start: PciDevice, search: GroupSearch<G>): Leg<G> {
  let top = start;
  let blockedBefore: AcsVerdict | undefined;
  for (let bus = start.pciBus; bus.parent !== undefined; bus = bus.parent) {
    const bridge = bus.self;
    // The virtual bus of VFs has no bridge and is passed over.
    if (bridge === undefined) continue;
    const path = search.acsPath(bridge);
    const { blockedBy } = path;
    // One level up, the rest of the path to the same blocker says nothing new.
    if (blockedBy === undefined || blockedBy !== blockedBefore) {
      for (const verdict of stepsOf(path, bridge).verdicts) search.noteUnknown(verdict);
    }
    blockedBefore = blockedBy;
    if (blockedBy === undefined) {
      search.steps.push(stepsOf(path, bridge).isolated);
      return { top };
    }
    top = bridge;
    const group = search.groupOf(bridge);
    if (group !== undefined) {
      search.steps.push({ step: 'climb', bridge: bridge.name, blockedBy, grouped: true });
      return { top, decision: search.join(group, bridge, 'climb') };
    }
    search.steps.push(stepsOf(path, bridge).climbed(blockedBy));
  }
  search.steps.push({ step: 'root-bus', device: top.name });
  return { top };
}

/** Steps that are the same for everything below a bridge, made once: thousands of reasons hold them. */
class BridgeSteps {
  readonly verdicts: AcsVerdict[];
  readonly isolated: Step;
  readonly #bridge: string;
  #climbed: Step | undefined;

  constructor(path: AcsPath, bridge: PciDevice) {
    this.#bridge = bridge.name;
    this.verdicts = path.verdicts;
    this.isolated = { step: 'isolated-above', bridge: bridge.name, path: this.verdicts };
  }

  /** Past the bridge, which has no group. */
  climbed(blockedBy: AcsVerdict): Step {
    this.#climbed ??= { step: 'climb', bridge: this.#bridge, blockedBy, grouped: false };
    return this.#climbed;
  }
}

const BRIDGE_STEPS = new WeakMap<AcsPath, BridgeSteps>();

function stepsOf(path: AcsPath, bridge: PciDevice): BridgeSteps {
  let steps = BRIDGE_STEPS.get(path);
  if (steps === undefined) {
    steps = new BridgeSteps(path, bridge);
    BRIDGE_STEPS.set(path, steps);
  }
  return steps;
}

/**
 * Sideways search on one bus: devices that use each other's requester ids, and functions of one slot that can
 * reach each other. The two rules call each other, since a partner's functions count as well.
 */

import type { AcsVerdict } from '../../pci/acs.ts';
import { devsAreDmaAliases } from '../../pci/alias.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { GroupSearch } from './search.ts';

/** A group that exists, and the device it was found with. */
export interface Found<G> {
  group: G;
  through: PciDevice;
}

/** One search; no function is looked at as an alias twice, so partners in a ring end it. */
export class NeighbourSearch<G> {
  protected readonly search: GroupSearch<G>;
  readonly #visited = new Set<number>();
  /** Devfns whose functions have a step. */
  readonly #stepped = new Set<number>();

  constructor(search: GroupSearch<G>) {
    this.search = search;
  }

  /** `get_pci_alias_group`: the group of `device`, or of what it aliases, directly or through others. */
  aliasGroup(device: PciDevice): Found<G> | undefined {
    if (this.#visited.has(device.devfn)) return undefined;
    this.#visited.add(device.devfn);
    const own = this.search.groupOf(device);
    if (own !== undefined) return { group: own, through: device };
    for (const partner of aliasPartners(device)) {
      if (!this.#visited.has(partner.devfn)) this.#noteAlias(device, partner);
      // Where the search came from is no alias any more, but its functions count from here already.
      const found = this.aliasGroup(partner) ?? this.functionGroup(partner);
      if (found) return found;
    }
    return undefined;
  }

  /** `get_pci_function_alias_group`: the group of another function of the slot, if neither isolates. */
  functionGroup(device: PciDevice): Found<G> | undefined {
    // Where the header bit was not read, the other functions of the slot told; without any it decides nothing here.
    if (!device.multifunction) return undefined;
    const own = this.search.acs(device);
    if (own.enabled) {
      this.noteKeptApart(device, own);
      return undefined;
    }
    const open = device.pciBus
      .functionsOf(device.slot)
      .filter((sibling) => sibling !== device && !this.search.acs(sibling).enabled);
    return this.firstGroup(device, own, open);
  }

  /** The group of the first of `siblings` that has one. Of the others, the first is remembered as the reason. */
  protected firstGroup(
    device: PciDevice,
    own: AcsVerdict,
    siblings: readonly PciDevice[],
  ): Found<G> | undefined {
    // The step stands before those the siblings make, and names the one that decided once that is known.
    const at = this.search.steps.length;
    const shares = (sibling: PciDevice | undefined) => {
      this.search.steps[at] = {
        step: 'function',
        device: device.name,
        own,
        ...(sibling === undefined ? {} : { sibling: sibling.name, siblingAcs: this.search.acs(sibling) }),
        grouped: sibling !== undefined && this.search.groupOf(sibling) !== undefined,
      };
    };
    const again = this.#stepped.has(device.devfn);
    this.#stepped.add(device.devfn);
    shares(siblings[0]);
    for (const sibling of siblings) {
      const found = this.aliasGroup(sibling);
      if (!found) continue;
      shares(sibling);
      return found;
    }
    if (again && this.search.steps.length === at + 1) this.search.steps.pop();
    return undefined;
  }

  /** The device's own ACS keeps the other functions of its slot out. */
  protected noteKeptApart(device: PciDevice, own: AcsVerdict): void {
    if (this.#stepped.has(device.devfn)) return;
    this.#stepped.add(device.devfn);
    this.search.steps.push({ step: 'function', device: device.name, own, grouped: false });
  }

  #noteAlias(device: PciDevice, partner: PciDevice): void {
    const quirk = device.dmaAliasQuirk ?? partner.dmaAliasQuirk;
    this.search.steps.push({
      step: 'alias-partner',
      device: device.name,
      partner: partner.name,
      ...(quirk === undefined ? {} : { quirk }),
      grouped: this.search.groupOf(partner) !== undefined,
    });
  }
}

/** Devices of the bus that use an id of `device`, or it theirs, in the order of the kernel's device list. */
function* aliasPartners(device: PciDevice): Iterable<PciDevice> {
  const { pciBus, dmaAliasMask } = device;
  const possible = dmaAliasMask !== undefined || pciBus.dmaDevice !== undefined;
  for (const other of pciBus.devices) {
    // On a bus without quirks, nearly all there are, this is the only thing looked at.
    if (!possible && other.dmaAliasMask === undefined) continue;
    if (other !== device && devsAreDmaAliases(device, other)) yield other;
  }
}

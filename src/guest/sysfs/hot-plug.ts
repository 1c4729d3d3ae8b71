/** Taking functions away and finding them again: the files `remove` and `rescan`. */

import type { PciFacts } from '../../host/snapshot.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Machine } from '../../machine/machine.ts';
import { parseAddress } from '../../pci/address.ts';
import type { PciBus } from '../../pci/bus.ts';
import { ExtendedId, extendedCapabilities } from '../../pci/capabilities.ts';
import { ConfigSpace } from '../../pci/config-space.ts';
import type { PciDevice } from '../../pci/device.ts';

export class HotPlug {
  readonly #machine: Machine;
  /** Still in their slots, and found by the next scan. By address. */
  readonly #removed = new Map<string, PciFacts>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** `pci_stop_and_remove_bus_device`: the function with everything below it. Virtual functions do not come back. */
  remove(device: PciDevice): void {
    const before = this.#machine.snapshot.devices;
    const virtual = new Set(
      this.#machine.pci.devices.filter((each) => each.isVirtual).map(({ name }) => name),
    );
    this.#machine.unplug(device.address);
    const left = new Set(this.#machine.snapshot.devices);
    for (const facts of before) {
      if (!left.has(facts) && !virtual.has(facts.address))
        this.#removed.set(facts.address, withoutVirtual(facts));
    }
  }

  /** `pci_rescan_bus`, of every bus unless told: what was removed on it and below comes back, slot by slot. */
  rescan(bus?: PciBus): void {
    for (;;) {
      const slot = this.#nextSlot(bus);
      if (slot === undefined) return;
      for (const { address } of slot) this.#removed.delete(address);
      try {
        this.#machine.plug(...slot);
      } catch (error) {
        // The scan carries on: a function whose place was taken meanwhile is one that is not seen.
        if (!(error instanceof KernelError)) throw error;
      }
    }
  }

  /** Functions of the first slot, in the order of addresses, that something leads to. */
  #nextSlot(scope: PciBus | undefined): PciFacts[] | undefined {
    const found = [...this.#removed.values()]
      .map((facts) => ({ facts, address: parseAddress(facts.address)! }))
      .filter(({ address }) => {
        const bus = this.#machine.pci.findBus(address.domain, address.bus);
        return bus !== undefined && (scope === undefined || isBelow(bus, scope));
      })
      .sort((a, b) => (a.facts.address < b.facts.address ? -1 : 1));
    const first = found[0]?.address;
    if (first === undefined) return undefined;
    return found
      .filter(
        ({ address }) =>
          address.domain === first.domain &&
          address.bus === first.bus &&
          address.devfn >>> 3 === first.devfn >>> 3,
      )
      .map(({ facts }) => facts);
  }
}

function isBelow(bus: PciBus, scope: PciBus): boolean {
  for (let at: PciBus | undefined = bus; at !== undefined; at = at.parent) if (at === scope) return true;
  return false;
}

/** `sriov_init` switches off what it finds switched on. No driver has it, and no override is set. */
function withoutVirtual(facts: PciFacts): PciFacts {
  const { config, said } = facts;
  return {
    ...facts,
    driver: null,
    driverOverride: null,
    ...(config !== undefined && { config: { ...config, bytes: switchedOff(config.bytes, config.read) } }),
    ...(said?.sriov && { said: { ...said, sriov: { ...said.sriov, enabled: false, numVfs: 0 } } }),
  };
}

function switchedOff(text: string, read: number): string {
  const space = ConfigSpace.fromHex(text, read);
  const at = extendedCapabilities(space, true).entries.find(({ id }) => id === ExtendedId.Sriov)?.at;
  if (at === undefined) return text;
  const bytes = Buffer.from(text.padEnd(2 * (at + 0x12), '0'), 'hex');
  bytes.writeUInt16LE(bytes.readUInt16LE(at + 0x08) & ~0x9, at + 0x08);
  bytes.writeUInt16LE(0, at + 0x10);
  return bytes.toString('hex');
}

/**
 * The PCI functions of one machine: buses, bridges, and the order of the kernel's device list.
 *
 * Built of plain facts in time linear in their number; the order the facts come in makes no difference.
 */

import type { Bus } from '../device/bus.ts';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { formatAddress, formatBus, parseAddress } from './address.ts';
import { applyAliasQuirks } from './alias-rules.ts';
import { PciBus, type PciBusInit } from './bus.ts';
import { PciDevice, type PciFunctionInit } from './device.ts';
import { type Layout, layOut } from './layout.ts';
import { correctPortType } from './port-type.ts';
import { busKey, busKeyOf, type FunctionRecord, recordsOf } from './records.ts';
import { applyResetQuirks } from './reset-quirks.ts';
import { countFunctions, inListOrder, rootKeys, rootsInOrder } from './scan-order.ts';
import { findVirtualFunctions, type VirtualFunctions } from './virtual-functions.ts';
import { ownVmdDomains } from './vmd.ts';

export interface TopologyOptions {
  /** The bus type every function belongs to. */
  bus?: Bus | undefined;
  /** Root buses in the order they were scanned, `0000:00`; others follow in numeric order. */
  rootBusOrder?: readonly string[] | undefined;
  /** The kernel's device list, where it is known; functions that are not in it follow in scan order. */
  deviceOrder?: readonly string[] | undefined;
  /** Names of alias quirks that the kernel does not have. */
  withoutQuirks?: ReadonlySet<string> | undefined;
}

export class PciTopology {
  readonly rootBuses: PciBus[] = [];
  readonly #bus: Bus | undefined;
  readonly #withoutQuirks: ReadonlySet<string> | undefined;
  readonly #byAddress = new Map<string, PciDevice>();
  readonly #buses = new Map<number, PciBus>();
  #list: PciDevice[] | undefined;

  private constructor({ bus, withoutQuirks }: TopologyOptions) {
    this.#bus = bus;
    this.#withoutQuirks = withoutQuirks;
  }

  /** @throws InputError where an address makes no sense or stands twice */
  static build(functions: readonly PciFunctionInit[], options: TopologyOptions = {}): PciTopology {
    const topology = new PciTopology(options);
    const records = recordsOf(functions);
    const byKey = new Map(records.map((record) => [record.key, record]));
    const virtual = findVirtualFunctions(records, byKey);
    const rootOrder = rootKeys(options.rootBusOrder ?? []);
    const layout = layOut(records, byKey, virtual);
    ownVmdDomains(layout.roots, records);
    topology.#build(records, virtual, layout, rootOrder, options.deviceOrder ?? []);
    return topology;
  }

  /** In the order of the kernel's device list (`for_each_pci_dev`). One list for all callers: copy before sorting. */
  get devices(): PciDevice[] {
    this.#list ??= [...this.#byAddress.values()];
    return this.#list;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  /** Any form `parseAddress` understands. */
  find(address: string): PciDevice | undefined {
    const found = this.#byAddress.get(address);
    if (found !== undefined) return found;
    const parsed = parseAddress(address);
    return parsed === undefined ? undefined : this.#byAddress.get(formatAddress(parsed));
  }

  /** `pci_find_bus` */
  findBus(domain: number, number: number): PciBus | undefined {
    return this.#buses.get(busKey(domain, number));
  }

  /**
   * A function that arrives later (`pci_device_add`, `pci_iov_add_virtfn`): last in the device list. As in the
   * kernel it is multifunction only if its own header says so until `slotScanned`.
   *
   * @throws KernelError EINVAL for an address that makes no sense, EEXIST where it is taken, ENODEV where no bus
   *   leads there
   */
  add(init: PciFunctionInit): PciDevice {
    const address = parseAddress(init.address);
    if (address === undefined) throw new KernelError('EINVAL', init.address, 'is no PCI address');
    if (this.find(init.address) !== undefined)
      throw new KernelError('EEXIST', init.address, 'is there already');
    const physfn = typeof init.physfn === 'string' ? this.find(init.physfn) : undefined;
    const bus =
      this.findBus(address.domain, address.bus) ?? (physfn && this.#virtualBus(physfn.pciBus, address.bus));
    if (bus === undefined) {
      throw new KernelError(
        'ENODEV',
        init.address,
        'is on a bus that no bridge leads to',
        'add that bridge first',
      );
    }
    const device = new PciDevice(init, address, bus, {
      ...this.#busType(),
      parent: physfn?.parent ?? bus.bridge,
      isVirtual:
        typeof init.physfn === 'string' || (init.physfn === undefined && init.facts.idsHidden === true),
      physfn,
    });
    correctPortType(device);
    this.#register(device);
    const numbers = init.facts.bridge;
    if (
      numbers &&
      numbers.secondary > address.bus &&
      this.findBus(address.domain, numbers.secondary) === undefined
    ) {
      this.#busBehind(device, numbers.secondary);
    }
    return device;
  }

  /** End of a slot's scan after hot-plug (`pci_scan_slot`): functions above 0 count as multifunction from now on. */
  slotScanned(device: PciDevice): void {
    for (const member of device.pciBus.functionsOf(device.slot)) {
      if (!member.isVirtual && member.func > 0) member.multifunction = true;
    }
  }

  /**
   * Takes a function away with everything that depends on it: its virtual functions and all below it, children
   * before parents (`pci_stop_and_remove_bus_device`).
   *
   * @returns what went, in the order it went
   * @throws KernelError ENODEV for a device that is not, or no longer, here
   */
  remove(device: PciDevice): PciDevice[] {
    if (this.#byAddress.get(device.address) !== device) {
      throw new KernelError('ENODEV', device.address, 'is not in this machine');
    }
    const gone: PciDevice[] = [];
    this.#remove(device, gone);
    return gone;
  }

  #remove(device: PciDevice, gone: PciDevice[]): void {
    // A virtual function goes with its physical function, before its turn in the list of the bus.
    if (this.#byAddress.get(device.address) !== device) return;
    if (!device.isVirtual) {
      for (const bus of [device.pciBus, ...device.pciBus.children]) {
        for (const vf of bus.devices.filter((member) => member.physfn === device)) this.#remove(vf, gone);
      }
    }
    if (device.subordinate !== undefined) {
      for (const below of [...device.subordinate.devices]) this.#remove(below, gone);
      this.#dropBus(device.subordinate);
      device.subordinate = undefined;
    }
    device.pciBus.take(device);
    this.#byAddress.delete(device.address);
    this.#list = undefined;
    const { pciBus } = device;
    if (pciBus.parent !== undefined && pciBus.self === undefined && pciBus.devices.length === 0)
      this.#dropBus(pciBus);
    gone.push(device);
  }

  #dropBus(bus: PciBus): void {
    for (const child of [...bus.children]) this.#dropBus(child);
    this.#buses.delete(busKey(bus.domain, bus.number));
    const siblings = bus.parent?.children ?? this.rootBuses;
    const at = siblings.indexOf(bus);
    if (at >= 0) siblings.splice(at, 1);
  }

  #build(
    records: FunctionRecord[],
    virtual: VirtualFunctions,
    layout: Layout,
    rootOrder: readonly number[],
    deviceOrder: readonly string[],
  ): void {
    const made = new Map<FunctionRecord, PciDevice>();
    const onBus = new Map<number, FunctionRecord[]>();
    for (const record of records) {
      if (virtual.has(record)) continue;
      const key = busKeyOf(record);
      const list = onBus.get(key);
      if (list === undefined) onBus.set(key, [record]);
      else list.push(record);
    }
    const extensionsOf = new Map<number, number[]>();
    for (const [bus, of] of layout.extensions) {
      const list = extensionsOf.get(of);
      if (list === undefined) extensionsOf.set(of, [bus]);
      else list.push(bus);
    }

    const scanned: PciDevice[] = [];
    const scan = (bus: PciBus) => {
      const here: [FunctionRecord, PciDevice][] = [];
      const key = busKey(bus.domain, bus.number);
      for (const record of onBus.get(key) ?? []) {
        const device = new PciDevice(record.init, record.address, bus, {
          ...this.#busType(),
          parent: bus.bridge,
          isVirtual: false,
        });
        correctPortType(device);
        made.set(record, device);
        here.push([record, device]);
        scanned.push(device);
      }
      countFunctions(bus, here);
      for (const [record, device] of here) {
        const behind = layout.behind.get(record);
        if (behind !== undefined) scan(this.#busBehind(device, behind % 0x100));
      }
      for (const extension of extensionsOf.get(key) ?? []) {
        scan(this.#virtualBus(bus, extension % 0x100, layout.uncertain.has(extension)));
      }
    };

    for (const key of rootsInOrder(layout.roots, rootOrder, made)) {
      const owner = layout.roots.get(key);
      scan(this.#rootBus(key, owner === undefined ? undefined : made.get(owner), layout.uncertain.has(key)));
    }
    const vfs = this.#virtualFunctions(records, virtual, made, scanned, layout);
    for (const device of inListOrder([...scanned, ...vfs], deviceOrder)) this.#register(device);
  }

  #virtualFunctions(
    records: readonly FunctionRecord[],
    virtual: VirtualFunctions,
    made: ReadonlyMap<FunctionRecord, PciDevice>,
    scanned: readonly PciDevice[],
    layout: Layout,
  ): PciDevice[] {
    const place = new Map(scanned.map((device, i) => [device, i]));
    const vfs: { vf: PciDevice; after: number }[] = [];
    for (const record of records) {
      if (!virtual.has(record)) continue;
      const pf = virtual.get(record);
      const physfn = pf === undefined ? undefined : made.get(pf);
      const { domain, bus: number } = record.address;
      let bus = this.findBus(domain, number);
      if (bus === undefined) {
        const extended = layout.extensions.get(busKeyOf(record));
        const beside =
          physfn?.pciBus ?? (extended === undefined ? undefined : this.findBus(domain, extended % 0x100));
        bus =
          beside === undefined
            ? this.#rootBus(busKeyOf(record), undefined, true)
            : this.#virtualBus(beside, number);
      }
      const vf = new PciDevice(record.init, record.address, bus, {
        ...this.#busType(),
        parent: physfn?.pciBus.bridge ?? bus.bridge,
        isVirtual: true,
        physfn,
      });
      vfs.push({ vf, after: physfn === undefined ? scanned.length : place.get(physfn)! });
    }
    // Records come in numeric order and the sort is stable: by PF, then by requester id.
    return vfs.sort((a, b) => a.after - b.after).map(({ vf }) => vf);
  }

  #busType(): { bus?: Bus } {
    return this.#bus === undefined ? {} : { bus: this.#bus };
  }

  #register(device: PciDevice): void {
    this.#byAddress.set(device.address, device);
    this.#list = undefined;
    device.pciBus.insert(device);
    applyAliasQuirks(device, this.#withoutQuirks);
    applyResetQuirks(device);
  }

  #rootBus(key: number, owner: PciDevice | undefined, uncertain: boolean): PciBus {
    const domain = Math.floor(key / 0x100);
    const number = key % 0x100;
    const name = `pci${formatBus(domain, number)}`;
    const bridge = new Device({ name, ...(owner === undefined ? {} : { parent: owner }) });
    const bus = this.#newBus({ domain, number, bridge, dmaDevice: owner?.realDmaDevice, uncertain });
    this.rootBuses.push(bus);
    return bus;
  }

  #busBehind(self: PciDevice, number: number): PciBus {
    const parent = self.pciBus;
    const bus = this.#newBus({
      domain: self.domain,
      number,
      self,
      parent,
      bridge: self,
      uncertain: parent.uncertain,
    });
    self.subordinate = bus;
    return bus;
  }

  /** A bus without a bridge beside that of the physical function (`virtfn_add_bus`). */
  #virtualBus(parent: PciBus, number: number, uncertain = false): PciBus {
    return this.#newBus({ domain: parent.domain, number, parent, bridge: parent.bridge, uncertain });
  }

  #newBus(init: PciBusInit): PciBus {
    const bus = new PciBus(init);
    this.#buses.set(busKey(bus.domain, bus.number), bus);
    bus.parent?.children.push(bus);
    return bus;
  }
}

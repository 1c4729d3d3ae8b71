/**
 * The drivers on the PCI bus of a machine that programs work with: those the recording names, pci-stub, and vfio-pci,
 * which hands its devices to VFIO. Which ids a driver of the recording is for is told by the devices it had.
 */

import type { Bus } from '../../device/bus.ts';
import type { Device } from '../../device/device.ts';
import type { Driver } from '../../device/driver.ts';
import { vfioPciDriver } from '../../iommufd/vfio/pci/driver.ts';
import { type PciHardwareInit, pciResource } from '../../iommufd/vfio/pci/hardware.ts';
import type { Vfio } from '../../iommufd/vfio/vfio.ts';
import { KernelError } from '../../kernel/errors.ts';
import { isVfioDriver, managesDma } from '../../machine/drivers.ts';
import type { Machine } from '../../machine/machine.ts';
import { PciDevice } from '../../pci/device.ts';
import type { ConfigRegisters } from './config-registers.ts';
import { type DeviceId, DynamicIds, matchesId, parseDeviceId } from './dynamic-ids.ts';
import type { FactsByAddress } from './facts-by-address.ts';

/** Without an id table: an override or an added id gives them devices. */
const TAKES_NOTHING_BY_ID: ReadonlySet<string> = new Set(['vfio-pci', 'pci-stub']);

export interface PciDriversInit {
  machine: Machine;
  vfio: Vfio | undefined;
  facts: FactsByAddress;
  registers: ConfigRegisters;
  /** Drivers the recording has without a device. */
  names: readonly string[];
  /** `sriov_drivers_autoprobe` of a physical function. */
  autoprobesVirtual(device: PciDevice): boolean;
  /** A driver lets go of a physical function. */
  released(device: PciDevice): void;
}

interface Known {
  driver: Driver;
  ids: DeviceId[];
  dynamic: DynamicIds;
}

export class PciDrivers {
  readonly #init: PciDriversInit;
  readonly #known = new Map<string, Known>();
  /** Recorded driver of each function, by address. */
  readonly #recorded = new Map<string, string>();
  /** While the recorded state is made, each takes the functions it had and no others. */
  #settling = true;

  constructor(init: PciDriversInit) {
    this.#init = init;
  }

  /** Puts them in the place of those that booting registered, with the same devices bound. */
  settle(bus: Bus): void {
    const { core, snapshot, pci } = this.#init.machine;
    const idsOf = new Map<string, DeviceId[]>();
    for (const { address, driver, vendor, device, driverOverride } of snapshot.devices) {
      if (typeof driver !== 'string') continue;
      this.#recorded.set(address, driver);
      const byId = vendor !== undefined && device !== undefined && driverOverride !== driver;
      const ids = idsOf.get(driver) ?? [];
      idsOf.set(driver, byId ? [...ids, { vendor, device, class: 0, classMask: 0 }] : ids);
    }
    for (const driver of bus.drivers) core.unregisterDriver(driver);
    const names = new Set([...idsOf.keys(), ...this.#init.names, ...TAKES_NOTHING_BY_ID]);
    for (const name of [...names].sort()) this.#register(name, bus, idsOf.get(name) ?? []);
    this.#settling = false;
    for (const { address, driverOverride } of snapshot.devices) {
      const device = pci.find(address);
      if (device !== undefined && typeof driverOverride === 'string') device.driverOverride = driverOverride;
    }
  }

  /** Whether the driver makes its device work for the host, with interrupts, interfaces and what else shows. */
  usesDevice(driver: Driver): boolean {
    return !TAKES_NOTHING_BY_ID.has(driver.name) && !isVfioDriver(driver.name);
  }

  /** Whether a driver has `sriov_configure`. vfio-pci has it only with its parameter enable_sriov. */
  configuresSriov(name: string): boolean {
    return !TAKES_NOTHING_BY_ID.has(name) && !isVfioDriver(name);
  }

  /** Whether the function has the driver that it was recorded with. */
  isRecorded(device: PciDevice): boolean {
    return this.#recorded.get(device.address) === device.driver?.name;
  }

  /**
   * What is written to a driver's `new_id`: it takes devices with that id from now on, and those that are free at once.
   *
   * @throws KernelError EINVAL no ids; EEXIST it is for that id anyway; ENODEV no such driver
   */
  newId(name: string, text: string): void {
    const known = this.#find(name);
    const id = parseDeviceId(text, `${name}/new_id`);
    if (known.ids.some((each) => each.vendor === id.vendor && each.device === id.device)) {
      throw new KernelError('EEXIST', name, 'is for devices with that id already');
    }
    known.dynamic.add(id);
    // `driver_attach`: what goes wrong with one device does not concern the writer.
    for (const device of known.driver.bus.devices) {
      if (!(device instanceof PciDevice) || device.driver !== undefined || !matchesId(id, device)) continue;
      try {
        this.#init.machine.core.bind(device, known.driver);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
  }

  /** What is written to `remove_id`. @throws KernelError EINVAL no ids; ENODEV none that was added */
  removeId(name: string, text: string): void {
    this.#find(name).dynamic.remove(parseDeviceId(text, `${name}/remove_id`), name);
  }

  #find(name: string): Known {
    const known = this.#known.get(name);
    if (known === undefined) throw new KernelError('ENODEV', name, 'is not a driver of this machine');
    return known;
  }

  #register(name: string, bus: Bus, ids: DeviceId[]): void {
    const { vfio, machine } = this.#init;
    const dynamic = new DynamicIds();
    const match = (device: Device): boolean => {
      if (this.#settling) return this.#recorded.get(device.name) === name;
      return (
        device instanceof PciDevice && (dynamic.matches(device) || ids.some((id) => matchesId(id, device)))
      );
    };
    const driver =
      isVfioDriver(name) && vfio !== undefined
        ? { ...vfioPciDriver(vfio, bus, { match, hardware: (device) => this.#hardware(device) }), name }
        : { name, bus, driverManagedDma: managesDma(name), match, ...this.#hostDriver() };
    this.#known.set(name, { driver: this.#guarded(driver), ids, dynamic });
    machine.core.registerDriver(this.#find(name).driver);
  }

  /** A host driver switches virtual functions off when it lets go of the physical one. */
  #hostDriver(): Pick<Driver, 'remove'> {
    return {
      remove: (device) => {
        if (device instanceof PciDevice) this.#init.released(device);
      },
    };
  }

  /** `pci_device_probe`: where probing of virtual functions is off, only an override has one probed. */
  #guarded(driver: Driver): Driver {
    return {
      ...driver,
      probe: (device) => {
        if (
          device instanceof PciDevice &&
          device.physfn !== undefined &&
          device.driverOverride === undefined
        ) {
          if (!this.#settling && !this.#init.autoprobesVirtual(device.physfn)) {
            throw new KernelError(
              'ENODEV',
              device.name,
              'probing is off for virtual functions of its function',
            );
          }
        }
        driver.probe?.(device);
      },
    };
  }

  #hardware(device: PciDevice): PciHardwareInit {
    const { facts, registers } = this.#init;
    return {
      registers: registers.of(device).bytes,
      resources: (facts.get(device.address)?.resources ?? [])
        .slice(0, 7)
        .map(({ start, end, flags }) => pciResource(BigInt(start), BigInt(end), BigInt(flags))),
    };
  }
}

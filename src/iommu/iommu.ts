/**
 * The IOMMU subsystem of one machine: which IOMMUs there are, which devices they translate, and the groups formed.
 *
 * Two ways in: an IOMMU is registered and walks the devices that are there, or a device arrives on a bus and looks
 * for its IOMMU. Both end in one probe.
 */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { Ida } from '../kernel/ida.ts';
import type { Kobject } from '../kernel/kobject.ts';
import { NotifierChain } from '../kernel/notifier.ts';
import type { ReferenceTracker } from '../kernel/reference.ts';
import type { Sysfs } from '../kernel/sysfs.ts';
import { PciDevice } from '../pci/device.ts';
import { type BusHooks, BusWatch } from './bus-watch.ts';
import type { GroupContext, PosixCapability } from './context.ts';
import { DomainType } from './domain.ts';
import type { IommuInstance } from './driver.ts';
import { Group } from './group.ts';
import type { GroupEvent } from './group-events.ts';
import { InstanceDirectory } from './instance-sysfs.ts';
import { type Message, Messages } from './messages.ts';
import { DeviceProbe } from './probe.ts';

export interface IommuOptions {
  sysfs: Sysfs;
  /** Default domain where drivers have no wish; see `globalDefaultType`. DMA-FQ unless told. */
  defaultType?: DomainType;
  /** `pdev->untrusted`; what the PCI device says unless told. */
  untrusted?(device: Device): boolean;
  /** What whoever writes to the groups' files may do; everything unless told. */
  capable?(capability: PosixCapability): boolean;
  onMessage?(message: Message): void;
  tracker?: ReferenceTracker;
}

export class Iommu extends DeviceProbe implements GroupContext {
  readonly sysfs: Sysfs;
  readonly ids = new Ida('iommu group ids');
  readonly groupsDir: Kobject;
  /** By number, in the order they were allocated. */
  readonly groups = new Map<number, Group>();
  /** Listeners here hear the six events of every group's devices, groups to come included. */
  readonly groupNotifier = new NotifierChain<GroupEvent>('notifiers of all groups');
  readonly messages: Messages;
  readonly tracker: ReferenceTracker | undefined;
  readonly #options: IommuOptions;
  #defaultType: DomainType;
  readonly #buses = new BusWatch(
    {
      name: 'the IOMMU core',
      added: (device) => this.deviceAdded(device),
      removed: (device) => this.deviceRemoved(device),
    },
    (device) => this.groupOf(device),
  );

  /** `iommu_init` and `iommu_subsys_init`, without the buses: see `addBus`. */
  constructor(options: IommuOptions) {
    super();
    this.#options = options;
    this.sysfs = options.sysfs;
    this.messages = new Messages(options.onMessage);
    this.tracker = options.tracker;
    this.#defaultType = options.defaultType ?? DomainType.DmaFq;
    this.groupsDir = this.sysfs.makePath('/kernel/iommu_groups');
    this.sysfs.makePath('/class/iommu');
  }

  /** IOMMUs in order of registration. */
  get instances(): IommuInstance[] {
    return [...this.registered.keys()];
  }

  get defaultType(): DomainType {
    return this.#defaultType;
  }

  /** `iommu_set_dma_strict`: an IOMMU driver found hardware on which deferred unmapping does not pay. */
  setDmaStrict(): void {
    if (this.#defaultType === DomainType.DmaFq) this.#defaultType = DomainType.Dma;
  }

  untrusted(device: Device): boolean {
    return this.#options.untrusted?.(device) ?? (device instanceof PciDevice && device.untrusted);
  }

  capable(capability: PosixCapability): boolean {
    return this.#options.capable?.(capability) ?? true;
  }

  /**
   * Watches a bus from now on (`bus_register_notifier` of `iommu_subsys_init`) and includes it in walks. Does
   * nothing for a bus that is watched.
   */
  addBus(bus: Bus): void {
    this.#buses.add(bus);
  }

  /**
   * Lets somebody else decide about the devices of a bus; only `busSetIommu` needs this.
   *
   * @throws KernelError EBUSY somebody does already
   */
  replaceHooks(bus: Bus, hooks: BusHooks): void {
    this.#buses.replace(bus, hooks);
  }

  /** `iommu_group_alloc`: as `Group.alloc`; the caller holds the one reference. */
  groupAlloc(): Group {
    return Group.alloc(this);
  }

  /**
   * `iommu_device_register`: the IOMMU takes its devices of all buses, or of `bus` alone
   * (`iommu_device_register_bus`). Devices it refuses with ENODEV stay without a group.
   *
   * @throws KernelError EEXIST it or its name is registered; any other refusal of a device ends the walk, and the
   *   IOMMU is unregistered again
   */
  registerDevice(instance: IommuInstance, bus?: Bus): void {
    if (this.registered.has(instance)) {
      throw new KernelError('EEXIST', instance.name, 'is registered already');
    }
    this.registered.set(instance, {
      directory: new InstanceDirectory(this.sysfs, instance),
      bus,
      singleton: undefined,
    });
    try {
      if (bus) this.addBus(bus);
      for (const each of bus ? [bus] : this.#buses.inWalkOrder()) this.probeBus(each, instance);
    } catch (error) {
      this.unregisterDevice(instance);
      throw error;
    }
  }

  /** `iommu_device_unregister`: its devices leave their groups. */
  unregisterDevice(instance: IommuInstance): void {
    const registered = this.registered.get(instance);
    if (registered === undefined) return;
    for (const bus of this.#buses.inWalkOrder()) {
      for (const device of bus.devices) {
        if (this.instanceOf(device) !== instance) continue;
        this.releaseDevice(device);
        this.states.of(device).noGroup = { because: 'iommu-gone', iommu: instance.name };
      }
    }
    this.registered.delete(instance);
    registered.singleton?.put();
    registered.directory.remove();
  }
}

/**
 * The part of a group that chooses, installs and changes its default domain, and that takes devices in and out of
 * it.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { defaultDomainType } from './default-domain.ts';
import type { DeviceIommu } from './device-state.ts';
import { createDirectMappings } from './direct-mappings.ts';
import { type Domain, DomainType, domainTypeWord, isDmaType, type WantedType } from './domain.ts';
import { domainAlloc } from './domain-alloc.ts';
import type { IommuDriver } from './driver.ts';
import type { Group } from './group.ts';
import { attachDevice, GroupDomains } from './group-domains.ts';

/** What can be written to `type`. */
const WRITABLE = new Map<string, WantedType>([
  ['identity', DomainType.Identity],
  ['DMA', DomainType.Dma],
  ['DMA-FQ', DomainType.DmaFq],
  ['auto', 0],
]);

export abstract class GroupDefault extends GroupDomains {
  /** What reading `type` shows (`iommu_group_show_type`): the default domain, whatever is attached. */
  get type(): string {
    return domainTypeWord(this.defaultDomain?.type);
  }

  /**
   * Writing `type` (`iommu_group_store_type`). One newline at the end does not matter.
   *
   * @throws KernelError EACCES the writer lacks CAP_SYS_ADMIN or CAP_SYS_RAWIO; EINVAL no default domain, another
   *   word, or driver and trust do not allow it; EPERM no members or some are in use, unless DMA becomes DMA-FQ;
   *   else what allocating or attaching refused. The group is as before then
   */
  storeType(text: string): void {
    this.alive('writing its type');
    if (!this.context.capable('CAP_SYS_ADMIN') || !this.context.capable('CAP_SYS_RAWIO')) {
      throw new KernelError(
        'EACCES',
        this.describe(),
        'changing the type needs CAP_SYS_ADMIN and CAP_SYS_RAWIO',
      );
    }
    const current = this.defaultDomain;
    if (current === undefined) throw new KernelError('EINVAL', this.describe(), 'has no default domain');
    const word = text.endsWith('\n') ? text.slice(0, -1) : text;
    const requested = WRITABLE.get(word);
    if (requested === undefined) {
      const words = [...WRITABLE.keys()].join(', ');
      throw new KernelError(
        'EINVAL',
        this.describe(),
        `has no type ${JSON.stringify(word)}`,
        `write ${words}`,
      );
    }

    using _ = this.lock.hold('iommu_group_store_type');
    if (requested === DomainType.DmaFq && current.type === DomainType.Dma) {
      this.#initFlushQueue(current);
      current.type = DomainType.DmaFq;
      return;
    }
    if (this.size === 0) throw new KernelError('EPERM', this.describe(), 'has no devices');
    if (this.users > 0) {
      throw new KernelError('EPERM', this.describe(), `is in use${this.usersInWords()}`, 'unbind them first');
    }
    this.setupDefaultDomain(requested);
    for (const device of this.members.keys()) this.#setupDmaOps(device);
  }

  /**
   * The group's half of `__iommu_probe_device`: the device becomes a member, attached to the group's domain. The
   * caller has set the state's group and instance and holds the reference that becomes the device's.
   *
   * @param pending collects groups whose default domain a boot walk sets up once all members are known; absent: now
   * @throws KernelError what linking or attaching refused; the driver has forgotten the device then
   */
  adopt(device: Device, state: DeviceIommu, pending?: Set<Group>): void {
    using _ = this.lock.hold(`probing ${device.name}`);
    try {
      this.link(device);
      this.#attachNew(device, state, pending);
    } catch (error) {
      this.unlink(device);
      this.forgetDevice(device, state);
      throw error;
    }
  }

  /** The second half of `bus_iommu_probe`: all members are known, so choose, attach and set up. */
  finishProbe(): void {
    using _ = this.lock.hold('bus_iommu_probe');
    this.setupDefaultDomain(0);
    for (const device of this.members.keys()) this.#setupDmaOps(device);
  }

  /** `iommu_deinit_device`, and for a device without an IOMMU just the pointer. */
  protected override forgetDevice(device: Device, state: DeviceIommu): void {
    if (this.size === 0 && (this.users > 0 || this.domain !== this.defaultDomain)) {
      this.warn('its last device left while it was owned or attached to another domain than the default');
    }
    const driver = state.instance?.driver;
    if (driver !== undefined) {
      this.context.unlinkInstance(device, state);
      if (!state.attachDeferred && driver.releaseDomain) attachDevice(driver.releaseDomain, device, state);
      driver.releaseDevice?.(device);
      if (this.size === 0) this.freeDomains();
    }
    this.context.states.forget(device);
  }

  /**
   * `iommu_setup_default_domain`.
   *
   * @param requested 0: what the drivers want, else the global default
   * @throws KernelError EINVAL no type suits everybody; else what allocating, mapping or attaching refused. The old
   *   default is in place then; without one the new stays, to be freed with the last device
   */
  protected setupDefaultDomain(requested: WantedType): void {
    const old = this.defaultDomain;
    const domain = this.#allocDefaultDomain(this.#chooseType(requested));
    if (domain === old) return;

    const mapped = this.#mapDirectRegions(domain);
    this.setDefault(domain);
    if (this.domain === undefined) {
      this.setDomain(domain, true);
    } else {
      this.#orRestore(old, domain, () => this.setDomain(domain));
    }
    if (!mapped) this.#orRestore(old, domain, () => this.#mapDirectRegionsAgain(domain));
    old?.free();
  }

  /** Who uses the group's DMA, for messages: ` by 0000:01:00.0 (nouveau)`. */
  protected usersInWords(): string {
    if (this.owner !== undefined) return ` by ${ownerInWords(this.owner)}`;
    const bound = this.devices.filter((device) => device.driver && !device.driver.driverManagedDma);
    return bound.length === 0 ? '' : ` by ${bound.map((d) => `${d.name} (${d.driver?.name})`).join(', ')}`;
  }

  #attachNew(device: Device, state: DeviceIommu, pending: Set<Group> | undefined): void {
    if (this.defaultDomain !== undefined) this.#mapOrWarn(this.defaultDomain, device);
    if (this.domain !== undefined) this.setDeviceDomain(device, this.domain, false);
    else if (this.defaultDomain === undefined && pending === undefined) this.setupDefaultDomain(0);
    else if (this.defaultDomain === undefined) pending?.add(this.asGroup());
    if (this.defaultDomain !== undefined) this.#setupDmaOps(device, state);
  }

  #chooseType(requested: WantedType): WantedType {
    const wishes = this.devices.map((device) => {
      const driver = this.stateOf(device).instance?.driver;
      const wants = driver?.defaultDomain
        ? driver.defaultDomain.type
        : (driver?.defDomainType?.(device) ?? 0);
      return { device: device.name, wants, untrusted: this.context.untrusted(device) };
    });
    const { type, conflicts } = defaultDomainType(this.describe(), wishes, requested);
    for (const conflict of conflicts) {
      this.context.messages.err(this.describe(), `IOMMU driver asks for conflicting types: ${conflict}`);
    }
    return type;
  }

  /** `iommu_group_alloc_default_domain`. */
  #allocDefaultDomain(type: WantedType): Domain {
    const { driver, device } = this.firstDriver();
    if (driver.defaultDomain !== undefined) {
      const only = driver.defaultDomain;
      if (type === only.type) return only;
      throw new KernelError(
        'EINVAL',
        this.describe(),
        `${driver.name} allows ${domainTypeWord(only.type)} only`,
      );
    }
    if (type !== 0) return this.#ownOrNew(driver, device, type);
    const preferred = this.context.defaultType;
    try {
      return this.#ownOrNew(driver, device, preferred);
    } catch (error) {
      if (preferred === DomainType.Dma) throw noDefault(this.describe(), error);
    }
    const domain = this.#ownOrNew(driver, device, DomainType.Dma);
    this.warn(`no default domain of type ${domainTypeWord(preferred)} could be made, DMA is used instead`);
    return domain;
  }

  /** `__iommu_group_alloc_default_domain`: a default domain that is of this type already stays. */
  #ownOrNew(driver: IommuDriver, device: Device, type: DomainType): Domain {
    return this.defaultDomain?.type === type ? this.defaultDomain : domainAlloc(driver, device, type);
  }

  #mapDirectRegions(domain: Domain): boolean {
    let complete = true;
    for (const device of this.members.keys()) if (!this.#mapOrWarn(domain, device)) complete = false;
    return complete;
  }

  /** Some drivers can only map once something is attached. */
  #mapDirectRegionsAgain(domain: Domain): void {
    for (const device of this.members.keys()) createDirectMappings(domain, device, this.stateOf(device));
  }

  #mapOrWarn(domain: Domain, device: Device): boolean {
    try {
      createDirectMappings(domain, device, this.stateOf(device));
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.context.messages.warn(device.name, `firmware's 1:1 mapping could not be made: ${error.message}`);
      return false;
    }
  }

  #orRestore(old: Domain | undefined, failed: Domain, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (old !== undefined) {
        if (this.domain === failed) this.setDomainNoFail(old);
        this.setDefault(old);
        failed.free();
      }
      throw error;
    }
  }

  /** `iommu_setup_dma_ops`: which DMA the device's own driver does, and whether unmapping can be deferred. */
  #setupDmaOps(device: Device, state = this.stateOf(device)): void {
    const domain = this.domain;
    state.usesDmaApi = domain !== undefined && isDmaType(domain.type);
    if (domain === undefined || !state.usesDmaApi || domain.dmaReady) return;
    domain.dmaReady = true;
    if (domain.type !== DomainType.DmaFq) return;
    try {
      if (state.instance?.driver.capable?.(device, 'deferred-flush')) this.#initFlushQueue(domain);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    if (!domain.flushQueue) domain.type = DomainType.Dma;
  }

  /** `iommu_dma_init_fq`. */
  #initFlushQueue(domain: Domain): void {
    if (domain.flushQueue) return;
    domain.owner?.initFlushQueue?.(domain);
    domain.flushQueue = true;
  }
}

function noDefault(group: string, cause: unknown): unknown {
  if (!(cause instanceof KernelError)) return cause;
  return new KernelError('EINVAL', group, `no default domain: ${cause.message}`);
}

/** Owners are cookies; those that have a name are shown by it. */
function ownerInWords(owner: unknown): string {
  if (typeof owner === 'string') return owner;
  if (typeof owner !== 'object' || owner === null) return 'another owner';
  const { name, label } = owner as { name?: unknown; label?: unknown };
  return [name, label].find((word): word is string => typeof word === 'string') ?? 'another owner';
}

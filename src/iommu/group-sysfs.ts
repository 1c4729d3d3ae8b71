/** A group's directory: /kernel/iommu_groups/<id> with its files and the links of its members. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type Attribute, createLinkUnique, Kobject, type Ktype } from '../kernel/kobject.ts';
import { formatRegion, type ReservedRegion } from './reserved-region.ts';

/** What the files ask of their group. */
export interface ShownGroup {
  readonly name: string | undefined;
  readonly type: string;
  reservedRegions(): ReservedRegion[];
  storeType(text: string): void;
}

/** One table for all groups: there are as many as devices. In the order `iommu_group_alloc` creates the files. */
const ATTRIBUTES: readonly Attribute[] = [
  {
    name: 'reserved_regions',
    mode: 0o444,
    show: (kobj) => shown(kobj).reservedRegions().map(formatRegion).join(''),
  },
  {
    name: 'type',
    mode: 0o644,
    show: (kobj) => `${shown(kobj).type}\n`,
    store: (kobj, text) => shown(kobj).storeType(text),
  },
  {
    name: 'name',
    mode: 0o444,
    visible: (kobj) => shown(kobj).name !== undefined,
    show: (kobj) => `${shown(kobj).name}\n`,
  },
];

const GROUP_KTYPE: Ktype = { attributes: ATTRIBUTES };

class GroupKobject extends Kobject {
  group: ShownGroup | undefined;
}

function shown(kobj: Kobject): ShownGroup {
  const group = kobj instanceof GroupKobject ? kobj.group : undefined;
  if (group === undefined) throw new KernelError('ENODEV', kobj.path, 'is not the directory of a group');
  return group;
}

/** The directory and its `devices/`, from allocation to release. */
export class GroupDirectory {
  readonly kobj: Kobject;
  readonly #devices: Kobject;
  readonly #shown: GroupKobject;

  /** @throws KernelError EEXIST and others of sysfs; nothing is left behind then */
  constructor(groupsDir: Kobject, id: number) {
    this.#shown = new GroupKobject(String(id), groupsDir, GROUP_KTYPE);
    this.kobj = this.#shown;
    this.#devices = new Kobject('devices', this.kobj);
  }

  /** The group whose state the files show. */
  showing(group: ShownGroup): void {
    this.#shown.group = group;
  }

  /**
   * Both links of a member (`iommu_group_alloc_device`), or none.
   *
   * @returns its name in `devices/`: the device's, or with `.0`, `.1` … where that is taken
   * @throws KernelError EINVAL the device is not in sysfs, EEXIST it has an `iommu_group` link
   */
  link(device: Device): string {
    const kobj = device.kobj;
    if (kobj === undefined)
      throw new KernelError('EINVAL', device.name, 'is not in sysfs', 'add the device first');
    kobj.createLink('iommu_group', this.kobj);
    try {
      return createLinkUnique(this.#devices, device.name, kobj);
    } catch (error) {
      kobj.removeLink('iommu_group');
      throw error;
    }
  }

  /** `__iommu_group_free_device`'s part in sysfs. */
  unlink(device: Device, name: string): void {
    this.#devices.removeLink(name);
    device.kobj?.removeLink('iommu_group');
  }

  /** The last reference to the group went. */
  remove(): void {
    this.#devices.put();
    this.kobj.put();
  }
}

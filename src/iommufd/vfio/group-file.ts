/** The open file of a VFIO group, /dev/vfio/NUMBER. */

import { KernelError } from '../../kernel/errors.ts';
import type { Process } from '../process.ts';
import { checkHeader } from './calls.ts';
import { compatIoasCreate, compatSetNoIommu } from './compat-ioas.ts';
import { GroupFlag } from './constants.ts';
import { contextFromFile, type FileArgument } from './context-from-file.ts';
import { VfioDeviceFile } from './device-file.ts';
import type { VfioGroup } from './group.ts';

/** `struct vfio_group_status`. */
export interface VfioGroupStatusRequest {
  argsz: number;
  flags: number;
}

const STATUS_SIZE = 8;

export class VfioGroupFile {
  readonly group: VfioGroup;
  /** Who makes the calls: who opened it, until the file is handed on to another process. */
  process: Process;
  #closed = false;

  /** Only `VfioGroup.open` makes one. */
  constructor(group: VfioGroup, process: Process) {
    this.group = group;
    this.process = process;
  }

  /** As `/proc/PID/fd` shows it. */
  get name(): string {
    return `/dev/vfio/${this.group.name}`;
  }

  get label(): string {
    return this.group.label;
  }

  /**
   * `VFIO_GROUP_GET_STATUS`. Viable means that nobody uses or owns the group's DMA now; with a container it says so
   * whatever the truth, which opening a device then finds.
   *
   * @throws KernelError EINVAL `argsz` below 8; ENODEV the group's last driver is gone
   */
  getStatus(request: VfioGroupStatusRequest): void {
    this.#assertOpen();
    checkHeader(this, 'VFIO_GROUP_GET_STATUS', request, STATUS_SIZE);
    const { iommuGroup, context } = this.group;
    if (iommuGroup === undefined) throw new KernelError('ENODEV', this.label, 'has no devices any more');
    if (context !== undefined) request.flags = GroupFlag.ContainerSet | GroupFlag.Viable;
    else request.flags = iommuGroup.dmaOwnerClaimed ? 0 : GroupFlag.Viable;
  }

  /**
   * `VFIO_GROUP_SET_CONTAINER`: makes the compatibility IOAS, or puts the container in noiommu mode. Devices are not
   * touched yet, so a group that is not viable passes.
   *
   * @param container an open /dev/vfio/vfio or /dev/iommu
   * @throws KernelError EBADF no open file; EINVAL a container is set, or this one serves groups of the other kind;
   *   ENODEV the group's last driver is gone; EBADFD not a container; ENOMEM. Nothing has changed then
   */
  setContainer(container: FileArgument): void {
    this.#assertOpen();
    const { group, process } = this;
    if (typeof container === 'number' && process.files.find(container) === undefined) {
      throw new KernelError('EBADF', this.label, `descriptor ${container} is not open in ${process.name}`);
    }
    if (group.context !== undefined) {
      throw new KernelError('EINVAL', this.label, `is in ${group.context.label} already`, 'unset it first');
    }
    if (group.iommuGroup === undefined)
      throw new KernelError('ENODEV', this.label, 'has no devices any more');
    const context = contextFromFile(process, container).get();
    try {
      if (group.type === 'no-iommu') compatSetNoIommu(context);
      else compatIoasCreate(context);
    } catch (error) {
      context.put();
      throw error;
    }
    group.context = context;
  }

  /**
   * `VFIO_GROUP_UNSET_CONTAINER`. Unlike VFIO's own containers iommufd does not mind open devices, which stay bound.
   *
   * @throws KernelError EINVAL no container is set
   */
  unsetContainer(): void {
    this.#assertOpen();
    const { context } = this.group;
    if (context === undefined) throw new KernelError('EINVAL', this.label, 'has no container');
    this.group.context = undefined;
    context.put();
  }

  /**
   * `VFIO_GROUP_GET_DEVICE_FD`: opens a device of the group, as often as wanted. The first time it is bound to the
   * iommufd and attached to the compatibility IOAS.
   *
   * @param name as in the group's `devices`, options after a space where the driver knows any
   * @throws KernelError ENODEV no such device in this group has a VFIO driver; EINVAL unknown options; ENOMEM; else as
   *   `VfioDeviceFile.openInGroup`. Nothing has changed then
   */
  getDeviceFd(name: string): VfioDeviceFile {
    this.#assertOpen();
    const device = this.group.devices.find(({ ops, device }) => ops.match?.(name) ?? device.name === name);
    if (device?.tryGetRegistration() !== true) {
      throw new KernelError(
        'ENODEV',
        this.label,
        `has no device ${name} with a VFIO driver`,
        'bind it to vfio-pci',
      );
    }
    try {
      const { faults } = this.group;
      faults.step('descriptor');
      faults.step('device file');
      const file = new VfioDeviceFile(device, this.process, true);
      file.openInGroup();
      try {
        faults.step('file');
      } catch (error) {
        device.close();
        throw error;
      }
      return file;
    } catch (error) {
      device.putRegistration();
      throw error;
    }
  }

  /**
   * The descriptor is closed (`vfio_group_fops_release`). Devices that are open stay so, bound as they are.
   *
   * @throws KernelError EBADF closed already
   */
  close(): void {
    this.#assertOpen();
    this.#closed = true;
    const { context } = this.group;
    this.group.context = undefined;
    this.group.closed();
    context?.put();
  }

  #assertOpen(): void {
    if (this.#closed) throw new KernelError('EBADF', this.label, 'the file is closed');
  }
}

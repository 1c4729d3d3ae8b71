/** An open file of a VFIO device (`struct vfio_device_file`): got from its group, or from /dev/vfio/devices. */

import type { DeviceDma } from '../../iommu/dma.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Process } from '../process.ts';
import type {
  VfioAttachIommufdPtRequest,
  VfioBindIommufdRequest,
  VfioDetachIommufdPtRequest,
} from './bind-requests.ts';
import { checkHeader } from './calls.ts';
import { ATTACH_PASID } from './constants.ts';
import { contextFromFile } from './context-from-file.ts';
import type { VfioDevice } from './device.ts';
import type { VfioDeviceInfoRequest, VfioIrqInfoRequest, VfioRegionInfoRequest } from './device-ops.ts';

const BIND_SIZE = 16;
const ATTACH_SIZE = 12;
const ATTACH_PASID_SIZE = 16;
const DETACH_SIZE = 8;
const DETACH_PASID_SIZE = 12;

export class VfioDeviceFile {
  /** As `/proc/PID/fd` shows it. */
  readonly name: string;
  readonly vfioDevice: VfioDevice;
  /** Who makes the calls: who opened it, until the file is handed on to another process. */
  process: Process;
  /** Got from the device's group, the way of old programs. */
  readonly viaGroup: boolean;
  #accessGranted = false;
  #closed = false;
  /** `df->iommufd`, kept by a file of the device's own; one got from the group has the group's. */
  #context: Context | undefined;

  /** Only `VfioGroupFile.getDeviceFd` and `Vfio.openDevice` make one; it holds a registration of the device. */
  constructor(vfioDevice: VfioDevice, process: Process, viaGroup: boolean) {
    this.vfioDevice = vfioDevice;
    this.process = process;
    this.viaGroup = viaGroup;
    this.name = viaGroup ? '[vfio-device]' : `/dev/vfio/devices/${vfioDevice.name}`;
  }

  get label(): string {
    return this.vfioDevice.label;
  }

  /** Whether calls other than binding are answered. */
  get accessGranted(): boolean {
    return this.#accessGranted;
  }

  /** Moves bytes as the device would; none unless it is bound to an iommufd. */
  get dma(): DeviceDma | undefined {
    return this.vfioDevice.dma;
  }

  /**
   * `vfio_df_group_open`, once, by the group that hands the file out.
   *
   * @throws KernelError EINVAL the group has no container; EPERM a device without an IOMMU, without CAP_SYS_RAWIO or
   *   with an address space; EPERM and others as `IommufdDevice.bind`: the group is not viable; what enabling or
   *   attaching refuses. Nothing has changed then
   */
  openInGroup(): void {
    const { vfioDevice } = this;
    const { context } = vfioDevice.group;
    if (context === undefined) {
      throw new KernelError(
        'EINVAL',
        vfioDevice.group.label,
        'has no container',
        'VFIO_GROUP_SET_CONTAINER first',
      );
    }
    if (vfioDevice.isNoiommu && vfioDevice.openCount === 0) this.#assertMayGoWithoutIommu(context);
    vfioDevice.open(context, false);
    if (vfioDevice.openCount === 1) {
      try {
        vfioDevice.attachCompatIoas(context);
      } catch (error) {
        vfioDevice.close();
        throw error;
      }
    }
    this.#accessGranted = true;
  }

  #assertMayGoWithoutIommu(context: Context): void {
    if (!this.process.capabilities.has('CAP_SYS_RAWIO')) {
      throw new KernelError('EPERM', this.label, 'DMA without an IOMMU needs CAP_SYS_RAWIO');
    }
    if (context.vfioIoas !== undefined) {
      throw new KernelError('EPERM', this.label, `has no IOMMU, and ${context.label} promises translation`);
    }
  }

  /**
   * `VFIO_DEVICE_BIND_IOMMUFD`, once per file. The group's own file and this one exclude each other.
   *
   * @throws KernelError EINVAL `argsz` below 16, flags, a negative descriptor, a file got from a group, or bound
   *   already; EBUSY the group's file is open; EBADF, EBADFD not an open iommufd; EINVAL the device is open through
   *   another file; else as `IommufdDevice.bind` and what enabling the device refuses. Nothing has changed then
   */
  bindIommufd(request: VfioBindIommufdRequest): void {
    this.#assertOpen();
    checkHeader(this, 'VFIO_DEVICE_BIND_IOMMUFD', request, BIND_SIZE, 0);
    if (typeof request.iommufd === 'number' && request.iommufd < 0) {
      throw new KernelError('EINVAL', this.label, `descriptor ${request.iommufd} is negative`);
    }
    const { vfioDevice } = this;
    if (this.viaGroup) {
      throw new KernelError('EINVAL', this.label, 'was opened through its group, whose container it uses');
    }
    vfioDevice.group.block();
    try {
      if (this.#accessGranted) throw new KernelError('EINVAL', this.label, 'is bound to an iommufd already');
      const context = contextFromFile(this.process, request.iommufd).get();
      try {
        vfioDevice.open(context, true);
        try {
          request.outDevid = vfioDevice.iommufdDevice?.id ?? 0;
        } catch (error) {
          vfioDevice.close();
          throw error;
        }
      } catch (error) {
        context.put();
        throw error;
      }
      this.#context = context;
    } catch (error) {
      vfioDevice.group.unblock();
      throw error;
    }
    vfioDevice.cdevOpened = true;
    this.#accessGranted = true;
  }

  /**
   * `VFIO_DEVICE_ATTACH_IOMMUFD_PT`: attaches, or replaces where the device is attached.
   *
   * @throws KernelError EINVAL not bound; ENOTTY a file got from a group; EINVAL `argsz` or flags; else as
   *   `VfioDevice.attachIoas` and `attachPasid`
   */
  attachIommufdPt(request: VfioAttachIommufdPtRequest): void {
    this.#assertBindable('VFIO_DEVICE_ATTACH_IOMMUFD_PT');
    checkHeader(this, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', request, ATTACH_SIZE, ATTACH_PASID);
    const { vfioDevice } = this;
    const pasid = this.#pasidOf(request, ATTACH_PASID_SIZE);
    const hwptId =
      pasid === undefined ? vfioDevice.attachIoas(request.ptId) : vfioDevice.attachPasid(pasid, request.ptId);
    try {
      request.ptId = hwptId;
    } catch (error) {
      if (pasid === undefined) vfioDevice.detachIoas();
      else vfioDevice.detachPasid(pasid);
      throw error;
    }
  }

  /**
   * `VFIO_DEVICE_DETACH_IOMMUFD_PT`: a success as well where nothing is attached.
   *
   * @throws KernelError EINVAL not bound; ENOTTY a file got from a group; EINVAL `argsz` or flags
   */
  detachIommufdPt(request: VfioDetachIommufdPtRequest): void {
    this.#assertBindable('VFIO_DEVICE_DETACH_IOMMUFD_PT');
    checkHeader(this, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', request, DETACH_SIZE, ATTACH_PASID);
    const pasid = this.#pasidOf(request, DETACH_PASID_SIZE);
    if (pasid === undefined) this.vfioDevice.detachIoas();
    else this.vfioDevice.detachPasid(pasid);
  }

  /**
   * `VFIO_DEVICE_GET_INFO`.
   *
   * @throws KernelError EINVAL not bound, the driver has no calls, or `argsz`
   */
  getInfo(request: VfioDeviceInfoRequest): void {
    this.#call('getInfo')(request);
  }

  /**
   * `VFIO_DEVICE_GET_REGION_INFO`.
   *
   * @throws KernelError EINVAL not bound, the driver has no calls, `argsz`, or no such region
   */
  getRegionInfo(request: VfioRegionInfoRequest): void {
    this.#call('getRegionInfo')(request);
  }

  /**
   * `VFIO_DEVICE_GET_IRQ_INFO`.
   *
   * @throws KernelError EINVAL not bound, the driver has no calls, `argsz`, or no such interrupt
   */
  getIrqInfo(request: VfioIrqInfoRequest): void {
    this.#call('getIrqInfo')(request);
  }

  /**
   * `VFIO_DEVICE_RESET`.
   *
   * @throws KernelError EINVAL not bound, the driver has no calls, or the device cannot be reset
   */
  reset(): void {
    this.#call('reset')();
  }

  /**
   * `pread` at `position`.
   *
   * @returns how many bytes of `bytes` were filled
   * @throws KernelError EINVAL not bound, or no region there; else the driver's refusal
   */
  read(position: bigint, bytes: Uint8Array): number {
    return this.#call('read')(position, bytes);
  }

  /**
   * `pwrite` at `position`.
   *
   * @returns how many bytes were written
   * @throws KernelError as `read`
   */
  write(position: bigint, bytes: Uint8Array): number {
    return this.#call('write')(position, bytes);
  }

  /**
   * The descriptor is closed (`vfio_device_fops_release`).
   *
   * @throws KernelError EBADF closed already
   */
  close(): void {
    this.#assertOpen();
    this.#closed = true;
    const { vfioDevice } = this;
    const context = this.#context;
    this.#context = undefined;
    if (this.#accessGranted) vfioDevice.close();
    if (context !== undefined) {
      vfioDevice.cdevOpened = false;
      vfioDevice.group.unblock();
    }
    vfioDevice.putRegistration();
    context?.put();
  }

  #call<K extends 'getInfo' | 'getRegionInfo' | 'getIrqInfo' | 'reset' | 'read' | 'write'>(
    name: K,
  ): NonNullable<VfioDevice['ops'][K]> {
    this.#assertAccess();
    const { ops } = this.vfioDevice;
    const call = ops[name];
    if (call === undefined) throw new KernelError('EINVAL', this.label, `${ops.name} does not offer ${name}`);
    return call.bind(ops) as NonNullable<VfioDevice['ops'][K]>;
  }

  /** A call only the device's own file answers; others take it for one of the driver's. */
  #assertBindable(call: string): void {
    this.#assertAccess();
    if (this.viaGroup)
      throw new KernelError('ENOTTY', this.label, `${call} is for files of /dev/vfio/devices`);
  }

  #assertAccess(): void {
    this.#assertOpen();
    if (!this.#accessGranted) {
      throw new KernelError(
        'EINVAL',
        this.label,
        'is not bound to an iommufd',
        'VFIO_DEVICE_BIND_IOMMUFD first',
      );
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new KernelError('EBADF', this.label, 'the file is closed');
  }

  #pasidOf(request: { argsz: number; flags: number; pasid?: number }, size: number): number | undefined {
    if ((request.flags & ATTACH_PASID) === 0) return undefined;
    if (request.argsz < size) {
      throw new KernelError('EINVAL', this.label, `argsz ${request.argsz} does not cover the PASID`);
    }
    return request.pasid ?? 0;
  }
}

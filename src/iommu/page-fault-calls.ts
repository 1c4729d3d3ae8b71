/** What drivers report of page faults, and whether a device may have any. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { DeviceStates } from './device-state.ts';
import { DomainType } from './domain.ts';
import type { DeviceFeature } from './driver.ts';
import { type AttachHandle, NO_PASID } from './group-pasids.ts';
import type { Messages } from './messages.ts';
import { DeviceFaults, FaultGroup, type PageRequest, PageRequestFlag, PageResponse } from './page-faults.ts';

export abstract class PageFaultCalls {
  readonly states = new DeviceStates();
  abstract readonly messages: Messages;

  /**
   * `iommu_dev_enable_feature`, and for `iopf` `iopf_queue_add_device`.
   *
   * @throws KernelError ENODEV no IOMMU, or one that cannot; EBUSY it is on; else the driver's refusal
   */
  devEnableFeature(device: Device, feature: DeviceFeature): void {
    const state = this.states.find(device);
    const driver = state?.instance?.driver;
    if (state === undefined || driver?.enableFeature === undefined || driver.pageResponse === undefined) {
      throw new KernelError('ENODEV', device.name, 'its IOMMU takes no page requests');
    }
    if (state.faults !== undefined)
      throw new KernelError('EBUSY', device.name, 'makes page requests already');
    driver.enableFeature(device, feature);
    state.faults = new DeviceFaults(device, driver);
  }

  /** `iommu_dev_disable_feature`: what nobody took charge of is answered as invalid. A warning when it is off. */
  devDisableFeature(device: Device, feature: DeviceFeature): void {
    const state = this.states.find(device);
    const faults = state?.faults;
    if (state === undefined || faults === undefined) {
      this.messages.warn(device.name, 'page requests are switched off that were not on');
      return;
    }
    state.faults = undefined;
    faults.driver.disableFeature?.(device, feature);
    for (const group of [...faults.pending]) group.respond(PageResponse.Invalid);
  }

  /**
   * `iommu_report_device_fault`: a driver took a page request from the hardware.
   *
   * @throws KernelError EINVAL nobody who could answer is attached; the hardware has its answer then
   */
  reportDeviceFault(device: Device, request: PageRequest): void {
    const state = this.states.find(device);
    const handle = this.#findFaultHandler(device, request);
    const handler = handle?.domain?.iopfHandler;
    const faults = state?.faults;
    if (handle === undefined || handler === undefined || faults === undefined) {
      const { pasid, grpid } = request;
      const response = { pasid, grpid, code: PageResponse.Invalid };
      state?.instance?.driver.pageResponse?.(device, request, response);
      throw new KernelError('EINVAL', device.name, 'asks for a page and nobody is attached who could answer');
    }
    if ((request.flags & PageRequestFlag.LastPage) === 0) {
      faults.partial.push(request);
      return;
    }
    const earlier = faults.partial.filter(({ grpid }) => grpid === request.grpid);
    faults.partial = faults.partial.filter(({ grpid }) => grpid !== request.grpid);
    const group = new FaultGroup(faults, [...earlier, request], handle);
    faults.pending.add(group);
    try {
      handler(group);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.messages.warn(device.name, `page request with PASID ${request.pasid} aborted: ${error.message}`);
      group.respond(PageResponse.Failure);
    }
  }

  /** `find_fault_handler`. */
  #findFaultHandler(device: Device, request: PageRequest): AttachHandle | undefined {
    const state = this.states.find(device);
    const group = state?.group;
    if (group === undefined) return undefined;
    if ((request.flags & PageRequestFlag.PasidValid) === 0) return group.attachHandle(NO_PASID);
    const handle = group.attachHandle(request.pasid);
    if (handle !== undefined || state?.instance?.driver.userPasidTable !== true) return handle;
    const atDevice = group.attachHandle(NO_PASID);
    return atDevice?.domain?.type === DomainType.Nested ? atDevice : undefined;
  }
}

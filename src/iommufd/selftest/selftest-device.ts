/** A mock device bound and attached on behalf of a test program (`struct selftest_obj` of TYPE_IDEV). */

import { NO_PASID } from '../../iommu/group-pasids.ts';
import type { Context } from '../context.ts';
import { IommufdDevice } from '../device.ts';
import { IommufdObject } from '../object.ts';
import type { MockDevice } from './mock-device.ts';
import { selftestOf } from './selftest.ts';

export class SelftestDevice extends IommufdObject {
  /** Both are there before anybody can find the object. */
  #mock!: MockDevice;
  #idev!: IommufdDevice;

  private constructor(context: Context) {
    super(context, 'selftest');
  }

  /**
   * A new device, bound to this context and attached to `ptId`; the object has the lower id of the two, as it is
   * made first.
   *
   * @param flags of `DeviceFlag`
   * @returns the object, and the id of the HWPT the device is attached to
   * @throws KernelError as `Selftest.createDevice`, `IommufdDevice.bind` and `IommufdDevice.attach`; nothing is left
   *   then
   */
  static create(context: Context, flags: number, ptId: number): { stdev: SelftestDevice; hwptId: number } {
    const selftest = selftestOf(context);
    const stdev = new SelftestDevice(context);
    context.objects.reserve(stdev);
    try {
      stdev.#mock = selftest.createDevice(flags);
      try {
        const hwptId = stdev.#bindAndAttach(ptId);
        context.objects.publish(stdev);
        return { stdev, hwptId };
      } catch (error) {
        selftest.destroyDevice(stdev.#mock);
        throw error;
      }
    } catch (error) {
      context.objects.abort(stdev);
      throw error;
    }
  }

  get mock(): MockDevice {
    return this.#mock;
  }

  /** The iommufd device, bound as long as the object lives. */
  get idev(): IommufdDevice {
    return this.#idev;
  }

  /** `iommufd_selftest_destroy`: the device is detached, from PASIDs too, and unbound, and then there is none. */
  destroy(): void {
    for (const [pasid, { devices }] of [...this.#idev.group.attachments]) {
      if (!devices.has(this.#idev)) continue;
      if (pasid === NO_PASID) this.#idev.detach();
      else this.#idev.pasidDetach(pasid);
    }
    this.#idev.unbind();
    selftestOf(this.context).destroyDevice(this.#mock);
  }

  #bindAndAttach(ptId: number): number {
    this.#idev = IommufdDevice.bind(this.context, this.#mock);
    try {
      return this.#idev.attach(ptId);
    } catch (error) {
      this.#idev.unbind();
      throw error;
    }
  }
}

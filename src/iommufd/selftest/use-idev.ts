/** Mock devices behind device ids. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { IommufdDevice } from '../device.ts';
import { isMockDevice, type MockDevice } from './mock-device.ts';

/** A device that stays bound until this is disposed. */
export interface HeldMockDevice extends Disposable {
  readonly device: MockDevice;
  readonly idev: IommufdDevice;
}

/** @throws KernelError ENOENT no device has this id; EINVAL it is no mock device */
export function useMockIdev(context: Context, id: number): HeldMockDevice {
  const held = context.objects.use<IommufdDevice>(id, 'device');
  const { device } = held.object;
  if (!isMockDevice(device)) {
    held[Symbol.dispose]();
    throw new KernelError('EINVAL', device.name, 'is no mock device');
  }
  return { device, idev: held.object, [Symbol.dispose]: () => held[Symbol.dispose]() };
}

/** The lock every device has (`device_lock`): held while it is bound to a driver or unbound. */

import { Mutex } from '../kernel/lock.ts';
import type { Device } from './device.ts';

/** Only devices whose lock is held take room here. */
export class DeviceLocks {
  readonly #held = new Map<Device, Mutex>();

  /** @throws KernelError EDEADLK naming the holder and this place */
  hold(device: Device, place: string): Disposable {
    const mutex = this.#held.get(device) ?? new Mutex(`lock of ${device.name}`);
    const hold = mutex.hold(place);
    this.#held.set(device, mutex);
    return {
      [Symbol.dispose]: () => {
        hold[Symbol.dispose]();
        this.#held.delete(device);
      },
    };
  }

  /** @throws KernelError EDEADLK as `hold` would */
  assertFree(device: Device, place: string): void {
    this.#held.get(device)?.hold(place);
  }

  /** Devices whose lock is held, outermost first. */
  devices(): Iterable<Device> {
    return this.#held.keys();
  }
}

/** Devices whose driver asked to be tried again later, and the order in which they are. */

import type { Device } from './device.ts';

/**
 * How often one device may be tried in one round beyond twice the devices that wait. A chain of n devices each
 * waiting for the next needs n; two probes that bind children and then defer would otherwise wake each other for
 * ever, as they do in the kernel.
 */
const SPARE_RETRIES = 64;

/** `deferred_probe_pending_list` and `deferred_probe_active_list`. */
export class DeferredProbes {
  readonly #pending = new Set<Device>();
  readonly #active = new Set<Device>();
  #running = false;

  /** Devices waiting, in the order they will be tried (`devices_deferred` in debugfs). */
  get devices(): Device[] {
    return [...this.#active, ...this.#pending];
  }

  /** `driver_deferred_probe_add`. */
  add(device: Device): void {
    if (!this.#active.has(device)) this.#pending.add(device);
  }

  /** `driver_deferred_probe_del`. */
  delete(device: Device): void {
    this.#pending.delete(device);
    this.#active.delete(device);
  }

  /** `driver_deferred_probe_trigger`: everything pending is to be tried when `run` comes. */
  trigger(): void {
    for (const device of this.#pending) this.#active.add(device);
    this.#pending.clear();
  }

  /** `deferred_probe_work_func`: try what was triggered, and what is triggered meanwhile. */
  run(attempt: (device: Device) => void): void {
    if (this.#running || this.#active.size === 0) return;
    this.#running = true;
    const limit = SPARE_RETRIES + 2 * (this.#active.size + this.#pending.size);
    const attempts = new Map<Device, number>();
    try {
      for (const device of this.#active) {
        this.#active.delete(device);
        const attemptsBefore = attempts.get(device) ?? 0;
        if (attemptsBefore >= limit) {
          this.#pending.add(device);
          continue;
        }
        attempts.set(device, attemptsBefore + 1);
        attempt(device);
      }
    } finally {
      this.#running = false;
    }
  }
}

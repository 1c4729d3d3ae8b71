/** Waiting for the calls that work on an object (`destroy_wait`, `shortterm_users`), and who else uses it. */

import { KernelError } from '../kernel/errors.ts';
import type { IommufdObject } from './object.ts';

export class CallsInFlight {
  readonly #waiting = new Map<IommufdObject, Set<() => void>>();

  /**
   * `iommufd_object_dec_wait_shortterm`: `action` runs the moment no call works on the object, before another can.
   *
   * @throws KernelError EBUSY that moment did not come in time; else what `action` threw
   */
  whenIdle(object: IommufdObject, timeoutMs: number, action: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        try {
          action();
          resolve();
        } catch (error) {
          reject(error);
        }
      };
      if (object.callsInFlight === 0) {
        attempt();
        return;
      }
      const waiting = this.#waiting.get(object) ?? new Set();
      this.#waiting.set(object, waiting);
      const wake = () => {
        clearTimeout(timer);
        attempt();
      };
      const timer = setTimeout(() => {
        waiting.delete(wake);
        reject(inUse(object));
      }, timeoutMs);
      waiting.add(wake);
    });
  }

  /** The last call on the object is over. */
  idle(object: IommufdObject): void {
    const waiting = this.#waiting.get(object);
    if (waiting === undefined) return;
    this.#waiting.delete(object);
    for (const wake of waiting) wake();
  }
}

/** The refusal of whoever wants to destroy an object that is used. */
export function inUse(object: IommufdObject): KernelError {
  const owned = object.type === 'device' || object.type === 'access';
  return new KernelError(
    'EBUSY',
    object.label,
    `is in use: ${countsInWords(object)}`,
    owned ? 'its driver has to let it go' : 'destroy or detach what uses it first',
  );
}

/** `IOAS 3 (1 user, 1 call in flight)` */
export function usersInWords(object: IommufdObject): string {
  return `${object.label} (${countsInWords(object)})`;
}

function countsInWords(object: IommufdObject): string {
  const counts = [counted(object.users - 1 - object.callsInFlight, 'user')];
  if (object.callsInFlight > 0) counts.push(`${counted(object.callsInFlight, 'call')} in flight`);
  return counts.join(', ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

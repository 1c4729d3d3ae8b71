/**
 * Locks that check instead of waiting. One thing runs at a time here, so a lock found taken was taken further up
 * the same call chain, and the kernel would hang at this point.
 */

import { KernelError } from './errors.ts';

/** A `mutex`. */
export class Mutex {
  readonly name: string;
  #heldBy: string | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** The place that holds it now. */
  get heldBy(): string | undefined {
    return this.#heldBy;
  }

  /**
   * `mutex_lock`, until the result is disposed of: `using _ = mutex.hold('for_each_dev of group 7')`.
   * @throws KernelError EDEADLK naming the holder and this place
   */
  hold(place: string): Disposable {
    if (this.#heldBy !== undefined) {
      throw new KernelError('EDEADLK', this.name, `${place} takes the lock that ${this.#heldBy} is holding`);
    }
    this.#heldBy = place;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        // A second disposal must not release what someone else has taken since.
        if (held) this.#heldBy = undefined;
        held = false;
      },
    };
  }

  /**
   * `lockdep_assert_held`.
   * @throws KernelError EINVAL where the kernel would warn
   */
  assertHeld(what: string): void {
    if (this.#heldBy === undefined) throw new KernelError('EINVAL', this.name, `${what} needs the lock held`);
  }
}

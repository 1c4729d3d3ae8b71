/** Makes the n-th of a driver's steps fail, for tests that want every step to have failed once. */

import { type ErrnoName, KernelError } from '../kernel/errors.ts';

export class FaultInjector {
  #taken = 0;
  #failing: { at: number; code: ErrnoName } | undefined;
  #fired: string | undefined;
  #broken: { what: string; code: ErrnoName } | undefined;

  /** Steps taken since the last `failAt`. */
  get taken(): number {
    return this.#taken;
  }

  /** The step that failed, if the count came that far. */
  get fired(): string | undefined {
    return this.#fired;
  }

  /** Counting starts over; the `n`-th step from here on (from 1) fails, once. */
  failAt(n: number, code: ErrnoName = 'ENOMEM'): void {
    this.#taken = 0;
    this.#fired = undefined;
    this.#failing = { at: n, code };
  }

  /** Every step of this kind fails until `disarm`. */
  failEvery(what: string, code: ErrnoName = 'ENOMEM'): void {
    this.#broken = { what, code };
  }

  /** No step fails any more. */
  disarm(): void {
    this.#failing = undefined;
    this.#broken = undefined;
  }

  /** @throws KernelError when this step is to fail */
  step(what: string): void {
    this.#taken++;
    if (this.#broken?.what === what) throw new KernelError(this.#broken.code, what, 'made to fail');
    if (this.#failing?.at !== this.#taken) return;
    const { code } = this.#failing;
    this.#failing = undefined;
    this.#fired = what;
    throw new KernelError(code, what, 'made to fail');
  }
}

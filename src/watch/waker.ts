/**
 * Turns announcements into moments to look: at once, and again shortly after the last one, because the kernel
 * announces some things before they show in sysfs (a removal) and some drivers take their time.
 */

/** Milliseconds after the last announcement. */
const SETTLED = 200;

export class Waker {
  #due = false;
  #settle: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;

  /** Something was announced. */
  announce(): void {
    this.#look();
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#look(), SETTLED);
  }

  /** Resolves at the next moment to look, at once if there was one since the last; or when `signal` ends. */
  woken(signal: AbortSignal): Promise<void> {
    if (this.#due || signal.aborted) {
      this.#due = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      this.#wake = () => {
        this.#due = false;
        done();
      };
    });
  }

  stop(): void {
    clearTimeout(this.#settle);
  }

  #look(): void {
    this.#due = true;
    this.#wake?.();
  }
}

/** Notifier chains: callbacks in order of priority, any of which may end the round. */

import { KernelError } from './errors.ts';

/**
 * What a callback answers: NOTIFY_OK, NOTIFY_DONE (did not care), NOTIFY_STOP, or an error, which stops as
 * `notifier_from_errno` does.
 */
export type Verdict = 'ok' | 'done' | 'stop' | KernelError;

export type NotifierCallback<E> = (event: E) => Verdict | void;

interface Entry<E> {
  callback: NotifierCallback<E>;
  priority: number;
}

/** A `blocking_notifier_head`. */
export class NotifierChain<E> {
  readonly name: string;
  readonly #entries: Entry<E>[] = [];
  #callsUnderWay = 0;

  constructor(name = 'notifier chain') {
    this.name = name;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * `blocking_notifier_chain_register`. Higher priority is called earlier; equal ones in order of registration.
   * @throws KernelError EEXIST when the callback is on the chain already
   * @throws KernelError EDEADLK from inside a callback of this chain
   */
  register(callback: NotifierCallback<E>, priority = 0): void {
    this.#assertWritable('register');
    if (this.#indexOf(callback) >= 0) {
      throw new KernelError('EEXIST', this.name, 'callback is already registered');
    }
    const behind = this.#entries.findIndex((entry) => entry.priority < priority);
    this.#entries.splice(behind < 0 ? this.#entries.length : behind, 0, { callback, priority });
  }

  /**
   * `blocking_notifier_chain_unregister`.
   * @throws KernelError ENOENT when the callback is not on the chain
   * @throws KernelError EDEADLK from inside a callback of this chain
   */
  unregister(callback: NotifierCallback<E>): void {
    this.#assertWritable('unregister');
    const index = this.#indexOf(callback);
    if (index < 0) throw new KernelError('ENOENT', this.name, 'callback is not registered');
    this.#entries.splice(index, 1);
  }

  /**
   * `blocking_notifier_call_chain`. A KernelError thrown by a callback counts as returned.
   * @returns the answer of the last callback called, `done` from an empty chain
   */
  call(event: E): Verdict {
    let verdict: Verdict = 'done';
    this.#callsUnderWay++;
    try {
      for (const { callback } of this.#entries) {
        verdict = answerOf(callback, event);
        if (verdict === 'stop' || verdict instanceof KernelError) break;
      }
    } finally {
      this.#callsUnderWay--;
    }
    return verdict;
  }

  #indexOf(callback: NotifierCallback<E>): number {
    return this.#entries.findIndex((entry) => entry.callback === callback);
  }

  /** The kernel holds the chain's rwsem for reading during a call, and registering takes it for writing. */
  #assertWritable(doing: string): void {
    if (this.#callsUnderWay === 0) return;
    throw new KernelError('EDEADLK', this.name, `${doing} from inside one of its callbacks`);
  }
}

function answerOf<E>(callback: NotifierCallback<E>, event: E): Verdict {
  try {
    return callback(event) ?? 'done';
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

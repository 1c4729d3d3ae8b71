/** One write of a hand-over: announced in the journal, made, and looked at. */

import { effect, type Held, shownHeld, type Write, writeText } from '../advise/plan-steps.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Journal } from './journal.ts';
import type { HandoverTree } from './tree.ts';

export interface Made {
  path: string;
  value: string;
}

export class Performer {
  /** Writes that were made, in order. */
  readonly made: Made[] = [];
  /** Why the journal could not be kept, where the writes went on without it. */
  unjournalled: string | undefined;
  readonly #tree: HandoverTree;
  readonly #journal: Journal;
  #purpose: 'apply' | 'undo' = 'apply';
  #evenUnjournalled = false;

  constructor(tree: HandoverTree, journal: Journal) {
    this.#tree = tree;
    this.#journal = journal;
  }

  /**
   * From now on devices go back. Where everything has to go stands in the journal already, so nothing more need be
   * written to it. `evenUnjournalled`: not even that they go back.
   */
  turnBack(why: string, time: string, options: { evenUnjournalled: boolean }): void {
    this.#purpose = 'undo';
    this.#evenUnjournalled = options.evenUnjournalled;
    this.#announce(() => this.#journal.add({ record: 'undo', why, time }));
    this.#evenUnjournalled = true;
  }

  /**
   * @throws KernelError when the device has changed under way, the journal cannot be kept (nothing is written then),
   *   the kernel refuses, or takes the write and does not do what it is for
   */
  perform(write: Write): void {
    const { device } = write;
    const before = this.#held(device);
    const wanted = effect(before, write);
    if (wanted === undefined) throw new KernelError('EBUSY', device, `has ${shownHeld(before)} by now`);
    const text = writeText(write);
    this.#announce(() =>
      this.#journal.add({
        record: 'write',
        for: this.#purpose,
        tree: this.#tree.root,
        device,
        ...text,
        before,
      }),
    );
    this.#tree.write(text.path, text.value);
    this.made.push(text);
    const after = this.#held(device);
    if (after.driver !== wanted.driver || after.override !== wanted.override) {
      throw new KernelError(
        'EIO',
        text.path,
        `the write went through, but ${device} has ${shownHeld(after)} instead of ${shownHeld(wanted)}`,
      );
    }
  }

  #held(device: string): Held {
    const held = this.#tree.held(device);
    if (held === undefined) throw new KernelError('ENODEV', device, 'is gone');
    return held;
  }

  #announce(add: () => void): void {
    try {
      add();
    } catch (error) {
      if (!this.#evenUnjournalled || !(error instanceof KernelError)) throw error;
      this.unjournalled = error.message;
    }
  }
}

/**
 * What other machines would have made of a recording: booted once a hypothesis, however many differences ask.
 * Only partitions are kept; a booted machine of many devices is large.
 */

import type { Snapshot } from '../host/snapshot.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import { comparePartitions, kernelPartition, modelPartition, type Partition } from './partition.ts';

export class Hypotheses {
  readonly options: BootOptions;
  readonly #snapshot: Snapshot;
  readonly #kernel: Partition;
  readonly #partitions = new Map<string, Partition>();

  /** @param options what every hypothesis changes something of */
  constructor(snapshot: Snapshot, options: BootOptions) {
    this.options = options;
    this.#snapshot = snapshot;
    this.#kernel = kernelPartition(snapshot);
  }

  /** Groups as a machine booted with these changes forms them. */
  partition(change: BootOptions): Partition {
    const key = JSON.stringify(change);
    let partition = this.#partitions.get(key);
    if (partition === undefined) {
      partition = modelPartition(boot(this.#snapshot, { ...this.options, ...change }));
      this.#partitions.set(key, partition);
    }
    return partition;
  }

  /** Whether a machine booted with these changes has no difference from the kernel among `members`. */
  explains(members: ReadonlySet<string>, change: BootOptions): boolean {
    return this.#agree(members, this.partition(change));
  }

  /** The same for a machine that something was done to. */
  agrees(members: ReadonlySet<string>, machine: Machine): boolean {
    return this.#agree(members, modelPartition(machine));
  }

  /** Whether the kernel has some of these in one group and some in another. */
  separated(names: readonly string[]): boolean {
    return new Set(names.map((name) => this.#kernel.get(name))).size > 1;
  }

  #agree(members: ReadonlySet<string>, partition: Partition): boolean {
    return (
      comparePartitions(only(this.#kernel, members), only(partition, members), [...members]).length === 0
    );
  }
}

function only(partition: Partition, names: ReadonlySet<string>): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of names) {
    const id = partition.get(name);
    if (id !== undefined) found.set(name, id);
  }
  return found;
}

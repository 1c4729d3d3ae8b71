/** For tests: a machine with iommufd and a process, and the question whether a call that fails changes anything. */

import { expect } from 'vitest';
import type { FaultInjector } from '../iommu/fault-injector.ts';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { Bench } from '../iommu/testing.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import { Iommufd, type IommufdInit } from './iommufd.ts';
import { FileTable } from './open-files.ts';
import { makeProcess, type Process, type ProcessInit } from './process.ts';
import { ProcessMemory } from './process-memory.ts';

export class IommufdBench {
  readonly bench = new Bench();
  readonly physical = new PhysicalMemory();
  readonly iommufd: Iommufd;
  /** Of `process`. */
  readonly memory = new ProcessMemory(this.physical, 'memory of the tester');
  readonly files = new FileTable();
  readonly process: Process;

  /** @param options.withSelftest with the mock IOMMU of `CONFIG_IOMMUFD_TEST` */
  constructor(
    options: Partial<Omit<IommufdInit, 'selftest'>> & { withSelftest?: boolean } = {},
    process: Partial<ProcessInit> = {},
  ) {
    const { withSelftest = false, ...rest } = options;
    this.iommufd = new Iommufd({
      iommu: this.bench.iommu,
      physical: this.physical,
      ...(withSelftest && { selftest: this.bench.core }),
      ...rest,
    });
    this.process = makeProcess({ name: 'tester', memory: this.memory, files: this.files, ...process });
  }

  get faults(): FaultInjector {
    return this.iommufd.faults;
  }

  open(): Context {
    return this.iommufd.open(this.process);
  }
}

/** One attempt, on a state made afresh. */
export interface Attempt {
  readonly faults: FaultInjector;
  /** The call in question. */
  act(): void;
  /** Everything that must be as it was after a failure; plain data. */
  picture(): unknown;
}

/**
 * Lets the first step of a call fail, then on a fresh state the second, and so on until the call has no more steps; a
 * call that fails must change nothing.
 *
 * @returns the steps that failed, in order
 */
export function everyStepFails(prepare: () => Attempt): string[] {
  const failed: string[] = [];
  for (let n = 1; ; n++) {
    const attempt = prepare();
    const before = attempt.picture();
    attempt.faults.failAt(n);
    let refusal: unknown;
    try {
      attempt.act();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      refusal = error;
    }
    const { fired } = attempt.faults;
    attempt.faults.disarm();
    if (fired === undefined) {
      expect(refusal).toBeUndefined();
      return failed;
    }
    failed.push(fired);
    expect(refusal, `step ${n}, ${fired}, failed and the call did not`).toBeDefined();
    expect(attempt.picture(), `after step ${n}, ${fired}, failed`).toEqual(before);
  }
}

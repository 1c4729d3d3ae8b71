/** Groups of generated machines formed in-process; each measurement in a process of its own. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from '../test/support/generate.ts';
import { duration, median, megabytes, table } from './stats.ts';

/** What `grouping-child` prints. */
export interface Measured {
  groups: number;
  /** Boot of the whole model: buses, devices, IOMMU, groups, drivers. */
  bootMs: number;
  /** Heap of the snapshot alone, and of the model on top of it, after garbage collection. */
  snapshotBytes: number;
  modelBytes: number;
  peakBytes: number;
  /** The generator knows its groups; false: the model formed others. */
  asExpected: boolean;
}

export function groupingBench(child: string, sizes: readonly number[], rounds: number): void {
  console.log(`Groups formed in-process by boot(snapshot), medians of ${rounds} fresh processes`);
  const rows: string[][] = [];
  let previous: { devices: number; ms: number } | undefined;
  for (const size of sizes) {
    const runs = measure(child, size, rounds);
    const of = (field: 'bootMs' | 'snapshotBytes' | 'modelBytes' | 'peakBytes') =>
      median(runs.map((run) => run[field]));
    const ms = of('bootMs');
    rows.push([
      `${size}${runs.every((run) => run.asExpected) ? '' : ' (other groups than expected!)'}`,
      `${runs[0]!.groups}`,
      duration(ms),
      `${((ms * 1000) / size).toFixed(1)} µs`,
      previous === undefined ? '' : exponent(previous, { devices: size, ms }),
      megabytes(of('modelBytes')),
      `${(of('modelBytes') / size).toFixed(0)} B`,
      megabytes(of('snapshotBytes')),
      megabytes(of('peakBytes')),
    ]);
    previous = { devices: size, ms };
  }
  const head = [
    'devices',
    'groups',
    'time',
    'a device',
    'growth',
    'model',
    'a device',
    'snapshot',
    'process at most',
  ];
  console.log(table(head, rows));
  console.log('  growth: the power of the size that the time grew with since the row above; 1.00 is linear.');
  console.log('  Small sizes run code that V8 has not compiled yet, so their time for a device is higher.\n');
}

function exponent(before: { devices: number; ms: number }, now: { devices: number; ms: number }): string {
  return (Math.log(now.ms / before.ms) / Math.log(now.devices / before.devices)).toFixed(2);
}

/** The machine is read from a file, so that making it counts nowhere. */
function measure(child: string, size: number, rounds: number): Measured[] {
  const dir = mkdtempSync(join(tmpdir(), 'ringfence-bench-'));
  const file = join(dir, 'snapshot.json');
  try {
    writeFileSync(file, JSON.stringify(generate(size).snapshot));
    return Array.from({ length: rounds }, () => {
      const { stdout, stderr, status } = spawnSync(process.execPath, ['--expose-gc', child, file], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`grouping ${size} devices failed: ${stderr}`);
      return JSON.parse(stdout) as Measured;
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

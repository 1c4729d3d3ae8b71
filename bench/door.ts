/** What a real program waits for its calls behind the kernel-shaped door, and how long the kernel's selftest takes. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { duration, table } from './stats.ts';

const NAMES: Readonly<Record<string, string>> = {
  option: 'IOMMU_OPTION (nothing but the way)',
  map: 'IOMMU_IOAS_MAP of a page',
  unmap: 'IOMMU_IOAS_UNMAP of it',
};

export interface DoorOptions {
  command: string;
  host: string;
  rounds: number;
  /** Also the kernel's selftest: it has to be fetched once. */
  selftest: boolean;
}

export function doorBench({ command, host, rounds, selftest }: DoorOptions): void {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-bench-'));
  try {
    const program = join(folder, 'door');
    const compiled = spawnSync('cc', ['-O2', '-o', program, resolve('bench/door.c')], { encoding: 'utf8' });
    if (compiled.status !== 0) {
      console.log('The door is not measured: no C compiler (cc).\n');
      return;
    }
    console.log(`A program in C behind \`ringfence run\`, ${rounds} calls each`);
    const inside = [command, 'run', '--host', host, program, String(rounds)];
    const { status, stdout, stderr } = spawnSync(process.execPath, inside, { encoding: 'utf8' });
    if (status !== 0) console.log(`  not measured: ${stderr.trim()}\n`);
    else printCalls(stdout);
    if (selftest) printSelftest();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function printCalls(output: string): void {
  const micro = (ns: number) => `${(ns / 1000).toFixed(1)} µs`;
  const medians = new Map<string, number>();
  const rows = output
    .trim()
    .split('\n')
    .map((line) => {
      const [name = '', middle, late] = line.split(' ');
      medians.set(name, Number(middle));
      return [NAMES[name] ?? name, micro(Number(middle)), micro(Number(late))];
    });
  console.log(table(['', 'median', 'p99'], rows));
  const pair = (medians.get('map') ?? Number.NaN) + (medians.get('unmap') ?? Number.NaN);
  console.log(`  ${Math.round(1e9 / pair)} pages mapped and unmapped a second\n`);
}

function printSelftest(): void {
  const started = performance.now();
  const { stdout } = spawnSync(process.execPath, [resolve('scripts/conformance.mjs')], { encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1);
  console.log(`The kernel's selftest: ${last}, in ${duration(performance.now() - started)}\n`);
}

/** One measurement: `node --expose-gc grouping-child.mjs SNAPSHOT`, run from the repository, prints `Measured`. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Snapshot } from '../src/host/snapshot.ts';
import type { Measured } from './grouping.ts';

interface Library {
  boot(snapshot: Snapshot): { groups(): { devices: string[] }[] };
}

// What users get: the build, not what stands beside this file.
const { boot } = (await import(pathToFileURL(resolve('dist/index.js')).href)) as Library;

const before = heap();
const snapshot = load(process.argv[2]!);
const withSnapshot = heap();
const start = performance.now();
const machine = boot(snapshot);
const bootMs = performance.now() - start;
const withModel = heap();
const peakBytes = process.resourceUsage().maxRSS * 1024;

const formed = machine.groups().map((group) => [...group.devices].sort().join(' '));
const expected = snapshot.groups!.map((group) => group.devices.join(' '));
const measured: Measured = {
  groups: formed.length,
  bootMs,
  snapshotBytes: withSnapshot - before,
  modelBytes: withModel - withSnapshot,
  peakBytes,
  asExpected: formed.join('\n') === expected.join('\n'),
};
console.log(JSON.stringify(measured));

/** A function of its own: its text must not live on in a frame of the measurement. */
function load(file: string): Snapshot {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function heap(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}

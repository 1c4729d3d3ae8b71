/** The map of areas beside what npm has and beside std::map in C++: the same areas, addresses and order for all. */

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Measured, Pattern } from './area-work.ts';
import { onPath } from './processes.ts';
import { median, ratio, table } from './stats.ts';

const OURS = 'ringfence';
const PEERS = ['js-sdsl OrderedMap', 'sorted-btree', '@flatten-js/interval-tree'];
const STD_MAP = 'C++ std::map, -O2';
const PATTERNS: readonly Pattern[] = ['random', 'sequential'];
const TIMED = ['map', 'lookup', 'unmap'] as const;
/** Of one run. The slowest contestant needs half a minute. */
const LIMIT = 600_000;

export interface AreasOptions {
  /** The measuring script, bundled. */
  child: string;
  sizes: readonly number[];
  rounds: number;
}

/** Medians by contestant. */
type Results = Map<string, Measured>;

export function areasBench({ child, sizes, rounds }: AreasOptions): void {
  console.log(`Areas by address, nanoseconds an operation, medians of ${rounds} fresh processes\n`);
  const commands = new Map<string, string[]>(
    [OURS, ...PEERS].map((name) => [name, [process.execPath, '--expose-gc', child, name]]),
  );
  const compiled = compile(dirname(child));
  if (compiled !== undefined) commands.set(STD_MAP, [compiled]);
  const growth = new Map<string, string[]>([...commands.keys()].map((name) => [name, []]));
  for (const pattern of PATTERNS) {
    const bySize = sizes.map((size) => measure(commands, size, pattern, rounds));
    sizes.forEach((size, n) => {
      print(size, pattern, bySize[n]!);
    });
    for (const [name, cells] of growth) {
      const small = bySize[0]!.get(name)!;
      const large = bySize.at(-1)!.get(name)!;
      cells.push(...TIMED.map((field) => ratio(large[field], small[field])));
    }
  }
  printGrowth(growth, sizes);
}

function measure(
  commands: ReadonlyMap<string, readonly string[]>,
  size: number,
  pattern: Pattern,
  rounds: number,
): Results {
  const runs = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of commands) {
      runs.set(name, [...(runs.get(name) ?? []), run(name, [...command, `${size}`, pattern])]);
    }
  }
  const results: Results = new Map([...runs].map(([name, all]) => [name, middle(all)]));
  const { checksum } = results.get(OURS)!;
  for (const [name, other] of results) {
    if (other.checksum !== checksum)
      throw new Error(`${name} did not find what ${OURS} found, ${pattern}, ${size}`);
  }
  return results;
}

function run(name: string, [program, ...words]: readonly string[]): Measured {
  const { stdout, stderr, status } = spawnSync(program!, words, { encoding: 'utf8', timeout: LIMIT });
  if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  return JSON.parse(stdout) as Measured;
}

function middle(runs: readonly Measured[]): Measured {
  const of = (field: 'map' | 'lookup' | 'unmap' | 'bytes') => median(runs.map((one) => one[field]));
  const places = runs.flatMap(({ place }) => (place === undefined ? [] : [place]));
  return {
    map: of('map'),
    lookup: of('lookup'),
    unmap: of('unmap'),
    bytes: of('bytes'),
    checksum: runs[0]!.checksum,
    ...(places.length > 0 && { place: median(places) }),
  };
}

function print(size: number, pattern: Pattern, results: Results): void {
  const ours = results.get(OURS)!;
  console.log(`${size} areas, ${pattern}`);
  const rows = [...results].map(([name, one]) => [
    name,
    ...TIMED.flatMap((field) => [one[field].toFixed(0), ratio(one[field], ours[field])]),
    `${one.bytes.toFixed(0)} B`,
  ]);
  console.log(table(['', 'map', '', 'look-up', '', 'unmap', '', 'an area'], rows));
  if (ours.place !== undefined && pattern === 'sequential') {
    console.log(
      `  Put by ringfence where there is room, up to ${size} side by side: ${ours.place.toFixed(0)} ns each.\n`,
    );
  }
}

function printGrowth(growth: ReadonlyMap<string, readonly string[]>, sizes: readonly number[]): void {
  const [small, large] = [sizes[0]!, sizes.at(-1)!];
  console.log(`Cost of one operation at ${large} areas, of that at ${small}`);
  const titles = PATTERNS.flatMap((pattern) => TIMED.map((field) => `${pattern} ${field}`));
  console.log(
    table(
      ['', ...titles],
      [...growth].map(([name, cells]) => [name, ...cells]),
    ),
  );
  console.log(
    `  log n grows ${ratio(Math.log(large), Math.log(small))}. The rest, in random order, is memory: a thousand areas lie in`,
  );
  console.log('  the nearest cache, a million do not fit into any.\n');
}

/** Says why not, where it cannot. */
function compile(folder: string): string | undefined {
  const compiler = ['c++', 'g++', 'clang++'].find(onPath);
  if (compiler === undefined) {
    console.log('No C++ compiler (c++, g++, clang++): std::map is left out.\n');
    return undefined;
  }
  mkdirSync(folder, { recursive: true });
  const out = join(folder, 'areas');
  const source = resolve('bench/areas.cpp');
  const { status, stderr } = spawnSync(compiler, ['-O2', '-o', out, source], { encoding: 'utf8' });
  if (status === 0) return out;
  console.log(`${compiler} does not compile areas.cpp, so std::map is left out: ${stderr.trim()}\n`);
  return undefined;
}

/** One measurement: `node --expose-gc areas-child.mjs CONTESTANT SIZE PATTERN` prints `Measured`. */

import { type Area, CONTESTANTS, type Contestant } from './area-contestants.ts';
import { type Measured, OPERATIONS, type Pattern, type Work, work } from './area-work.ts';

const WARM_SIZE = 20_000;

/** Work with the contestant's kind of keys. */
interface Keyed<K> {
  size: number;
  rounds: number;
  areas: Area<K>[];
  addresses: K[];
  unmapped: K[];
}

const [name, size, pattern] = process.argv.slice(2);
measure(CONTESTANTS[name!]! as () => Contestant<unknown>, Number(size), pattern as Pattern);

function measure<K>(make: () => Contestant<K>, size: number, pattern: Pattern): void {
  const { key } = make();
  warm(make, pattern);
  const task = keyed(size, pattern, OPERATIONS, key);
  const measured = run(make(), task);
  const bytes = memory(make, task);
  const place = placing(make, size);
  console.log(
    JSON.stringify({ ...measured, bytes, ...(place !== undefined && { place }) } satisfies Measured),
  );
}

function warm<K>(make: () => Contestant<K>, pattern: Pattern): void {
  const { key } = make();
  run(make(), keyed(WARM_SIZE, pattern, 3 * WARM_SIZE, key));
}

/** Bytes an area of a map filled once; small maps are many, so that the heap's own coming and going does not show. */
function memory<K>(make: () => Contestant<K>, { areas, size }: Keyed<K>): number {
  const maps = Array.from({ length: Math.ceil(200_000 / size) }, make);
  const before = used();
  for (const map of maps) mapAll(map, areas, 0, size);
  const bytes = used() - before;
  // Named once more, or they might have gone before they were measured.
  if (maps.some((map) => map.lookup(areas[0]!.start) === undefined)) throw new Error('a map is not filled');
  return bytes / (size * maps.length);
}

function keyed<K>(size: number, pattern: Pattern, operations: number, key: (address: number) => K): Keyed<K> {
  const task: Work = work(size, pattern, operations);
  const areas = task.starts.map((start, n) => ({
    id: n % task.size,
    start: key(start),
    last: key(task.lasts[n]!),
  }));
  return {
    size,
    rounds: task.rounds,
    areas,
    addresses: task.addresses.map(key),
    unmapped: task.unmapped.map(key),
  };
}

function run<K>(contestant: Contestant<K>, { size, rounds, areas, addresses, unmapped }: Keyed<K>): Times {
  const ms = { map: 0, lookup: 0, unmap: 0 };
  let checksum = 0;
  for (let first = 0; first < size * rounds; first += size) {
    const start = performance.now();
    checksum += mapAll(contestant, areas, first, first + size);
    const mapped = performance.now();
    checksum += lookupAll(contestant, addresses, first, first + size);
    const found = performance.now();
    checksum += unmapAll(contestant, unmapped, first, first + size);
    ms.unmap += performance.now() - found;
    ms.lookup += found - mapped;
    ms.map += mapped - start;
  }
  const each = (time: number) => (time * 1e6) / (size * rounds);
  return { map: each(ms.map), lookup: each(ms.lookup), unmap: each(ms.unmap), checksum: checksum % 2 ** 32 };
}

type Times = Pick<Measured, 'map' | 'lookup' | 'unmap' | 'checksum'>;

function mapAll<K>(contestant: Contestant<K>, areas: Area<K>[], first: number, end: number): number {
  let mapped = 0;
  for (let n = first; n < end; n++) if (contestant.map(areas[n]!)) mapped++;
  return mapped;
}

function lookupAll<K>(contestant: Contestant<K>, addresses: K[], first: number, end: number): number {
  let sum = 0;
  for (let n = first; n < end; n++) {
    const area = contestant.lookup(addresses[n]!);
    if (area !== undefined) sum += area.id + 1;
  }
  return sum;
}

function unmapAll<K>(contestant: Contestant<K>, starts: K[], first: number, end: number): number {
  let unmapped = 0;
  for (let n = first; n < end; n++) if (contestant.unmap(starts[n]!)) unmapped++;
  return unmapped;
}

/** Areas of four pages side by side, as a program maps that leaves the addresses to the kernel. */
function placing<K>(make: () => Contestant<K>, size: number): number | undefined {
  let ms = 0;
  const rounds = Math.ceil(OPERATIONS / size);
  for (let round = 0; round < rounds; round++) {
    const contestant = make();
    const bytes = contestant.key(0x4000);
    const area = { id: 0, start: bytes, last: bytes };
    if (contestant.place === undefined) return undefined;
    const start = performance.now();
    for (let n = 0; n < size; n++) contestant.place(bytes, area);
    ms += performance.now() - start;
  }
  return (ms * 1e6) / (rounds * size);
}

function used(): number {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: what the first lets go of, the second frees.
  gc?.();
  gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Page tables beside the least that could be done: as many words written to, or read from, one typed array. */

import { spawnSync } from 'node:child_process';
import { duration, ratio, table } from './stats.ts';

/** What `pagetable-child` prints; nanoseconds for each page or leaf unless the name says otherwise. */
export interface Measured {
  /** Of tables, for each page. */
  tableBytes: number;
  limit: { write: number; writeScattered: number; readInOrder: number; readAtRandom: number };
  /** Memory in one piece, in pieces of one page frame, and one call for each page. */
  populate: { once: number; scattered: number; single: number };
  unmap: number;
  walk: { inOrder: number; atRandom: number; translate: number };
  huge: { leaf: number; ns: number }[];
  /** One read of 64 GiB: nothing written, a page in each GiB, one in a thousand, all. */
  dirty: { pages: number; cleanMs: number; fewMs: number; someMs: number; allMs: number };
}

const FORMATS = [
  ['vtd', 'VT-d, 4 levels'],
  ['amd', 'AMD v1'],
  ['mock', 'mock, 2 KiB'],
] as const;

/** @param child the bundled `pagetable-child` */
export function pageTableBench(child: string, pages: number, rounds: number): void {
  const results = FORMATS.map(([key, title]) => ({ title, ...measure(child, key, pages, rounds) }));
  const ns = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} ns`;

  console.log(`Page tables of ${pages} smallest pages, time a page, medians of ${rounds}; × of the limit`);
  const beside = (value: number, limit: number) => `${ns(value)} ${ratio(value, limit)}`;
  console.log(
    table(
      [
        '',
        'limit: write',
        'map, one piece',
        'limit: from runs',
        'map, 1-frame runs',
        'map, 1 call a page',
        'unmap',
        'tables',
      ],
      results.map(({ title, limit, populate, unmap, tableBytes }) => [
        title,
        ns(limit.write),
        beside(populate.once, limit.write),
        ns(limit.writeScattered),
        beside(populate.scattered, limit.writeScattered),
        ns(populate.single),
        ns(unmap),
        `${tableBytes.toFixed(2)} B`,
      ]),
    ),
  );
  console.log(
    table(
      ['', 'limit: in order', 'walk', 'limit: random', 'walk', 'translate(bigint) in order'],
      results.map(({ title, limit, walk }) => [
        title,
        ns(limit.readInOrder),
        beside(walk.inOrder, limit.readInOrder),
        ns(limit.readAtRandom),
        beside(walk.atRandom, limit.readAtRandom),
        ns(walk.translate),
      ]),
    ),
  );
  console.log(
    table(
      ['512 GiB in large leaves', 'leaf', 'time a leaf'],
      results.flatMap(({ title, huge }) =>
        huge.map(({ leaf, ns: time }) => [title, `${leaf / 2 ** 20} MiB`, ns(time)]),
      ),
    ),
  );
  console.log(
    table(
      ['dirty bits of 64 GiB read and cleared', 'pages', 'none', 'one in a GiB', 'one in 1000', 'all'],
      results.map(({ title, dirty }) => [
        title,
        `${dirty.pages}`,
        duration(dirty.cleanMs),
        duration(dirty.fewMs),
        duration(dirty.someMs),
        duration(dirty.allMs),
      ]),
    ),
  );
}

function measure(child: string, format: string, pages: number, rounds: number): Measured {
  const { stdout, stderr, status } = spawnSync(process.execPath, [child, format, `${pages}`, `${rounds}`], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`page tables ${format} failed: ${stderr}`);
  return JSON.parse(stdout) as Measured;
}

/** iommufd as a whole, through its calls: memory, areas, page tables and devices together. */

import { spawnSync } from 'node:child_process';
import type { AreaCalls, CallTimes } from './iommufd-calls.ts';
import type { DirtyTimes, DmaSpeeds } from './iommufd-dma.ts';
import type { Moves } from './iommufd-tables.ts';
import { duration, ratio, table } from './stats.ts';

export interface IommufdOptions {
  /** The measuring script, bundled. */
  child: string;
  /** Mapped pages of attach and replace. */
  pages: number;
  /** Mappings there are at once. */
  sizes: readonly number[];
  rounds: number;
}

/** Bytes a device moves at once. */
const BLOCKS = [4096, 1 << 20];
const DIRTY_GIB = 64;

export function iommufdBench(options: IommufdOptions): void {
  const { pages, sizes, rounds } = options;
  printMoves(pages, rounds, part<Moves[]>(options, 'tables', pages));
  printDirty(part<DirtyTimes[]>(options, 'dirty', DIRTY_GIB));
  printCalls(
    sizes,
    sizes.map((size) => part<AreaCalls>(options, 'calls', size)),
  );
  printDma(BLOCKS.map((block) => part<DmaSpeeds>(options, 'dma', block)));
}

function printMoves(pages: number, rounds: number, moves: readonly Moves[]): void {
  console.log(`A device with ${pages} mapped pages (VT-d, iommufd's calls), medians of ${rounds}`);
  const cells = (ms: number) => [duration(ms), `${((ms * 1e6) / pages).toFixed(1)} ns`];
  console.log(
    table(
      ['', 'attach', 'a page', 'replace: IOAS', 'a page', 'replace: HWPT', 'detach', 'a page', 'tables'],
      moves.map(({ memory, attach, replaceIoas, replaceHwpt, detach, tables }) => [
        memory,
        ...cells(attach),
        ...cells(replaceIoas),
        `${(replaceHwpt * 1000).toFixed(0)} µs`,
        ...cells(detach),
        `${tables}`,
      ]),
    ),
  );
  console.log(
    '  attach pins and fills; replace by an IOAS fills a new table and empties the old one, pins stay;',
  );
  console.log('  replace by an HWPT that is there only switches.\n');
}

function printDirty(results: readonly DirtyTimes[]): void {
  console.log(
    table(
      [`HWPT_GET_DIRTY_BITMAP of ${DIRTY_GIB} GiB, cleared`, 'none', 'one in a GiB', 'one in 1000', 'all'],
      results.map(({ leaf, none, few, some, all }) => [
        `leaves of ${leaf}`,
        ...[none, few, some, all].map(duration),
      ]),
    ),
  );
}

const TITLES: readonly (readonly [keyof CallTimes, string])[] = [
  ['map', 'IOAS_MAP'],
  ['copy', 'IOAS_COPY'],
  ['unmap', 'IOAS_UNMAP'],
  ['place', 'MAP, placed'],
];

function printCalls(sizes: readonly number[], results: readonly AreaCalls[]): void {
  for (const [state, words] of [
    ['lazy', 'in no page table'],
    ['attached', 'a device attached: pinned, in its page table'],
  ] as const) {
    console.log(`Mappings of one page in random order, ${words}`);
    const rows = sizes.map((size, n) => {
      const times = results[n]![state];
      const cells = TITLES.map(([call]) => `${times[call].toFixed(0)} ns`);
      return [`${size}`, ...cells, `${times.bytes.toFixed(0)} B`, `${times.tableBytes.toFixed(0)} B`];
    });
    const [first, last] = [results[0]![state], results.at(-1)![state]];
    if (sizes.length > 1)
      rows.push(['growth', ...TITLES.map(([call]) => ratio(last[call], first[call])), '', '']);
    console.log(table(['mappings', ...TITLES.map(([, title]) => title), 'a mapping', 'tables'], rows));
  }
}

function printDma(results: readonly DmaSpeeds[]): void {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB/s`;
  console.log(
    table(
      ['DMA through a page table, 64 MiB', 'block', 'read', 'write', 'limit: copy'],
      results.flatMap(({ block, limit, speeds }) =>
        speeds.map(({ memory, read, write }) => [
          memory,
          `${block / 1024} KiB`,
          gigabytes(read),
          gigabytes(write),
          gigabytes(limit),
        ]),
      ),
    ),
  );
}

function part<T>({ child, rounds }: IommufdOptions, name: string, argument: number): T {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', child, name, `${argument}`, `${rounds}`],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`iommufd ${name} ${argument} failed: ${stderr}`);
  return JSON.parse(stdout) as T;
}

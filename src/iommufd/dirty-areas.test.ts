import { describe, expect, it } from 'vitest';
import { type DirtyOps, Domain, DomainType } from '../iommu/domain.ts';
import { IntervalTable } from '../iommu/pagetable/interval-table.ts';
import { KernelError } from '../kernel/errors.ts';
import { codeOf, IoasBench, PAGE, plainDomain } from './calls/testing.ts';
import { ULONG_MAX } from './limits.ts';

const dirtyOps: DirtyOps = {
  setDirtyTracking: ({ pageTable }, enable) => tableOf(pageTable).setDirtyTracking(enable),
  readAndClearDirty: ({ pageTable }, start, last, clear, report) =>
    tableOf(pageTable).readAndClearDirty(start, last, clear, report ?? (() => {})),
};

function tableOf(table: Domain['pageTable']): IntervalTable {
  if (!(table instanceof IntervalTable)) throw new Error('a domain of these tests');
  return table;
}

function tracked(ops: DirtyOps = dirtyOps) {
  const bench = new IoasBench();
  const pageTable = new IntervalTable();
  const pageSizes = pageTable.pageSizes;
  const domain = new Domain({
    type: DomainType.Unmanaged,
    ops: {},
    name: 'tracked',
    pageTable,
    pageSizes,
    dirtyOps: ops,
  });
  const { iovas } = bench.ioas;
  iovas.addDomain(domain);
  bench.map(4n * PAGE, { iova: 0n });
  bench.map(4n * PAGE, { iova: 4n * PAGE });
  bench.map(4n * PAGE, { iova: 16n * PAGE });
  const read = (iova: bigint, length: bigint, options: { noClear?: boolean; pageSize?: bigint } = {}) => {
    const pages: bigint[] = [];
    const { noClear = false, pageSize = PAGE } = options;
    const code = codeOf(() =>
      iovas.readAndClearDirty(
        domain,
        { iova, length, pageSize, noClear },
        {
          set: (start, size) => {
            for (let at = start; at < start + size; at += PAGE) pages.push(at / PAGE);
          },
        },
      ),
    );
    return code ?? pages;
  };
  const write = (...pages: bigint[]) => {
    for (const page of pages) pageTable.access(page * PAGE, true);
  };
  return { bench, iovas, domain, read, write };
}

describe('dirty tracking', () => {
  it('begins clean, reports what was written across mappings, and forgets it unless told', () => {
    const { iovas, domain, read, write } = tracked();
    iovas.setDirtyTracking(domain, true);
    write(1n, 3n, 4n, 17n);
    expect(read(0n, 8n * PAGE, { noClear: true })).toEqual([1n, 3n, 4n]);
    expect(read(0n, 4n * PAGE)).toEqual([1n, 3n]);
    expect(read(0n, 8n * PAGE)).toEqual([4n]);
    iovas.setDirtyTracking(domain, true);
    expect(read(16n * PAGE, 4n * PAGE)).toEqual([]);
  });

  it('ends without an error at the first gap between mappings, as the kernel does', () => {
    const { iovas, domain, read, write } = tracked();
    iovas.setDirtyTracking(domain, true);
    write(2n, 17n);
    expect(read(0n, 20n * PAGE)).toEqual([2n]);
    expect(read(8n * PAGE, 12n * PAGE)).toEqual([]);
    expect(read(16n * PAGE, 4n * PAGE)).toEqual([17n]);
  });

  it('drops refusals of the driver while reading', () => {
    const refusing: DirtyOps = {
      ...dirtyOps,
      readAndClearDirty: (domain, start, last, clear, report) => {
        if (report !== undefined) throw new KernelError('EINVAL', domain.label, 'does not track');
        dirtyOps.readAndClearDirty(domain, start, last, clear);
      },
    };
    expect(tracked(refusing).read(0n, PAGE)).toEqual([]);
  });

  it.each<[string, bigint, bigint, bigint, string]>([
    ['no length', 1n, 0n, PAGE, 'EINVAL'],
    ['an end past 2^64', ULONG_MAX, 2n, 0n, 'EOVERFLOW'],
    ['a start that is not aligned', 1n, PAGE, PAGE, 'EINVAL'],
    ['an end that is not aligned', 0n, PAGE - 1n, PAGE, 'EINVAL'],
    ['no page size', 0n, PAGE, 0n, 'EINVAL'],
    ['an end off the page size', 0n, PAGE, 2n * PAGE, 'EINVAL'],
    ['a start off the page size', PAGE, PAGE, 2n * PAGE, 'EINVAL'],
  ])('is refused %s', (_, iova, length, pageSize, expected) => {
    expect(tracked().read(iova, length, { pageSize })).toBe(expected);
  });

  it('may reach up to 2^64-1', () => {
    expect(tracked().read(ULONG_MAX - PAGE + 1n, PAGE)).toEqual([]);
  });

  it('is refused where the domain was not made for it: EOPNOTSUPP, after the range was looked at', () => {
    const { iovas } = tracked();
    const plain = plainDomain();
    const marks = { set() {} };
    const request = { iova: 0n, length: PAGE, pageSize: PAGE, noClear: false };
    expect(codeOf(() => iovas.setDirtyTracking(plain, false))).toBe('EOPNOTSUPP');
    expect(codeOf(() => iovas.readAndClearDirty(plain, request, marks))).toBe('EOPNOTSUPP');
    expect(codeOf(() => iovas.readAndClearDirty(plain, { ...request, length: 0n }, marks))).toBe('EINVAL');
  });
});

/** Files mapped (6.13) and handed over to another process (6.14): section 7 of facts/iommufd.md. */

import { describe, expect, it } from 'vitest';
import { MemoryFile } from '../memory-file.ts';
import { makeProcess } from '../process.ts';
import { everyStepFails } from '../testing.ts';
import { ioasChangeProcess } from './ioas-change-process.ts';
import { ioasMapFile } from './ioas-map-file.ts';
import { codeOf, FixedIova, IoasBench, PAGE, plainDomain, READ_WRITE } from './testing.ts';

const MAX = 0xffff_ffff_ffff_ffffn;

function withFile(capabilities: ('CAP_IPC_LOCK' | 'CAP_SYS_RESOURCE')[] = []) {
  const bench = new IoasBench({}, { capabilities, memlockLimit: 64n * PAGE });
  const file = new MemoryFile(bench.physical, { size: 16 * 4096, name: 'memfd:guest' });
  const fd = bench.files.install(file);
  const mapFile = (overrides: object = {}) => {
    const request = {
      flags: READ_WRITE | FixedIova,
      ioasId: bench.ioas.id,
      fd,
      start: 0n,
      length: 4n * PAGE,
      iova: 0x10_0000n,
      ...overrides,
    };
    return codeOf(() => ioasMapFile(bench.context, request)) ?? request.iova;
  };
  return { bench, file, fd, mapFile };
}

describe('MAP_FILE', () => {
  it.each<[string, object, string]>([
    ['an unknown flag', { flags: 8, iova: MAX }, 'EOPNOTSUPP'],
    ['an address of 2^64-1', { flags: 0, iova: MAX }, 'EOVERFLOW'],
    ['a length of 2^64-1', { flags: 0, length: MAX }, 'EOVERFLOW'],
    ['neither read nor write', { flags: FixedIova, ioasId: 99 }, 'EINVAL'],
    ['no such IOAS', { ioasId: 99, fd: 99 }, 'ENOENT'],
    ['no such descriptor', { fd: 99, length: 0n }, 'EBADF'],
    ['an end past 2^64 before an overlong length', { start: 1n << 63n, length: MAX - 1n }, 'EOVERFLOW'],
    ['no length', { length: 0n }, 'EINVAL'],
  ])('checks %s in this order', (_, overrides, expected) => {
    expect(withFile().mapFile(overrides)).toBe(expected);
  });

  it('maps the pages of the file, with the offset in its page kept', () => {
    const { bench, file, mapFile } = withFile();
    const domain = plainDomain('half', 2048n);
    bench.ioas.iovas.addDomain(domain);
    file.write(5 * 4096 + 2048, new Uint8Array([1, 2, 3]));
    const iova = mapFile({ flags: READ_WRITE, start: 5n * PAGE + 2048n, length: PAGE });
    expect((iova as bigint) % PAGE).toBe(2048n);
    const bytes = new Uint8Array(3);
    bench.physical.read(domain.iovaToPhys(iova as bigint)!, bytes);
    expect([...bytes]).toEqual([1, 2, 3]);
    expect(bench.physical.pinned).toBe(2);
  });

  it('looks at the file only when a page table comes: past its end, or of another kind, is EINVAL then', () => {
    const { bench, mapFile } = withFile();
    const other = bench.files.install({ name: '/etc/passwd', close() {} });
    expect(mapFile({ fd: other })).toBe(0x10_0000n);
    expect(codeOf(() => bench.ioas.iovas.addDomain(plainDomain()))).toBe('EINVAL');
    bench.unmap(0x10_0000n, 4n * PAGE);
    expect(mapFile({ start: 14n * PAGE })).toBe(0x10_0000n);
    expect(codeOf(() => bench.ioas.iovas.addDomain(plainDomain()))).toBe('EINVAL');
    bench.unmap(0x10_0000n, 4n * PAGE);
    bench.ioas.iovas.addDomain(plainDomain());
    expect(mapFile({ fd: other })).toBe('EINVAL');
    expect(bench.ioas.iovas.areas.size).toBe(0);
  });
});

describe('CHANGE_PROCESS', () => {
  function handedOver(memlockLimit = 64n * PAGE) {
    const { bench, mapFile, ...rest } = withFile();
    bench.ioas.iovas.addDomain(plainDomain());
    mapFile();
    const other = bench.alloc();
    other.iovas.addDomain(plainDomain());
    bench.copy(0x10_0000n, 2n * PAGE, { to: 0n, destination: other });
    mapFile({ ioasId: other.id, start: 8n * PAGE });
    const successor = makeProcess({
      name: 'successor',
      memory: bench.memory,
      capabilities: [],
      memlockLimit,
    });
    bench.context.process = successor;
    const change = (reserved = 0) => codeOf(() => ioasChangeProcess(bench.context, { reserved }));
    return { bench, mapFile, successor, change, ...rest };
  }

  it('moves what is pinned for all address spaces to the new process, shared pages once', () => {
    const { bench, successor, change } = handedOver();
    expect([bench.process.user.lockedPages, bench.process.pinnedPages]).toEqual([8, 8]);
    expect(change()).toBeUndefined();
    expect([bench.process.user.lockedPages, bench.process.pinnedPages]).toEqual([0, 0]);
    expect([successor.user.lockedPages, successor.pinnedPages]).toEqual([8, 8]);
    expect(change()).toBeUndefined();
    bench.context.objects.peek(2);
    bench.unmap(0x10_0000n, 4n * PAGE);
    expect(successor.user.lockedPages).toBe(6);
  });

  it('is refused reserved fields, memory of a process, and a process that may not lock that much', () => {
    expect(handedOver().change(1)).toBe('EOPNOTSUPP');
    const poor = handedOver(7n * PAGE);
    expect(poor.change()).toBe('ENOMEM');
    expect([poor.bench.process.user.lockedPages, poor.successor.user.lockedPages]).toEqual([8, 0]);
    const mixed = handedOver();
    mixed.bench.map(PAGE);
    expect(mixed.change()).toBe('EINVAL');
    expect(mixed.bench.process.user.lockedPages).toBe(8);
  });

  it('changes nothing when a step fails', () => {
    const failed = everyStepFails(() => {
      const { bench, successor } = handedOver();
      return {
        faults: bench.faults,
        act: () => ioasChangeProcess(bench.context, { reserved: 0 }),
        picture: () => [bench.picture(), successor.user.lockedPages, successor.pinnedPages],
      };
    });
    expect(failed).toContain('list of address spaces');
  });
});

/** iommufd.md 4 and 7: what the VT-d and AMD drivers offer user processes. */

import { describe, expect, test } from 'vitest';
import type { KernelError } from '../../kernel/errors.ts';
import { type Domain, DomainType, Prot } from '../domain.ts';
import { domainAllocUser } from '../domain-alloc.ts';
import type { IommuDriver, UserDomainFlags } from '../driver.ts';
import { dmarTable, drhd, hex, scope } from '../firmware/testing.ts';
import { card } from '../grouping/testing.ts';
import { PhysicalMemory } from '../physical-memory.ts';
import { answerOf } from '../testing.ts';
import type { UserData, UserDataArray } from '../user-data.ts';
import { detect } from './testing.ts';
import { Cap, Ecap } from './vtd-registers.ts';

/** 4 levels, 48 bits, 2 MiB and 1 GiB leaves. */
const CAP = (0b100n << 8n) | (47n << 16n) | (3n << 34n);
const ALL =
  Ecap.ScalableMode | Ecap.Nesting | Ecap.SnoopControl | Ecap.SecondLevelDirty | Ecap.PageWalkCoherency;
const PAGE = 4096n;

function stage(ecap: bigint, cap = CAP, commandLine = 'intel_iommu=on') {
  const { machine, instances } = detect([card('3.0', { name: 'nic' })], {
    acpi: { DMAR: hex(dmarTable(drhd(0xfed90000n, 1))) },
    iommus: [{ name: 'dmar0', registers: { cap: cap.toString(16), ecap: ecap.toString(16) } }],
    commandLine,
  });
  const driver = instances[0]!.driver as IommuDriver;
  const nic = machine.get('nic');
  const alloc = (flags: UserDomainFlags = {}, parent?: Domain, data?: UserData) =>
    domainAllocUser(driver, nic, flags, parent, data);
  return { driver, nic, alloc };
}

/** Memory of a guest at 0 that is at another place of the machine's, and a parent that says so. */
function guest(parent: Domain, pages = 16) {
  const physical = new PhysicalMemory();
  const bytes = new Uint8Array(pages * 4096);
  const frames = physical.reserve(pages, {
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    write: (offset, from) => bytes.set(from, offset),
  });
  const base = BigInt(frames.first) * PAGE;
  parent.map(0n, base, BigInt(pages) * PAGE, Prot.Read | Prot.Write);
  const view = new DataView(bytes.buffer);
  const entry = (table: number, index: number, value: bigint) =>
    view.setBigUint64(table * 4096 + index * 8, value, true);
  return { physical, base, entry, read: (at: number) => view.getBigUint64(at, true) };
}

function stage1(root: bigint, width = 48, flags = 0n): UserData {
  const data = new DataView(new ArrayBuffer(24));
  data.setBigUint64(0, flags, true);
  data.setBigUint64(8, root, true);
  data.setUint32(16, width, true);
  return userData(1, new Uint8Array(data.buffer));
}

const userData = (type: number, bytes: Uint8Array): UserData => ({
  type,
  length: bytes.length,
  copy: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
});

const P = 1n;
const W = 2n;
const U = 4n;
const LARGE = 0x80n;
const A = 0x20n;
const D = 0x40n;

describe('VT-d', () => {
  test('hardware information is the registers and the erratum', () => {
    const { driver, nic } = stage(ALL);
    const { type, data } = driver.hwInfo!(nic);
    const view = new DataView(data.buffer);
    expect([type, data.length, view.getUint32(0, true)]).toEqual([1, 24, 1]);
    expect([view.getBigUint64(8, true), view.getBigUint64(16, true)]).toEqual([CAP, ALL]);
  });

  test('dirty tracking takes scalable mode, accessed/dirty bits and a coherent walk; off with sm_off', () => {
    expect(stage(ALL).driver.capable!(stage(ALL).nic, 'dirty-tracking')).toBe(true);
    for (const bit of [Ecap.ScalableMode, Ecap.SecondLevelDirty, Ecap.PageWalkCoherency]) {
      const { driver, nic, alloc } = stage(ALL & ~bit);
      expect(driver.capable!(nic, 'dirty-tracking')).toBe(false);
      expect(answerOf(() => alloc({ dirtyTracking: true }))).toBe('EOPNOTSUPP');
    }
    const off = stage(ALL, CAP, 'intel_iommu=on,sm_off');
    expect(off.driver.capable!(off.nic, 'dirty-tracking')).toBe(false);
    expect(answerOf(() => off.alloc({ nestParent: true }))).toBe('EOPNOTSUPP');
  });

  test('a user’s domain is UNMANAGED and the driver’s, with a real table', () => {
    const { driver, alloc } = stage(0n);
    const domain = alloc();
    expect(domain).toMatchObject({ type: DomainType.Unmanaged, owner: driver, dirtyOps: undefined });
    expect(domain.aperture.last).toBe(2n ** 48n - 1n);
    expect(domain.pageTable?.format).toMatch(/VT-d second level/);
  });

  test('dirty bits are read where the hardware leaves them, and only while tracking', () => {
    const { alloc } = stage(ALL);
    const domain = alloc({ dirtyTracking: true });
    domain.map(0n, 0x10_0000n, 4n * PAGE, Prot.Read | Prot.Write);
    const { setDirtyTracking, readAndClearDirty } = domain.dirtyOps!;
    const dirty = () => {
      const seen: bigint[] = [];
      readAndClearDirty(domain, 0n, 4n * PAGE - 1n, true, (iova) => seen.push(iova));
      return seen;
    };
    expect(answerOf(dirty)).toBe('EINVAL');
    setDirtyTracking(domain, true);
    domain.pageTable!.access(PAGE, true);
    expect(dirty()).toEqual([PAGE]);
    expect(dirty()).toEqual([]);
  });

  test('coherency is enforced as long as nothing is mapped, and then only units with snoop control fit', () => {
    const { driver, nic, alloc } = stage(ALL);
    const empty = alloc();
    expect(empty.ops.enforceCacheCoherency?.(empty)).toBe(true);
    const mapped = alloc();
    mapped.map(0n, 0n, PAGE, Prot.Read);
    expect(mapped.ops.enforceCacheCoherency?.(mapped)).toBe(false);
    expect(driver.capable!(nic, 'enforce-cache-coherency')).toBe(true);
    const without = stage(0n);
    expect(answerOf(() => without.alloc().ops.attachDev!(empty, without.nic))).toBe('EINVAL');
  });

  test('page requests take ATS, PRI and a unit that takes them', () => {
    const { driver, nic } = stage(ALL | Ecap.PageRequests);
    expect(answerOf(() => driver.enableFeature!(nic, 'iopf'))).toBe('ENODEV');
  });
});

describe('VT-d, nested', () => {
  test('refusals: no nesting, flags, data of another kind or length, a parent that is none', () => {
    const { alloc } = stage(ALL);
    const parent = alloc({ nestParent: true });
    expect(answerOf(() => stage(Ecap.ScalableMode).alloc({ nestParent: true }))).toBe('EOPNOTSUPP');
    expect(answerOf(() => alloc({ dirtyTracking: true }, parent, stage1(0n)))).toBe('EOPNOTSUPP');
    expect(answerOf(() => alloc({}, parent, userData(2, new Uint8Array(24))))).toBe('EOPNOTSUPP');
    expect(answerOf(() => alloc({}, parent, userData(1, new Uint8Array(16))))).toBe('EINVAL');
    expect(answerOf(() => alloc({}, alloc(), stage1(0n)))).toBe('EINVAL');
    expect(answerOf(() => alloc({}, undefined, stage1(0n)))).toBe('EOPNOTSUPP');
  });

  test('what the unit lacks shows when it is attached', () => {
    const { nic, alloc } = stage(ALL);
    const parent = alloc({ nestParent: true });
    const attach = (data: UserData) => {
      const nested = alloc({}, parent, data);
      return answerOf(() => nested.ops.attachDev!(nested, nic));
    };
    expect(attach(stage1(0n))).toBe('ok');
    expect(attach(stage1(0n, 47))).toBe('EINVAL');
    expect(attach(stage1(0n, 57))).toBe('EINVAL');
    expect(attach(stage1(0n, 48, 1n))).toBe('EINVAL');
    expect(attach(stage1(0n, 48, 2n))).toBe('EINVAL');
    const wide = stage(ALL | Ecap.SupervisorRequests | Ecap.ExtendedAccessFlag, CAP | Cap.FirstLevel5);
    const nested = wide.alloc({}, wide.alloc({ nestParent: true }), stage1(0n, 57, 7n));
    expect(answerOf(() => nested.ops.attachDev!(nested, wide.nic))).toBe('ok');
  });

  test('a unit with fewer levels than the parent has: ENODEV, and before the guest’s table is looked at', () => {
    const levels = (agaw: number) => ((1n << BigInt(8 + agaw)) | (47n << 16n) | (3n << 34n)).toString(16);
    const ecap = ALL.toString(16);
    const { machine, instances } = detect([card('3.0', { name: 'wide' }), card('4.0', { name: 'narrow' })], {
      acpi: {
        DMAR: hex(dmarTable(drhd(0xfed90000n, 0, scope(1, 0, [3, 0])), drhd(0xfed91000n, 1))),
      },
      iommus: [
        { name: 'dmar0', registers: { cap: levels(3), ecap } },
        { name: 'dmar1', registers: { cap: levels(2), ecap } },
      ],
      commandLine: 'intel_iommu=on',
    });
    const driver = instances[0]!.driver as IommuDriver;
    const [wide, narrow] = [machine.get('wide'), machine.get('narrow')];
    const nested = (parent: typeof wide, width = 48) =>
      domainAllocUser(
        driver,
        narrow,
        {},
        domainAllocUser(driver, parent, { nestParent: true }),
        stage1(0n, width),
      );
    const attach = (domain: Domain, device: typeof wide) =>
      answerOf(() => domain.ops.attachDev!(domain, device));
    expect(attach(nested(wide), narrow)).toBe('ENODEV');
    expect(attach(nested(wide, 47), narrow)).toBe('ENODEV');
    expect(attach(nested(narrow), narrow)).toBe('ok');
    expect(attach(nested(narrow), wide)).toBe('ok');
  });

  test('parents take no read-only mappings', () => {
    const parent = stage(ALL).alloc({ nestParent: true });
    expect(answerOf(() => parent.map(0n, 0n, PAGE, Prot.Read))).toBe('EINVAL');
  });

  test('an access walks the guest’s table through the parent, and marks what it used', () => {
    const { alloc } = stage(ALL);
    const own = alloc({ nestParent: true, dirtyTracking: true });
    const { physical, base, entry, read } = guest(own);
    // Tables in pages 1 to 4; page 9 and, as part of a 2 MiB leaf, everything below 2 MiB.
    entry(1, 0, 0x2000n | P | W | U);
    entry(2, 0, 0x3000n | P | W | U);
    entry(3, 0, 0x4000n | P | W | U);
    entry(3, 1, 0n | P | W | U | LARGE);
    entry(4, 5, 0x9000n | P | W | U);
    entry(4, 6, 0xa000n | P | U);
    entry(4, 7, 0xb000n | P | W);
    entry(4, 8, 0x7fff_f000n | P | W | U);
    const nested = alloc({}, own, stage1(0x1000n));
    const access = (iova: bigint, write: boolean) => nested.ops.translateDma!(nested, iova, write, physical);

    own.dirtyOps!.setDirtyTracking(own, true);
    expect(access(0x5123n, false)).toEqual({ paddr: base + 0x9123n, last: 0x5fffn });
    expect(read(4 * 4096 + 40)).toBe(0x9000n | P | W | U | A);
    expect(access(0x5000n, true)).toMatchObject({ paddr: base + 0x9000n });
    expect(read(4 * 4096 + 40)).toBe(0x9000n | P | W | U | A | D);
    expect(access(0x20_3456n, true)).toEqual({ paddr: base + 0x3456n, last: 0x20_3fffn });

    expect(access(0x6000n, true)).toBe('not-writable');
    expect(access(0x7000n, false)).toBe('not-readable');
    expect(access(0x8000n, false)).toBe('not-mapped');
    expect(access(0x4000n, false)).toBe('not-mapped');
    expect(access(1n << 47n, false)).toBe('not-mapped');

    const dirty: bigint[] = [];
    own.dirtyOps!.readAndClearDirty(own, 0n, 16n * PAGE - 1n, true, (iova, size) => {
      for (let at = iova; at < iova + size; at += PAGE) dirty.push(at / PAGE);
    });
    // The tables were marked, and pages 3 and 9 written to.
    expect(dirty).toEqual([1n, 2n, 3n, 4n, 9n]);
  });

  test('invalidation: whole pages, known flags; the entry that is wrong ends it', () => {
    const { alloc } = stage(ALL);
    const nested = alloc({}, alloc({ nestParent: true }), stage1(0n));
    const call = (type: number, ...entries: [bigint, bigint, number, number][]) => {
      const array: UserDataArray = {
        type,
        entryLength: 24,
        entries: entries.length,
        processed: 0,
        entry: (index) => {
          const [address, pages, flags, reserved] = entries[index]!;
          const data = new DataView(new ArrayBuffer(24));
          data.setBigUint64(0, address, true);
          data.setBigUint64(8, pages, true);
          data.setUint32(16, flags, true);
          data.setUint32(20, reserved, true);
          return userData(type, new Uint8Array(data.buffer));
        },
      };
      try {
        nested.ops.cacheInvalidateUser!(nested, array);
        return ['ok', array.processed];
      } catch (error) {
        return [(error as KernelError).code, array.processed];
      }
    };
    const all: [bigint, bigint, number, number] = [0n, 2n ** 64n - 1n, 0, 0];
    expect(call(0, all, [PAGE, 3n, 1, 0])).toEqual(['ok', 2]);
    expect(call(1, all)).toEqual(['EINVAL', 0]);
    expect(call(0, all, [1n, 1n, 0, 0])).toEqual(['EINVAL', 1]);
    expect(call(0, [PAGE, 2n ** 64n - 1n, 0, 0])).toEqual(['EINVAL', 0]);
    expect(call(0, [0n, 1n, 2, 0])).toEqual(['EOPNOTSUPP', 0]);
    expect(call(0, [0n, 1n, 0, 1])).toEqual(['EOPNOTSUPP', 0]);
  });
});

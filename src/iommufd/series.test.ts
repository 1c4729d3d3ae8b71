/** isolation.md 5: what the replace and page-table allocation series of early 2023 set out to do, point by point. */

import { describe, expect, test } from 'vitest';
import { type Domain, DomainType } from '../iommu/domain.ts';
import { RegionType } from '../iommu/reserved-region.ts';
import { answerOf } from '../iommu/testing.ts';
import { hwptAlloc } from './calls/hwpt-alloc.ts';
import { DeviceBench, hwptRequest } from './device-testing.ts';

const PAIR = ['Ga', 'Gb'];
const TWO_PAIRS = ['Ga', 'Gb', 'Ha', 'Hb'];
const RESERVED_A = { start: 0x10_0000n, last: 0x10_ffffn, type: RegionType.Reserved };
const RESERVED_B = { start: 0x20_0000n, last: 0x20_ffffn, type: RegionType.Reserved };
const RELAXABLE = { start: 0x30_0000n, last: 0x30_ffffn, type: RegionType.DirectRelaxable };
const SOFTWARE_MSI = { start: 0x800_0000n, last: 0x80f_ffffn, type: RegionType.SoftwareMsi };

describe('binding', () => {
  test('series: MSI isolation enforced at bind', () => {
    const bench = new DeviceBench(PAIR, { isolatedMsi: () => false });
    const before = bench.picture();
    expect(answerOf(() => bench.bind('Ga'))).toBe('EPERM');
    expect(bench.picture()).toEqual(before);
  });

  test('series: MSI isolation enforced at bind, for every member of the group', () => {
    const bench = new DeviceBench(PAIR, { isolatedMsi: (device) => device.name === 'Ga' });
    expect(answerOf(() => bench.bind('Ga'))).toBe('EPERM');
  });

  test('series: MSI isolation enforced at bind, unless allow_unsafe_interrupts, and then with a warning', () => {
    const bench = new DeviceBench(PAIR, {
      isolatedMsi: () => false,
      iommufd: { allowUnsafeInterrupts: true },
    });
    const device = bench.bind('Ga');
    expect(bench.base.bench.iommu.messages.warnings.at(-1)).toMatchObject({ object: 'Ga', level: 'warn' });
    device.unbind();
    bench.end();
  });

  test('series: iommufd group object, one per IOMMU group and context', () => {
    const bench = new DeviceBench(TWO_PAIRS);
    const [ga, gb, ha] = ['Ga', 'Gb', 'Ha'].map((name) => bench.bind(name));
    expect(ga!.group).toBe(gb!.group);
    expect(ha!.group).not.toBe(ga!.group);
    expect([...bench.context.groups.keys()]).toEqual([bench.group('Ga'), bench.group('Ha')]);

    ga!.unbind();
    expect(bench.context.groups.has(bench.group('Gb'))).toBe(true);
    gb!.unbind();
    expect(bench.context.groups.has(bench.group('Gb'))).toBe(false);
    ha!.unbind();
    bench.end();
  });

  test('the context is the cookie of the claim: another context gets EPERM, the same binds all members', () => {
    const bench = new DeviceBench(PAIR);
    const other = bench.base.open();
    const ga = bench.bind('Ga');
    expect(bench.group('Ga').dmaOwner).toBe(bench.context);
    expect(answerOf(() => bench.bind('Gb', other))).toBe('EPERM');
    bench.bind('Gb').unbind();
    ga.unbind();
    bench.bind('Gb', other).unbind();
    other.close();
    bench.end();
  });

  test('a bound device is blocked until it is attached, and its DMA is the kernel’s again when unbound', () => {
    const bench = new DeviceBench(PAIR);
    const group = bench.group('Ga');
    const ga = bench.bind('Ga');
    expect(group.domain?.type).toBe(DomainType.Blocked);
    ga.unbind();
    expect(group.domain).toBe(group.defaultDomain);
    bench.end();
  });

  test('devices whose DMA is not coherent cannot be bound, nor those no IOMMU translates', () => {
    expect(answerOf(() => new DeviceBench(['Ga'], { capabilities: [] }).bind('Ga'))).toBe('EINVAL');
    const bench = new DeviceBench(['Ga'], { covers: () => false });
    expect(answerOf(() => bench.bind('Ga'))).toBe('EINVAL');
  });

  test('an attached device cannot be unbound', () => {
    const bench = new DeviceBench(PAIR);
    const ga = bench.bind('Ga');
    ga.attach(bench.ioas().id);
    expect(answerOf(() => ga.unbind())).toBe('EBUSY');
    ga.detach();
    ga.unbind();
    bench.end();
  });
});

describe('attaching', () => {
  test('series: HWPT’s device list replaced by that of the group, in the order of attaching', () => {
    const bench = new DeviceBench(PAIR);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    gb.attach(ioas.id);
    ga.attach(ioas.id);
    expect([...ga.group.devices]).toEqual([gb, ga]);
    gb.detach();
    expect([...ga.group.devices]).toEqual([ga]);
    ga.detach();
    expect(ga.group.hwpt).toBeUndefined();
    ga.unbind();
    gb.unbind();
    bench.end();
  });

  test('the hardware is told once per group: further devices add a reference, the last detach blocks', () => {
    const bench = new DeviceBench(PAIR);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    bench.attaches.length = 0;
    const id = ga.attach(ioas.id);
    expect(bench.attaches).toEqual(['Ga: unmanaged', 'Gb: unmanaged']);
    expect(gb.attach(ioas.id)).toBe(id);
    ga.detach();
    expect(bench.attaches).toHaveLength(2);
    gb.detach();
    expect(bench.attaches.slice(2)).toEqual(['Ga: blocked', 'Gb: blocked']);
  });

  test('series: reserved regions exported from the IOMMU core and tracked per device instead of per group', () => {
    const bench = new DeviceBench(PAIR, {
      resvRegions: (device) => (device.name === 'Ga' ? [RESERVED_A, RELAXABLE] : [RESERVED_B]),
    });
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    const reserved = () =>
      ioas.iovas
        .usableRanges()
        .slice(1)
        .map(({ start }) => start - 0x1_0000n);
    ga.attach(ioas.id);
    expect(reserved()).toEqual([RESERVED_A.start]);
    gb.attach(ioas.id);
    expect(reserved()).toEqual([RESERVED_A.start, RESERVED_B.start]);
    ga.detach();
    expect(reserved()).toEqual([RESERVED_B.start]);
    gb.detach();
    expect(reserved()).toEqual([]);
  });

  test('a mapping where a device has a reserved region is in the way: EADDRINUSE, and nothing is attached', () => {
    const bench = new DeviceBench(PAIR, { resvRegions: () => [RESERVED_A] });
    const ga = bench.bind('Ga');
    const ioas = bench.ioas();
    bench.map(ioas, RESERVED_A.start);
    const before = bench.picture();
    expect(answerOf(() => ga.attach(ioas.id))).toBe('EADDRINUSE');
    expect(bench.picture()).toEqual(before);
  });

  test('series: one MSI set-up per group, duplicates avoided', () => {
    const bench = new DeviceBench(PAIR, { resvRegions: () => [SOFTWARE_MSI] });
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const hwpt = bench.hwpt(ga, bench.ioas());
    ga.attach(hwpt.id);
    expect(hwpt.domain.msiCookie).toBe(SOFTWARE_MSI.start);
    // A second cookie for the same domain would be EBUSY.
    gb.attach(hwpt.id);
    ga.detach();
    gb.detach();
    ga.attach(hwpt.id);
    expect(hwpt.msiCookie).toBe(true);
  });

  test('series: software-MSI start global to the group', () => {
    const bench = new DeviceBench(PAIR, {
      resvRegions: (device) => (device.name === 'Ga' ? [SOFTWARE_MSI] : []),
    });
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const [first, second] = [bench.hwpt(ga, bench.ioas()), bench.hwpt(gb, bench.ioas())];
    ga.attach(first.id);
    expect(gb.group.swMsiStart).toBe(SOFTWARE_MSI.start);
    ga.detach();
    // Gb has no such region itself; its group has.
    gb.attach(second.id);
    expect(second.domain.msiCookie).toBe(SOFTWARE_MSI.start);
  });

  test('software and hardware MSI windows at once are refused', () => {
    const hardware = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
    const bench = new DeviceBench(PAIR, { resvRegions: () => [SOFTWARE_MSI, hardware] });
    const ga = bench.bind('Ga');
    const ioas = bench.ioas();
    const before = bench.picture();
    expect(answerOf(() => ga.attach(ioas.id))).toBe('EINVAL');
    expect(bench.picture()).toEqual(before);
  });

  test('series: enforced cache coherency when an HWPT is allocated', () => {
    const asked: bigint[] = [];
    const bench = new DeviceBench(PAIR, {
      capabilities: ['cache-coherency', 'enforce-cache-coherency'],
      enforceCacheCoherency: (domain) => asked.push(domain.iovaToPhys(0x1000n) ?? -1n) > 0,
    });
    const ga = bench.bind('Ga');
    const ioas = bench.ioas();
    bench.map(ioas, 0x1000n);
    const hwpt = bench.hwpt(ga, ioas);
    expect(hwpt.enforceCacheCoherency).toBe(true);
    // Before anything is mapped, once.
    expect(asked).toEqual([-1n]);
    expect(hwpt.domain.iovaToPhys(0x1000n)).toBeDefined();
  });

  test('a device that cannot enforce coherency leaves it off; a driver that breaks its word is refused', () => {
    const without = new DeviceBench(PAIR, { enforceCacheCoherency: () => true });
    expect(without.hwpt(without.bind('Ga'), without.ioas()).enforceCacheCoherency).toBe(false);

    const liar = new DeviceBench(PAIR, {
      capabilities: ['cache-coherency', 'enforce-cache-coherency'],
      enforceCacheCoherency: () => false,
    });
    const ga = liar.bind('Ga');
    const ioas = liar.ioas();
    const before = liar.picture();
    expect(answerOf(() => liar.hwpt(ga, ioas))).toBe('EINVAL');
    expect(liar.picture()).toEqual(before);
  });

  test('series: one helper to put an HWPT: automatic ones go with their last user, a user’s stay', () => {
    const bench = new DeviceBench(PAIR);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    const auto = ga.attach(ioas.id);
    gb.attach(ioas.id);
    ga.detach();
    expect(bench.context.objects.peek(auto)).toBeDefined();
    gb.detach();
    expect(bench.context.objects.peek(auto)).toBeUndefined();
    expect(ioas.users).toBe(1);

    const hwpt = bench.hwpt(ga, ioas);
    ga.attach(hwpt.id);
    ga.detach();
    expect(bench.context.objects.peek(hwpt.id)).toBe(hwpt);
    expect(hwpt.users).toBe(1);
  });

  test('series: attach reorganised into one change-page-table path: attach and replace refuse alike', () => {
    const bench = new DeviceBench(TWO_PAIRS);
    const [ga, ha] = [bench.bind('Ga'), bench.bind('Ha')];
    ga.attach(bench.ioas().id);
    for (const call of [(id: number) => ha.attach(id), (id: number) => ga.replace(id)]) {
      expect(answerOf(() => call(9999))).toBe('ENOENT');
      expect(answerOf(() => call(ha.id))).toBe('EINVAL');
    }
  });

  test('a group is on one HWPT: attaching a second device elsewhere is EINVAL, twice the same EBUSY', () => {
    const bench = new DeviceBench(PAIR);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    const [one, two] = [bench.hwpt(ga, ioas), bench.hwpt(ga, ioas)];
    ga.attach(one.id);
    expect(answerOf(() => gb.attach(two.id))).toBe('EINVAL');
    expect(answerOf(() => ga.attach(one.id))).toBe('EBUSY');
  });

  test('automatic HWPTs are shared by groups; those of a user are never picked', () => {
    const bench = new DeviceBench(TWO_PAIRS);
    const [ga, ha] = [bench.bind('Ga'), bench.bind('Ha')];
    const ioas = bench.ioas();
    const manual = bench.hwpt(ga, ioas);
    const auto = ga.attach(ioas.id);
    expect(auto).not.toBe(manual.id);
    expect(ha.attach(ioas.id)).toBe(auto);
  });

  test('an automatic HWPT that answers EINVAL is passed over for the next, other errors are returned', () => {
    const picky: { domain?: Domain } = {};
    const bench = new DeviceBench(['Ga', 'Ha', 'Ia'], {
      fits: (domain, device) => device.name === 'Ga' || domain !== picky.domain,
    });
    const [ga, ha, ia] = [bench.bind('Ga'), bench.bind('Ha'), bench.bind('Ia')];
    const ioas = bench.ioas();
    const one = ga.attach(ioas.id);
    picky.domain = ga.group.hwpt!.domain;
    const two = ha.attach(ioas.id);
    expect(two).not.toBe(one);
    expect(ia.attach(ioas.id)).toBe(two);
    expect(ioas.hwpts.size).toBe(2);
    ia.detach();
    bench.faults.failEvery('attach', 'EBUSY');
    expect(answerOf(() => ia.attach(ioas.id))).toBe('EBUSY');
  });
});

describe('replacing', () => {
  /** Two devices of a group attached to an HWPT of an address space, and another HWPT of another. */
  function stage(options: ConstructorParameters<typeof DeviceBench>[1] = {}) {
    const bench = new DeviceBench(TWO_PAIRS, options);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const [from, to] = [bench.ioas(), bench.ioas()];
    bench.map(from, 0x1000n);
    bench.map(to, 0x2000n);
    const [old, next] = [bench.hwpt(ga, from), bench.hwpt(ga, to)];
    ga.attach(old.id);
    gb.attach(old.id);
    return { bench, ga, gb, from, to, old, next };
  }

  test('series: replace is refused on a device that is not attached', () => {
    const bench = new DeviceBench(PAIR);
    const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
    const ioas = bench.ioas();
    expect(answerOf(() => ga.replace(ioas.id))).toBe('EINVAL');
    ga.attach(ioas.id);
    // The group has a page table, but this device did not attach to it.
    const before = bench.picture();
    expect(answerOf(() => gb.replace(bench.ioas().id))).toBe('EINVAL');
    bench.context.objects.remove(ioas.id + 2);
    expect(bench.picture()).toEqual(before);
  });

  test('series: device replace, to another HWPT: the whole group moves', () => {
    const { bench, ga, gb, old, next } = stage();
    expect(ga.replace(next.id)).toBe(next.id);
    expect(gb.group.hwpt).toBe(next);
    expect(bench.group('Gb').domain).toBe(next.domain);
    expect(old.users).toBe(1);
    expect(next.users).toBe(3);
    gb.detach();
    ga.detach();
    expect(next.users).toBe(1);
  });

  test('series: device replace, to an IOAS: an automatic HWPT is made, and the automatic one before goes', () => {
    const { bench, ga, gb, from, to } = stage();
    ga.detach();
    gb.detach();
    const before = ga.attach(from.id);
    gb.attach(from.id);
    const after = gb.replace(to.id);
    expect(after).not.toBe(before);
    expect(bench.context.objects.peek(before)).toBeUndefined();
    expect(ga.group.hwpt?.id).toBe(after);
    expect([...to.hwpts].filter((hwpt) => hwpt.autoDomain).map(({ id }) => id)).toEqual([after]);
  });

  test('replace finds an automatic HWPT another group uses', () => {
    const { bench, ga, to } = stage();
    const ha = bench.bind('Ha');
    const auto = ha.attach(to.id);
    expect(ga.replace(to.id)).toBe(auto);
  });

  test('series: pt_id set only on success', () => {
    const { bench, ga, next } = stage();
    let ptId: number = next.id;
    bench.faults.failEvery('replace', 'EBUSY');
    expect(
      answerOf(() => {
        ptId = ga.replace(ptId);
      }),
    ).toBe('EBUSY');
    expect(ptId).toBe(next.id);
    bench.faults.disarm();
    ptId = ga.replace(ptId);
    expect(ptId).toBe(next.id);
  });

  test('replace by the same HWPT is no change and no driver call', () => {
    const { bench, ga, old } = stage();
    const before = bench.picture();
    bench.attaches.length = 0;
    expect(ga.replace(old.id)).toBe(old.id);
    expect(bench.attaches).toEqual([]);
    expect(bench.picture()).toEqual(before);
  });

  test('series: group-level replace in the IOMMU core, without a moment of blocked DMA', () => {
    const { bench, ga, next } = stage();
    bench.attaches.length = 0;
    ga.replace(next.id);
    expect(bench.attaches).toEqual(['Ga: unmanaged', 'Gb: unmanaged']);
  });

  test('reserved regions of every device move to the new address space', () => {
    const { ga, from, to, next } = stage({
      resvRegions: (device) => [device.name === 'Ga' ? RESERVED_A : RESERVED_B],
    });
    expect(from.iovas.usableRanges()).toHaveLength(3);
    ga.replace(next.id);
    expect(from.iovas.usableRanges()).toHaveLength(1);
    expect(to.iovas.usableRanges()).toHaveLength(3);
  });

  test('a failed replace within one address space keeps the reserved regions', () => {
    const { bench, ga, from } = stage({ resvRegions: () => [RESERVED_A] });
    const sibling = bench.hwpt(ga, from);
    const before = bench.picture();
    bench.faults.failEvery('replace', 'ENOMEM');
    expect(answerOf(() => ga.replace(sibling.id))).toBe('ENOMEM');
    expect(bench.picture()).toEqual(before);
    expect(from.iovas.usableRanges()).toHaveLength(2);
  });

  test('series: a failed replace leaves everything as it was, when the second device refuses', () => {
    const refused = { domain: undefined as unknown };
    const { bench, ga, next } = stage({
      fits: (domain, device) => !(domain === refused.domain && device.name === 'Gb'),
    });
    refused.domain = next.domain;
    const before = bench.picture();
    expect(answerOf(() => ga.replace(next.id))).toBe('EINVAL');
    expect(bench.picture()).toEqual(before);
  });

  test('series: a failed replace leaves everything as it was, when a mapping is in the way', () => {
    const { bench, ga, to } = stage({
      resvRegions: (device) => (device.name === 'Gb' ? [RESERVED_B] : []),
    });
    bench.map(to, RESERVED_B.start);
    const before = bench.picture();
    expect(answerOf(() => ga.replace(to.id))).toBe('EADDRINUSE');
    expect(bench.picture()).toEqual(before);
  });

  test('the MSI window is set up in the new table, once', () => {
    const { bench, ga, next } = stage({ resvRegions: () => [SOFTWARE_MSI] });
    bench.faults.failEvery('replace');
    expect(answerOf(() => ga.replace(next.id))).toBe('ENOMEM');
    expect(next.domain.msiCookie).toBeUndefined();
    bench.faults.disarm();
    ga.replace(next.id);
    expect(next.domain.msiCookie).toBe(SOFTWARE_MSI.start);
  });

  test('DMA goes on during and after a replace, through the new table', () => {
    const { bench, ga, gb, to } = stage();
    ga.dma.write(0x1000n, Uint8Array.of(1, 2, 3));
    expect(() => gb.dma.read(0x2000n, 1)).toThrow(/nothing is mapped/);
    const arena = bench.map(to, 0x5000n);
    ga.replace(to.id);
    gb.dma.write(0x5000n, Uint8Array.of(4, 5));
    expect([...arena.bytes(arena.base, 2)]).toEqual([4, 5]);
    expect(() => ga.dma.read(0x1000n, 1)).toThrow(/nothing is mapped/);
  });
});

describe('HWPT_ALLOC', () => {
  test('series: HWPT_ALLOC ioctl with its reserved field checked, before anything else', () => {
    const bench = new DeviceBench(PAIR);
    const request = hwptRequest({ id: 9999 }, { id: 9999 }, { reserved: 1, dataLen: 8 });
    expect(answerOf(() => hwptAlloc(bench.context, request))).toBe('EOPNOTSUPP');
  });

  test('series: destroy waits for calls in flight, whatever the kind of object', async () => {
    const bench = new DeviceBench(PAIR);
    const ga = bench.bind('Ga');
    const ioas = bench.ioas();
    const hwpt = bench.hwpt(ga, ioas);
    for (const object of [hwpt, ioas]) {
      const held = bench.context.objects.hold(object);
      const gone = bench.context.objects.removeWhenIdle(object.id);
      expect(bench.context.objects.peek(object.id)).toBe(object);
      held[Symbol.dispose]();
      await gone;
      expect(bench.context.objects.peek(object.id)).toBeUndefined();
    }
  });
});

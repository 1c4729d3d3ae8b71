import { describe, expect, test } from 'vitest';
import { answerOf, answerWithText, IsolationBench, MockOps, manager } from './testing.ts';

/** Three devices, operations set. */
function translated() {
  const bench = new IsolationBench();
  const group = bench.group('g', 'x', 'y', 'z');
  bench.isolation.setIommuOps(group, bench.ops);
  return { ...bench, bench, group };
}

describe('the domain of a group (isolation.md 2)', () => {
  test('operations are set once: EBUSY afterwards', () => {
    const { isolation, group, ops, faults } = translated();
    expect(answerOf(() => isolation.setIommuOps(group, ops))).toBe('EBUSY');
    expect(answerOf(() => isolation.setIommuOps(group, new MockOps(faults, 'another')))).toBe('EBUSY');
    expect(group.ops).toBe(ops);
  });

  test('init: EINVAL without operations, EINVAL without devices, EBUSY with a domain', () => {
    const { isolation, bench, ops, group } = translated();
    const bare = bench.group('bare', 'b');
    const empty = bench.group('empty');
    isolation.setIommuOps(empty, ops);
    expect(answerOf(() => isolation.initIommuDomain(bare))).toBe('EINVAL');
    expect(answerOf(() => isolation.initIommuDomain(empty))).toBe('EINVAL');
    isolation.initIommuDomain(group);
    expect(answerOf(() => isolation.initIommuDomain(group))).toBe('EBUSY');
  });

  test('init attaches every device in list order', () => {
    const { isolation, ops, group } = translated();
    isolation.initIommuDomain(group);
    expect(ops.log).toEqual(['attach x', 'attach y', 'attach z']);
    expect(ops.live.size).toBe(1);
  });

  test('a refusal by device n detaches n−1 … 0 and destroys the domain', () => {
    const { isolation, ops, group, faults } = translated();
    faults.failAt(5, 'EIO'); // domain, domain init, attach, attach, attach
    expect(answerOf(() => isolation.initIommuDomain(group))).toBe('EIO');
    expect(ops.log).toEqual(['attach x', 'attach y', 'detach y', 'detach x']);
    expect([ops.live.size, group.domain]).toEqual([0, undefined]);
  });

  test('free: all detached; destroyed only when no other group uses it', () => {
    const { isolation, bench, ops, group } = translated();
    const other = bench.group('h', 'w');
    isolation.setIommuOps(other, ops);
    isolation.initIommuDomain(group);
    isolation.iommuDomainAddGroup(group, other);
    isolation.freeIommuDomain(group);
    expect([...ops.attached.keys()].map(({ name }) => name)).toEqual(['w']);
    expect(ops.live.size).toBe(1);
    isolation.freeIommuDomain(other);
    expect([ops.live.size, ops.attached.size]).toEqual([0, 0]);
    expect(answerOf(() => isolation.freeIommuDomain(other))).toBe('ok');
  });

  test('joining: EINVAL if the first has none, the second has one or is empty; EIO if operations differ', () => {
    const { isolation, bench, ops, group, faults } = translated();
    const other = bench.group('h', 'w');
    const empty = bench.group('empty');
    const foreign = bench.group('foreign', 'f');
    const bare = bench.group('bare', 'b');
    isolation.setIommuOps(other, ops);
    isolation.setIommuOps(empty, ops);
    isolation.setIommuOps(foreign, new MockOps(faults, 'foreign'));
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, other))).toBe('EINVAL');
    isolation.initIommuDomain(group);
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, empty))).toBe('EINVAL');
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, foreign))).toBe('EIO');
    expect(answerWithText(() => isolation.iommuDomainAddGroup(group, bare))).toContain(
      'no IOMMU operations, the domain',
    );
    isolation.initIommuDomain(other);
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, other))).toBe('EINVAL');
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, group))).toBe('EINVAL');
  });

  test('joining is rolled back when a device refuses', () => {
    const { isolation, bench, ops, group, faults } = translated();
    const other = bench.group('h', 'v', 'w');
    isolation.setIommuOps(other, ops);
    isolation.initIommuDomain(group);
    ops.log.length = 0;
    faults.failAt(2);
    expect(answerOf(() => isolation.iommuDomainAddGroup(group, other))).toBe('ENOMEM');
    expect(ops.log).toEqual(['attach v', 'detach v']);
    expect(other.domain).toBeUndefined();
    expect([...group.domain!.groups]).toEqual([group]);
  });

  test('a device added to a group with a domain is attached; on refusal nothing has changed', () => {
    const { isolation, bench, ops, group, faults } = translated();
    isolation.initIommuDomain(group);
    isolation.addDev(group, bench.device('late'));
    expect(ops.log.at(-1)).toBe('attach late');
    const refused = bench.device('refused');
    const before = bench.state();
    faults.failEvery('attach', 'EIO');
    expect(answerOf(() => isolation.addDev(group, refused))).toBe('EIO');
    expect(bench.state()).toEqual(before);
  });

  test('a deleted device is detached first', () => {
    const { isolation, bench, ops, group } = translated();
    isolation.initIommuDomain(group);
    isolation.delDev(bench.devices.get('y')!);
    expect(ops.log.at(-1)).toBe('detach y');
    expect(group.domain).toBeDefined();
  });
});

describe('one manager instance, one domain (isolation.md 3: better than merging groups pairwise)', () => {
  function two() {
    const on = translated();
    const other = on.bench.group('h', 'v', 'w');
    on.isolation.setIommuOps(other, on.ops);
    return { ...on, other, owner: manager() };
  }

  test('a group taken later joins the domain that is there', () => {
    const { isolation, ops, group, other, owner } = two();
    isolation.initManager(group, owner);
    isolation.initIommuDomain(group);
    isolation.initManager(other, owner);
    expect(other.domain).toBe(group.domain);
    expect(ops.attached.size).toBe(5);
    expect([...owner.groups]).toEqual([group, other]);
  });

  test('a domain initialised later is that of all', () => {
    const { isolation, ops, group, other, owner } = two();
    isolation.initManager(group, owner);
    isolation.initManager(other, owner);
    isolation.initIommuDomain(other);
    expect(group.domain).toBe(other.domain);
    expect(ops.log).toEqual(['attach x', 'attach y', 'attach z', 'attach v', 'attach w']);
  });

  test('a group that left the domain finds the same again', () => {
    const { isolation, ops, group, other, owner } = two();
    isolation.initManager(group, owner);
    isolation.initManager(other, owner);
    isolation.initIommuDomain(group);
    isolation.freeIommuDomain(group);
    isolation.initIommuDomain(group);
    expect(group.domain).toBe(other.domain);
    expect(ops.live.size).toBe(1);
  });

  test('a group that comes with a domain shares it with those that are there', () => {
    const { isolation, group, other, owner } = two();
    isolation.initManager(group, owner);
    isolation.initIommuDomain(other);
    isolation.initManager(other, owner);
    expect(group.domain).toBe(other.domain);
  });

  test('EBUSY when both have one, EIO when operations differ; nobody has taken anything then', () => {
    const { isolation, bench, group, other, owner, faults } = two();
    isolation.initManager(group, owner);
    isolation.initIommuDomain(group);
    isolation.initIommuDomain(other);
    expect(answerOf(() => isolation.initManager(other, owner))).toBe('EBUSY');
    const foreign = bench.group('foreign', 'f');
    isolation.setIommuOps(foreign, new MockOps(faults, 'foreign'));
    expect(answerOf(() => isolation.initManager(foreign, owner))).toBe('EIO');
    expect([isolation.managed(other), isolation.managed(foreign)]).toEqual([false, false]);
    expect([...owner.groups]).toEqual([group]);
  });

  test('an empty group shares the domain too: what is plugged in is attached', () => {
    const { isolation, bench, ops, group, owner } = two();
    const slot = bench.group('slot');
    isolation.setIommuOps(slot, ops);
    isolation.initManager(group, owner);
    isolation.initIommuDomain(group);
    isolation.initManager(slot, owner);
    isolation.addDev(slot, bench.device('card'));
    expect(ops.log.at(-1)).toBe('attach card');
  });

  test('a group given up leaves the domain of the others', () => {
    const { isolation, ops, group, other, owner } = two();
    isolation.initManager(group, owner);
    isolation.initManager(other, owner);
    isolation.initIommuDomain(group);
    isolation.freeManager(group);
    expect([group.domain, [...ops.attached.keys()].map(({ name }) => name)]).toEqual([undefined, ['v', 'w']]);
    isolation.freeManager(other);
    expect([other.domain, ops.live.size, owner.groups.size]).toEqual([undefined, 0, 0]);
  });

  test('EBUSY when its group would join another domain than the one it has', () => {
    const { isolation, bench, ops, group, other, owner } = two();
    const third = bench.group('third', 't');
    isolation.setIommuOps(third, ops);
    for (const each of [group, other]) isolation.initManager(each, owner);
    isolation.initIommuDomain(group);
    isolation.freeIommuDomain(other);
    isolation.initIommuDomain(third);
    const before = bench.state();
    expect(answerWithText(() => isolation.iommuDomainAddGroup(third, other))).toBe(
      'isolation group h: is managed by vfio, which has another domain [EBUSY]',
    );
    expect(bench.state()).toEqual(before);
  });
});

describe('a domain has one owner, or none', () => {
  function three() {
    const on = translated();
    const [h, i] = ['h', 'i'].map((name) => {
      const group = on.bench.group(name, `device of ${name}`);
      on.isolation.setIommuOps(group, on.ops);
      return group;
    });
    return { ...on, h: h!, i: i!, m1: manager('m1'), m2: manager('m2') };
  }

  test('EBUSY for a group of another manager to join; both are named', () => {
    const { isolation, bench, group, h, m1, m2 } = three();
    isolation.initManager(group, m1);
    isolation.initIommuDomain(group);
    isolation.initManager(h, m2);
    const before = bench.state();
    expect(answerWithText(() => isolation.iommuDomainAddGroup(group, h))).toBe(
      'isolation group h: is managed by m2, and the domain is that of m1 [EBUSY]',
    );
    expect(bench.state()).toEqual(before);
  });

  test('EBUSY too by way of a group that is nobody’s', () => {
    const { isolation, group, h, i, m1, m2 } = three();
    isolation.initIommuDomain(h);
    isolation.iommuDomainAddGroup(h, group);
    isolation.initManager(group, m1);
    isolation.initManager(i, m2);
    expect(answerWithText(() => isolation.iommuDomainAddGroup(h, i))).toContain(
      'by m2, and the domain is that of m1',
    );
  });

  test('EBUSY to take a group whose domain is another manager’s; the same one may', () => {
    const { isolation, bench, group, h, m1, m2 } = three();
    isolation.initIommuDomain(group);
    isolation.iommuDomainAddGroup(group, h);
    isolation.initManager(group, m1);
    const before = bench.state();
    expect(answerWithText(() => isolation.initManager(h, m2))).toBe(
      'isolation group h: is wanted by m2, and the domain is that of m1 [EBUSY]',
    );
    expect(bench.state()).toEqual(before);
    isolation.initManager(h, m1);
    expect([...m1.groups]).toEqual([group, h]);
  });

  test('giving the group up frees the domain: the next owner starts without mappings', () => {
    const { isolation, ops, group, m1, m2 } = three();
    isolation.initManager(group, m1);
    isolation.initIommuDomain(group);
    const { handle } = group.domain!;
    isolation.freeManager(group);
    expect([group.domain, ops.live.size, ops.attached.size]).toEqual([undefined, 0, 0]);
    isolation.initManager(group, m2);
    expect(group.domain).toBeUndefined();
    isolation.initIommuDomain(group);
    expect(group.domain!.handle).not.toBe(handle);
  });

  test.each(['freeManager', 'freeIommuDomain'] as const)(
    '%s of its last group ends it: sharers that are nobody’s are detached',
    (end) => {
      const { isolation, ops, group, h, i, m1, m2 } = three();
      for (const each of [group, h]) isolation.initManager(each, m1);
      isolation.initIommuDomain(group);
      isolation.iommuDomainAddGroup(group, i);
      isolation[end](group);
      expect([h.domain === i.domain, ops.live.size]).toEqual([true, 1]);
      isolation[end](h);
      expect([h.domain, i.domain, ops.live.size, ops.attached.size]).toEqual([undefined, undefined, 0, 0]);
      isolation.initManager(i, m2);
    },
  );
});

/** The IOMMU subsystem as a provider: when IOMMUs come and go, who owns DMA, and what groups lack. */

import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { DomainType } from '../iommu/domain.ts';
import { MockDriver, MockIommu, type MockIommuOptions, type MockOptions } from '../iommu/drivers/mock.ts';
import { RegionType } from '../iommu/reserved-region.ts';
import { Bench, byInitial } from '../iommu/testing.ts';
import { IommuProvider } from './iommu-provider.ts';
import { Isolation } from './isolation.ts';
import { answerOf, answerWithText, manager } from './testing.ts';

function machine(options: MockOptions = {}, unit: MockIommuOptions = {}) {
  const bench = new Bench({ defaultType: DomainType.Dma });
  const isolation = new Isolation({ core: bench.core });
  isolation.init();
  const driver = new MockDriver({ policy: byInitial, ...options });
  const instance = new MockIommu({ driver, isolatedMsi: () => true, ...unit });
  const provider = new IommuProvider({ isolation, iommu: bench.iommu });
  provider.start([bench.bus]);
  const partition = () =>
    Object.fromEntries(
      [...isolation.groups.values()].map((group) => [group.name, group.devices.map(({ name }) => name)]),
    );
  return { bench, isolation, driver, instance, provider, partition };
}

describe('isolation groups follow IOMMU groups', () => {
  test('an IOMMU that comes late brings its groups; one that goes takes them', () => {
    const { bench, instance, partition } = machine();
    bench.devices('Aa', 'Ab', 'b');
    expect(partition()).toEqual({});
    bench.iommu.registerDevice(instance);
    expect(partition()).toEqual({ Aa: ['Aa', 'Ab'], b: ['b'] });
    bench.iommu.unregisterDevice(instance);
    expect(partition()).toEqual({});
    bench.iommu.registerDevice(instance);
    expect(partition()).toEqual({ Aa: ['Aa', 'Ab'], b: ['b'] });
  });

  test('whichever of the two started to listen to the bus first', () => {
    const bench = new Bench();
    const isolation = new Isolation({ core: bench.core });
    isolation.init();
    const late = bench.addBus('late');
    bench.iommu.registerDevice(new MockIommu());
    new IommuProvider({ isolation, iommu: bench.iommu }).start([late, bench.bus]);
    const device = bench.device('x', undefined, late);
    expect(isolation.groupOf(device)?.name).toBe('x');
    bench.core.deleteDevice(device);
    expect(isolation.groups.size).toBe(0);
  });

  test('what the IOMMU does not translate has no group; what hangs below a member lands with it', () => {
    const { bench, isolation, instance } = machine(
      {},
      { covers: ({ name }) => name !== 'usb' && name !== 'soft' },
    );
    bench.iommu.registerDevice(instance);
    const parent = bench.device('Aa');
    const soft = bench.device('soft', parent);
    const alone = bench.device('usb');
    expect(isolation.groupOf(soft)).toBe(isolation.groupOf(parent));
    expect(answerOf(() => isolation.groupToHandOver(alone))).toBe('ENODEV');
  });

  test('a group without an IOMMU behind it isolates nothing', () => {
    const { bench, isolation } = machine();
    const device = bench.device('x');
    using group = bench.iommu.groupAlloc();
    group.setName('vfio-noiommu');
    group.addDevice(device);
    expect(isolation.groupOf(device)).toBeUndefined();
  });

  test('an empty slot of a group that was unplugged and comes back is a group of that name again', () => {
    const { bench, instance, partition } = machine();
    bench.iommu.registerDevice(instance);
    bench.core.deleteDevice(bench.device('x'));
    expect(partition()).toEqual({});
    bench.device('x');
    expect(partition()).toEqual({ x: ['x'] });
  });

  test('a name that is still taken gets a suffix: the first device left its group and returned to another', () => {
    const { bench, instance, partition } = machine({
      policy: {
        name: 'together until the second',
        deviceGroup: (device, groupOf) => ({
          ...(device.name === 'y' ? { group: groupOf(bench.bus.findDevice('x')!)! } : {}),
          reason: { device: device.name, policy: '', steps: [], joined: null, assumed: [] },
        }),
      },
    });
    bench.iommu.registerDevice(instance);
    const [x] = bench.devices('x', 'y');
    bench.core.deleteDevice(x!);
    bench.device('x');
    expect(partition()).toEqual({ x: ['y'], 'x.0': ['x'] });
  });
});

describe('a domain of an isolation group owns the DMA of its IOMMU groups', () => {
  test('EPERM while a driver of the host uses it; claimed and attached without; the host’s again afterwards', () => {
    const { bench, isolation, driver, instance } = machine();
    bench.iommu.registerDevice(instance);
    const [a, b] = bench.devices('Aa', 'Ab') as [Device, Device];
    const nic = { name: 'nic', bus: bench.bus, match: ({ name }: Device) => name === 'Ab' };
    bench.core.registerDriver(nic);
    const group = isolation.groupOf(a)!;
    expect(answerOf(() => isolation.initIommuDomain(group))).toBe('EPERM');
    bench.core.unbind(b);
    isolation.initIommuDomain(group);
    const iommuGroup = bench.iommu.groupOf(a)!;
    expect(iommuGroup.dmaOwner).toBe(group.domain?.handle);
    expect([driver.attached.get(a), driver.attached.get(b)]).toEqual(Array(2).fill(group.domain?.handle));
    expect(answerOf(() => bench.core.bind(b, nic))).toBe('EBUSY');
    isolation.freeIommuDomain(group);
    expect([iommuGroup.dmaOwnerClaimed, iommuGroup.domain]).toEqual([false, iommuGroup.defaultDomain]);
    bench.core.bind(b, nic);
  });

  test('the last device that is unplugged leaves no claim and no warning behind', () => {
    const { bench, isolation, instance } = machine();
    bench.iommu.registerDevice(instance);
    const devices = bench.devices('Aa', 'Ab');
    isolation.initIommuDomain(isolation.groupOf(devices[0]!)!);
    for (const device of devices) bench.core.deleteDevice(device);
    expect(bench.iommu.messages.warnings).toEqual([]);
    expect(isolation.messages.warnings).toEqual([]);
    bench.tracker.assertNone();
  });

  test('two isolation groups cannot pull one IOMMU group into two domains', () => {
    const { bench, isolation, instance } = machine();
    bench.iommu.registerDevice(instance);
    const [a, c] = bench.devices('Aa', 'c') as [Device, Device];
    for (const device of [a, c]) isolation.initIommuDomain(isolation.groupOf(device)!);
    const { ops } = isolation.groupOf(a)!;
    expect(answerOf(() => ops!.attachDev(isolation.groupOf(c)!.domain!.handle, a))).toBe('EBUSY');
  });

  test('groups behind different IOMMU drivers cannot share a domain: EIO', () => {
    const { bench, isolation, instance } = machine({}, { covers: ({ name }) => name.startsWith('A') });
    bench.iommu.registerDevice(instance);
    bench.iommu.registerDevice(new MockIommu({ name: 'other', driver: new MockDriver({ name: 'other' }) }));
    const [a, c] = bench.devices('Aa', 'c') as [Device, Device];
    isolation.initIommuDomain(isolation.groupOf(a)!);
    const join = () => isolation.iommuDomainAddGroup(isolation.groupOf(a)!, isolation.groupOf(c)!);
    expect(answerOf(join)).toBe('EIO');
  });
});

describe('what groups lack, from the facts of the machine', () => {
  test('no interrupt remapping is nomsi, for the whole group if for one device', () => {
    const { bench, isolation, instance } = machine({}, { isolatedMsi: ({ name }) => name !== 'Ab' });
    bench.iommu.registerDevice(instance);
    const [a, , c] = bench.devices('Aa', 'Ab', 'c');
    expect(isolation.lacksOf(isolation.groupOf(a!)!)).toEqual([
      { lack: 'nomsi', why: 'the IOMMU does not remap interrupts of Ab' },
    ]);
    expect(isolation.lacksOf(isolation.groupOf(c!)!)).toEqual([]);
    expect(answerOf(() => isolation.initManager(isolation.groupOf(a!)!, manager()))).toBe('EPERM');
  });

  test('interrupt remapping of which nothing is known is nomsi as well, and said so', () => {
    const { bench, isolation, instance } = machine({}, { isolatedMsi: () => undefined });
    bench.iommu.registerDevice(instance);
    const a = bench.device('Aa');
    expect(isolation.lacksOf(isolation.groupOf(a)!)).toEqual([
      { lack: 'nomsi', why: 'it is not known whether interrupts of Aa are remapped' },
    ]);
  });

  test('a grouping that rests on facts nobody could read is nop2p, with the assumption', () => {
    const { bench, isolation, instance } = machine({
      policy: {
        name: 'guessing',
        deviceGroup: ({ name }) => ({
          reason: {
            device: name,
            policy: '',
            steps: [],
            joined: null,
            assumed: [`ACS of ${name} is not known`],
          },
        }),
      },
    });
    bench.iommu.registerDevice(instance);
    const group = isolation.groupOf(bench.device('x'))!;
    expect(isolation.lacksOf(group)).toEqual([{ lack: 'nop2p', why: 'ACS of x is not known' }]);
  });

  test('memory that firmware wants mapped 1:1 makes a group unmanageable; a relaxable range does not', () => {
    const { bench, isolation, instance } = machine({
      resvRegions: ({ name }) => [
        {
          start: 0x1000n,
          last: 0x1fffn,
          type: name === 'Ab' ? RegionType.Direct : RegionType.DirectRelaxable,
        },
      ],
    });
    bench.iommu.registerDevice(instance);
    const [a, , c] = bench.devices('Aa', 'Ab', 'c');
    const take = (device: Device) => isolation.initManager(isolation.groupOf(device)!, manager());
    expect(answerWithText(() => take(a!))).toContain('firmware wants memory mapped 1:1 for Ab');
    expect(answerOf(() => take(c!))).toBe('ok');
  });
});

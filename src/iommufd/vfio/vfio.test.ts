import { describe, expect, test } from 'vitest';
import type { Driver } from '../../device/driver.ts';
import { answerOf } from '../../iommu/testing.ts';
import { everyStepFails } from '../testing.ts';
import { VfioBench } from './testing.ts';
import { isVfioDriver } from './vfio.ts';

const noiommu = { iommufd: { noiommu: true }, covers: () => false };

describe('registering with VFIO (vfio_main.c, group.c)', () => {
  test.each([
    ['vfio-pci', false, true],
    ['mlx5_vfio_pci', true, true],
    ['pci-stub', true, false],
    ['pcieport', true, false],
    ['e1000e', false, false],
  ])('%s with driver_managed_dma %s is a VFIO driver: %s', (name, driverManagedDma, answer) => {
    const { bus } = new VfioBench().bench;
    expect(isVfioDriver({ name, bus, driverManagedDma })).toBe(answer);
  });

  test('one group for all devices of an IOMMU group; it goes with the last', () => {
    const bench = new VfioBench();
    const [a, b] = bench.give('Ga', 'Gb', 'x');
    expect([...bench.vfio.groups.keys()]).toEqual(['0', '1']);
    expect(bench.vfio.find(a!)!.group).toBe(bench.vfio.find(b!)!.group);
    expect(bench.vfio.devices.map(({ name }) => name)).toEqual(['vfio0', 'vfio1', 'vfio2']);
    bench.bench.core.unbind(a!);
    expect([...bench.vfio.groups.keys()]).toEqual(['0', '1']);
    bench.bench.core.unbind(b!);
    expect([...bench.vfio.groups.keys()]).toEqual(['1']);
    expect(answerOf(() => bench.vfio.openGroup('0', bench.process))).toBe('ENOENT');
  });

  test('a device without a group, or whose DMA is not coherent, is refused and stays unbound', () => {
    const without = new VfioBench({ covers: () => false });
    const device = without.bench.device('a');
    expect(answerOf(() => without.bind(device, without.driver))).toBe('EINVAL');
    expect(device.driver).toBeUndefined();
    const incoherent = new VfioBench({ iommu: { capabilities: [] } });
    expect(answerOf(() => incoherent.give('a'))).toBe('EINVAL');
    expect([incoherent.vfio.groups.size, incoherent.vfio.devices.length]).toEqual([0, 0]);
  });

  test('registering fails at each step without a trace', () => {
    for (const options of [{}, noiommu]) {
      const steps = everyStepFails(() => {
        const bench = new VfioBench(options);
        const device = bench.bench.device('a');
        return {
          faults: bench.faults,
          act: () => void bench.vfio.registerGroupDev(device, { name: 'test' }),
          picture: () => bench.picture(),
        };
      });
      expect(steps).toEqual(['VFIO device', 'VFIO group']);
    }
  });

  test('twice is EINVAL', () => {
    const bench = new VfioBench();
    const [device] = bench.give('a');
    expect(answerOf(() => bench.vfio.registerGroupDev(device!, { name: 'test' }))).toBe('EINVAL');
  });

  test('unbinding while the device is open: asked for, no new files, and gone at the last close', () => {
    const bench = new VfioBench();
    const [device] = bench.give('a');
    const group = bench.openGroupOf(device!);
    const context = bench.open();
    group.setContainer(context);
    const file = group.getDeviceFd('a');
    bench.bench.core.unbind(device!);
    expect(bench.told).toEqual(['open a', 'request a']);
    expect(bench.iommufd.iommu.messages.warnings.map(({ text }) => text)).toEqual([
      'Device is currently in use; it goes when its user closes it',
    ]);
    expect(answerOf(() => group.getDeviceFd('a'))).toBe('ENODEV');
    expect(bench.groupOf(device!).dmaOwner).toBe(context);
    expect(answerOf(() => bench.bench.core.bind(device!, bench.ordinary))).toBe('ENODEV');
    file.close();
    expect(bench.vfio.devices).toEqual([]);
    expect(answerOf(() => group.getStatus({ argsz: 8, flags: 0 }))).toBe('ENODEV');
    expect(answerOf(() => group.getDeviceFd('a'))).toBe('ENODEV');
    group.unsetContainer();
    expect(answerOf(() => group.setContainer(context))).toBe('ENODEV');
    for (const open of [group, context]) open.close();
    expect(answerOf(() => bench.vfio.openGroup('0', bench.process))).toBe('ENOENT');
    bench.iommufd.assertNothingLeft();
  });

  test('following a bus: what VFIO drivers have, had, and get', () => {
    const bench = new VfioBench();
    const { bus, core } = bench.bench;
    const driver: Driver = {
      name: 'xe-vfio-pci',
      bus,
      driverManagedDma: true,
      match: ({ name }) => name > 'm',
    };
    core.registerDriver(driver);
    const early = bench.bench.device('n');
    expect(bench.vfio.find(early)).toBeUndefined();
    const stop = bench.vfio.follow(bus, (device) => ({ name: `ops of ${device.name}` }));
    const late = bench.bench.device('o');
    expect(bench.vfio.devices.map(({ ops }) => ops.name)).toEqual(['ops of n', 'ops of o']);
    core.unbind(early);
    expect(bench.vfio.devices.map(({ device }) => device)).toEqual([late]);
    bench.give('a');
    expect(bench.vfio.devices).toHaveLength(2);
    stop();
    bench.bench.device('p');
    expect(bench.vfio.devices).toHaveLength(2);
  });
});

describe('noiommu, only where asked for', () => {
  test('a group made up, named, and a tainted kernel; gone with the device', () => {
    const bench = new VfioBench(noiommu);
    const [device] = bench.give('a');
    expect([...bench.vfio.groups.keys()]).toEqual(['noiommu-0']);
    expect(bench.groupOf(device!).name).toBe('vfio-noiommu');
    expect(bench.vfio.tainted).toBe(true);
    expect(answerOf(() => bench.openCdev(device!))).toBe('ENOENT');
    bench.bench.core.unbind(device!);
    expect([bench.vfio.groups.size, bench.iommufd.iommu.groups.size]).toEqual([0, 0]);
  });

  test('opening it needs CAP_SYS_RAWIO', () => {
    const bench = new VfioBench({ ...noiommu, process: { capabilities: ['CAP_SYS_ADMIN'] } });
    const [device] = bench.give('a');
    expect(answerOf(() => bench.openGroupOf(device!))).toBe('EPERM');
  });

  test('its DMA is that of memory itself; no object is made for it', () => {
    const bench = new VfioBench(noiommu);
    const [device] = bench.give('a');
    const group = bench.openGroupOf(device!);
    const context = bench.open();
    group.setContainer(context);
    expect([context.noiommuMode, context.vfioIoas]).toEqual([true, undefined]);
    const file = group.getDeviceFd('a');
    bench.arena.write(bench.arena.base, new Uint8Array([1, 2, 3]));
    const physical = BigInt(bench.arena.frames.first) * 4096n;
    expect([...file.dma!.read(physical, 3)]).toEqual([1, 2, 3]);
    expect(context.objects.size).toBe(0);
    const ioas = bench.open();
    const other = bench.give('b')[0]!;
    const second = bench.openGroupOf(other);
    second.setContainer(ioas);
    for (const open of [file, group, context, second, ioas]) open.close();
    bench.iommufd.assertNothingLeft();
  });

  test('a container serves groups of one kind', () => {
    const bench = new VfioBench({ iommufd: { noiommu: true }, covers: ({ name }) => name !== 'n' });
    const [with_, without] = bench.give('w', 'n');
    const context = bench.open();
    const first = bench.openGroupOf(with_!);
    first.setContainer(context);
    const second = bench.openGroupOf(without!);
    expect(answerOf(() => second.setContainer(context))).toBe('EINVAL');
    expect(context.references).toBe(2);
    const other = bench.open();
    second.setContainer(other);
    first.unsetContainer();
    expect(answerOf(() => first.setContainer(other))).toBe('EINVAL');
    expect(other.objects.isEmpty).toBe(true);
  });

  test('a program that chose an address space for its container does not get the device', () => {
    const bench = new VfioBench({ iommufd: { noiommu: true }, covers: ({ name }) => name !== 'n' });
    const [without] = bench.give('n');
    const context = bench.open();
    const group = bench.openGroupOf(without!);
    group.setContainer(context);
    bench.choose(context);
    expect(answerOf(() => group.getDeviceFd('n'))).toBe('EPERM');
  });
});

import { describe, expect, test } from 'vitest';
import { answerOf } from '../../iommu/testing.ts';
import { everyStepFails } from '../testing.ts';
import { GroupFlag } from './constants.ts';
import { VfioBench } from './testing.ts';

function status(group: { getStatus(request: { argsz: number; flags: number }): void }): number {
  const request = { argsz: 8, flags: 0xff };
  group.getStatus(request);
  return request.flags;
}

/** A group Ga, Gb, both with the VFIO driver, opened. */
function opened(options: ConstructorParameters<typeof VfioBench>[0] = {}) {
  const bench = new VfioBench(options);
  const [a, b] = bench.give('Ga', 'Gb');
  const group = bench.openGroupOf(a!);
  return { bench, a: a!, b: b!, group, context: bench.open() };
}

const both = GroupFlag.Viable | GroupFlag.ContainerSet;

describe('/dev/vfio/NUMBER (group.c)', () => {
  test('open once: EBUSY, and again after the close', () => {
    const { bench, a, group } = opened();
    expect(() => bench.openGroupOf(a)).toThrow('VFIO group 0: is open in tester');
    group.close();
    expect(answerOf(() => group.close())).toBe('EBADF');
    bench.openGroupOf(a).close();
  });

  test('EBUSY while a device is bound through its own file, and not before that', () => {
    const { bench, a, b, group, context } = opened();
    group.close();
    const file = bench.openCdev(b);
    bench.openGroupOf(a).close();
    file.bindIommufd({ argsz: 16, flags: 0, iommufd: context, outDevid: 0 });
    expect(answerOf(() => bench.openGroupOf(a))).toBe('EBUSY');
    file.close();
    bench.openGroupOf(a).close();
  });

  test('GET_STATUS: argsz, viable, then set as well', () => {
    const { group, context } = opened();
    expect(answerOf(() => group.getStatus({ argsz: 7, flags: 0 }))).toBe('EINVAL');
    expect(status(group)).toBe(GroupFlag.Viable);
    group.setContainer(context);
    expect(status(group)).toBe(both);
    group.unsetContainer();
    expect(status(group)).toBe(GroupFlag.Viable);
  });

  test('an ordinary driver in the group: not viable, and who it is', () => {
    const { bench, b, group, context } = opened();
    bench.bench.core.unbind(b);
    expect(status(group)).toBe(GroupFlag.Viable);
    bench.bind(b, bench.ordinary);
    expect(status(group)).toBe(0);
    expect(group.group.obstacles()).toEqual(['Gb (nic)']);
    // With a container the flag says nothing; opening a device does.
    group.setContainer(context);
    expect(status(group)).toBe(both);
    expect(() => group.getDeviceFd('Ga')).toThrow(/in use by Gb \(nic\).*EPERM/);
    bench.bench.core.unbind(b);
    group.getDeviceFd('Ga').close();
  });

  test('a member without a driver, or with a driver that leaves DMA alone, is in nobody’s way', () => {
    const { bench, b, group, context } = opened();
    bench.bench.core.unbind(b);
    const { bus } = bench.bench;
    const stub = { name: 'pci-stub', bus, driverManagedDma: true, match: () => false };
    bench.bench.core.registerDriver(stub);
    bench.bind(b, stub);
    expect([status(group), group.group.obstacles()]).toEqual([GroupFlag.Viable, []]);
    group.setContainer(context);
    group.getDeviceFd('Ga').close();
  });

  test('with a device handed out, an ordinary driver does not get the others', () => {
    const { bench, b, group, context } = opened();
    bench.bench.core.unbind(b);
    group.setContainer(context);
    group.getDeviceFd('Ga');
    expect(answerOf(() => bench.bind(b, bench.ordinary))).toBe('EBUSY');
  });

  test('owned by another program: not viable, the owner named, EPERM', () => {
    const { bench, a, group, context } = opened();
    bench.iommufd.iommu.deviceClaimDmaOwner(a, bench.open());
    expect([status(group), group.group.obstacles()]).toEqual([0, ['iommufd 2']]);
    group.setContainer(context);
    expect(answerOf(() => group.getDeviceFd('Gb'))).toBe('EPERM');
  });

  test('SET_CONTAINER: the order of its checks', () => {
    const { bench, group, context } = opened();
    expect(answerOf(() => group.setContainer(99))).toBe('EBADF');
    const fd = bench.files.install({ name: 'something', close: () => {} });
    expect(answerOf(() => group.setContainer(fd))).toBe('EBADFD');
    expect(answerOf(() => group.setContainer({}))).toBe('EBADFD');
    group.setContainer(context);
    expect(answerOf(() => group.setContainer(99))).toBe('EBADF');
    expect(answerOf(() => group.setContainer(fd))).toBe('EINVAL');
    expect(answerOf(() => group.setContainer(context))).toBe('EINVAL');
    group.unsetContainer();
    expect(answerOf(() => group.unsetContainer())).toBe('EINVAL');
    context.close();
    expect(answerOf(() => group.setContainer(context))).toBe('EBADF');
  });

  test('UNSET_CONTAINER with an open device succeeds: the device stays bound', () => {
    const { bench, group, context } = opened();
    group.setContainer(context);
    const file = group.getDeviceFd('Ga');
    group.unsetContainer();
    expect(file.vfioDevice.iommufdDevice?.context).toBe(context);
    expect(answerOf(() => group.getDeviceFd('Gb'))).toBe('EINVAL');
    expect(status(group)).toBe(0);
    group.setContainer(context);
    for (const open of [file, group, context]) open.close();
    bench.iommufd.assertNothingLeft();
  });

  test.each([
    ['Ga', 'ok'],
    ['Gb', 'ok'],
    ['G', 'ENODEV'],
    ['Ga ', 'ENODEV'],
    ['x', 'ENODEV'],
    ['', 'ENODEV'],
  ])('GET_DEVICE_FD of %j: %s', (name, answer) => {
    const { bench, group, context } = opened();
    bench.give('x');
    group.setContainer(context);
    expect(answerOf(() => group.getDeviceFd(name))).toBe(answer);
  });

  test('GET_DEVICE_FD: EINVAL without a container, ENODEV if its address space was destroyed', () => {
    const { bench, group, context } = opened();
    expect(answerOf(() => group.getDeviceFd('Ga'))).toBe('EINVAL');
    group.setContainer(context);
    context.objects.remove(context.vfioIoas!.id);
    const before = bench.picture();
    expect(answerOf(() => group.getDeviceFd('Ga'))).toBe('ENODEV');
    expect(bench.picture()).toEqual(before);
    expect(bench.told).toEqual(['open Ga', 'close Ga']);
  });

  test('a device is opened as often as wanted, bound once, and enabled until the last close', () => {
    const { bench, group, context } = opened();
    group.setContainer(context);
    const files = [group.getDeviceFd('Ga'), group.getDeviceFd('Ga'), group.getDeviceFd('Gb')];
    const [device] = files.map((file) => file.vfioDevice);
    expect([device!.openCount, device!.isAttached]).toEqual([2, true]);
    expect([...context.objects].map(({ type }) => type)).toEqual(['ioas', 'device', 'hwpt-paging', 'device']);
    files[0]!.close();
    expect(device!.openCount).toBe(1);
    expect(bench.told).toEqual(['open Ga', 'open Gb']);
    files[1]!.close();
    files[2]!.close();
    expect(bench.told).toEqual(['open Ga', 'open Gb', 'close Ga', 'close Gb']);
    expect([...context.objects].map(({ type }) => type)).toEqual(['ioas']);
  });

  test('a file got from the group binds nothing: BIND is EINVAL, ATTACH and DETACH are ENOTTY', () => {
    const { group, context } = opened();
    group.setContainer(context);
    const file = group.getDeviceFd('Ga');
    expect(answerOf(() => file.bindIommufd({ argsz: 16, flags: 0, iommufd: context, outDevid: 0 }))).toBe(
      'EINVAL',
    );
    expect(answerOf(() => file.attachIommufdPt({ argsz: 12, flags: 0, ptId: 1 }))).toBe('ENOTTY');
    expect(answerOf(() => file.detachIommufdPt({ argsz: 8, flags: 0 }))).toBe('ENOTTY');
  });

  test('SET_CONTAINER and GET_DEVICE_FD fail at each step without a trace', () => {
    expect(
      everyStepFails(() => {
        const { bench, group, context } = opened();
        return {
          faults: bench.faults,
          act: () => group.setContainer(context),
          picture: () => bench.picture(),
        };
      }),
    ).toEqual(['object id']);
    const steps = everyStepFails(() => {
      const { bench, group, context } = opened();
      group.setContainer(context);
      const { iovas } = context.vfioIoas!;
      iovas.mapUserPages(bench.arena, bench.arena.base, 0x4000n, 3, { iova: 0x10_0000n });
      return {
        faults: bench.faults,
        act: () => void group.getDeviceFd('Ga'),
        picture: () => bench.picture(),
      };
    });
    expect(steps).toEqual(
      expect.arrayContaining(['descriptor', 'device file', 'open device', 'file', 'attach']),
    );
    expect(steps[0]).toBe('descriptor');
    expect(steps.at(-1)).toBe('file');
  });

  test('a second file of an open device fails at each step without a trace', () => {
    const steps = everyStepFails(() => {
      const { bench, group, context } = opened();
      group.setContainer(context);
      group.getDeviceFd('Ga');
      return {
        faults: bench.faults,
        act: () => void group.getDeviceFd('Ga'),
        picture: () => bench.picture(),
      };
    });
    expect(steps).toEqual(['descriptor', 'device file', 'file']);
  });
});

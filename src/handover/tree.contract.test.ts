/**
 * One contract for both trees: the live one, with the model's device core for a kernel, and the rehearsal, which plays
 * the kernel itself. Facts: drivers/base/bus.c, dd.c and driver.c of Linux 6.12.
 */

import { mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import { LiveTree } from './live-tree.ts';
import { RehearsalTree } from './rehearsal-tree.ts';
import { contents, giveTo, modelKernel, Scratch } from './testing.ts';
import type { HandoverTree } from './tree.ts';

const scratch = new Scratch();
afterAll(() => scratch.clear());

const CARD = '0000:01:00.1';
const BRIDGE = '0000:00:02.0';
const DEVICES = '/sys/bus/pci/devices';
const DRIVERS = '/sys/bus/pci/drivers';

/** A running machine: 01:00.0 with vfio-pci, 01:00.1 with e1000e, the root port with pcieport. */
function machine(): string {
  const tree = scratch.machine('vfio');
  giveTo(tree, '0000:01:00.0', 'vfio-pci');
  giveTo(tree, CARD, 'e1000e');
  giveTo(tree, BRIDGE, 'pcieport');
  return tree;
}

const trees: [string, (tree: string) => HandoverTree][] = [
  ['live', (tree) => new LiveTree(join(tree, 'sys'), modelKernel(tree))],
  ['rehearsal', (tree) => new RehearsalTree(join(tree, 'sys'))],
];

function code(work: () => void): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
}

describe.each(trees)('%s', (_, open) => {
  function opened(): { tree: HandoverTree; dir: string; write(path: string, value: string): string } {
    const dir = machine();
    const tree = open(dir);
    return { tree, dir, write: (path, value) => code(() => tree.write(path, value)) };
  }

  test('driver_override: text up to the newline; a lone newline or nothing lifts it; it binds nobody', () => {
    const { tree, dir, write } = opened();
    const file = join(dir, 'sys/bus/pci/devices', CARD, 'driver_override');
    expect(write(`${DEVICES}/${CARD}/driver_override`, 'vfio-pci\nmore')).toBe('ok');
    expect(readFileSync(file, 'utf8')).toBe('vfio-pci\n');
    expect(tree.held(CARD)).toEqual({ driver: 'e1000e', override: 'vfio-pci' });
    expect(write(`${DEVICES}/${CARD}/driver_override`, '\n')).toBe('ok');
    expect(readFileSync(file, 'utf8')).toBe('(null)\n');
    expect(tree.held(CARD)).toEqual({ driver: 'e1000e', override: null });
  });

  test('driver_override: EINVAL for a text of a page, ENOENT for a device that is not there', () => {
    const { tree, write } = opened();
    expect(write(`${DEVICES}/${CARD}/driver_override`, 'x'.repeat(4095))).toBe('EINVAL');
    expect(write(`${DEVICES}/0000:09:00.0/driver_override`, 'vfio-pci')).toBe('ENOENT');
    expect(tree.held(CARD)).toEqual({ driver: 'e1000e', override: null });
  });

  test('unbind takes both links and the line in uevent away', () => {
    const { tree, dir, write } = opened();
    const before = contents(dir);
    expect(write(`${DRIVERS}/e1000e/unbind`, CARD)).toBe('ok');
    expect(tree.held(CARD)).toEqual({ driver: null, override: null });
    const gone = [...before].filter(([path, what]) => contents(dir).get(path) !== what).map(([path]) => path);
    const at = 'sys/devices/pci0000:00/0000:00:02.0/0000:01:00.1';
    expect(gone.sort()).toEqual([`sys/bus/pci/drivers/e1000e/${CARD}`, `${at}/driver`, `${at}/uevent`]);
    expect(readFileSync(join(dir, at, 'uevent'), 'utf8')).not.toContain('DRIVER=');
  });

  test('unbind: ENODEV from a driver that does not have it or a name that is no device, ENOENT without the driver', () => {
    const { tree, write } = opened();
    expect(write(`${DRIVERS}/vfio-pci/unbind`, CARD)).toBe('ENODEV');
    expect(write(`${DRIVERS}/e1000e/unbind`, '0000:09:00.0')).toBe('ENODEV');
    expect(write(`${DRIVERS}/e1000e/unbind`, 'nonsense')).toBe('ENODEV');
    expect(write(`${DRIVERS}/nouveau/unbind`, CARD)).toBe('ENOENT');
    expect(tree.held(CARD)?.driver).toBe('e1000e');
  });

  test('bind: the override decides, whatever the ids; links are relative, as in sysfs', () => {
    const { tree, dir, write } = opened();
    write(`${DRIVERS}/e1000e/unbind`, CARD);
    expect(write(`${DRIVERS}/vfio-pci/bind`, CARD)).toBe('ENODEV');
    write(`${DEVICES}/${CARD}/driver_override`, 'vfio-pci');
    expect(write(`${DRIVERS}/e1000e/bind`, CARD)).toBe('ENODEV');
    expect(write(`${DRIVERS}/vfio-pci/bind`, `${CARD}\n`)).toBe('ok');
    expect(tree.held(CARD)).toEqual({ driver: 'vfio-pci', override: 'vfio-pci' });
    const sys = join(dir, 'sys');
    expect(readlinkSync(join(sys, 'bus/pci/devices', CARD, 'driver'))).toBe(
      '../../../../bus/pci/drivers/vfio-pci',
    );
    expect(readlinkSync(join(sys, 'bus/pci/drivers/vfio-pci', CARD))).toBe(
      '../../../../devices/pci0000:00/0000:00:02.0/0000:01:00.1',
    );
    expect(readFileSync(join(sys, 'bus/pci/devices', CARD, 'uevent'), 'utf8')).toMatch(/^DRIVER=vfio-pci\n/);
  });

  test('bind: EBUSY while a driver has it, ENODEV first where it does not match, ENOENT without the driver', () => {
    const { write } = opened();
    expect(write(`${DRIVERS}/e1000e/bind`, CARD)).toBe('EBUSY');
    expect(write(`${DRIVERS}/vfio-pci/bind`, CARD)).toBe('ENODEV');
    expect(write(`${DRIVERS}/nouveau/bind`, CARD)).toBe('ENOENT');
    expect(write(`${DRIVERS}/e1000e/bind`, '0000:09:00.0')).toBe('ENODEV');
  });

  test('bind: what the probe refuses is the answer (vfio-pci takes no bridges), and nothing is bound', () => {
    const { tree, write } = opened();
    write(`${DRIVERS}/pcieport/unbind`, BRIDGE);
    write(`${DEVICES}/${BRIDGE}/driver_override`, 'vfio-pci');
    expect(write(`${DRIVERS}/vfio-pci/bind`, BRIDGE)).toBe('EINVAL');
    expect(write('/sys/bus/pci/drivers_probe', BRIDGE)).toBe('ok');
    expect(tree.held(BRIDGE)).toEqual({ driver: null, override: 'vfio-pci' });
  });

  test('drivers_probe: the driver of the override, nobody where that is not loaded, no harm where one has it', () => {
    const { tree, write } = opened();
    expect(write('/sys/bus/pci/drivers_probe', CARD)).toBe('ok');
    write(`${DRIVERS}/e1000e/unbind`, CARD);
    write(`${DEVICES}/${CARD}/driver_override`, 'nouveau');
    expect(write('/sys/bus/pci/drivers_probe', CARD)).toBe('ok');
    expect(tree.held(CARD)?.driver).toBe(null);
    write(`${DEVICES}/${CARD}/driver_override`, 'vfio-pci');
    expect(write('/sys/bus/pci/drivers_probe', CARD)).toBe('ok');
    expect(tree.held(CARD)?.driver).toBe('vfio-pci');
    expect(write('/sys/bus/pci/drivers_probe', '0000:09:00.0')).toBe('ENODEV');
  });

  test('what is read: identity, group, drivers', () => {
    const { tree } = opened();
    expect(tree.identity(CARD)).toEqual({
      path: 'pci0000:00/0000:00:02.0/0000:01:00.1',
      vendor: '8086',
      device: '10d3',
      subsystemVendor: '8086',
      subsystemDevice: '0000',
    });
    expect(tree.group(CARD)).toEqual({
      id: 3,
      members: [
        { device: '0000:01:00.0', driver: 'vfio-pci' },
        { device: CARD, driver: 'e1000e' },
      ],
    });
    expect(tree.held('0000:09:00.0')).toBeUndefined();
    expect([tree.hasDriver('e1000e'), tree.hasDriver('nouveau')]).toEqual([true, false]);
  });
});

test('any sequence of writes: the rehearsal answers and ends as the model of the kernel does', () => {
  const addresses = [CARD, '0000:01:00.0', BRIDGE, '0000:09:00.0', 'nonsense'];
  const drivers = ['vfio-pci', 'e1000e', 'pcieport', 'nouveau'];
  const write = fc.oneof(
    fc.tuple(
      fc.constantFrom(...addresses.slice(0, 4).map((address) => `${DEVICES}/${address}/driver_override`)),
      fc.constantFrom(...drivers, '\n', ''),
    ),
    fc.tuple(
      fc
        .tuple(fc.constantFrom(...drivers), fc.constantFrom('bind', 'unbind'))
        .map(([driver, file]) => `${DRIVERS}/${driver}/${file}`),
      fc.constantFrom(...addresses),
    ),
  );
  const live = machine();
  const rehearsed = machine();
  const trees = [
    new LiveTree(join(live, 'sys'), modelKernel(live)),
    new RehearsalTree(join(rehearsed, 'sys')),
  ] as const;
  // The state goes on from run to run: there is no end to a machine's life.
  fc.assert(
    fc.property(fc.array(write, { maxLength: 12 }), (writes) => {
      for (const [path, value] of writes) {
        const [one, other] = trees.map((tree) => code(() => tree.write(path, value)));
        expect(other, `${path} <- ${JSON.stringify(value)}`).toBe(one);
      }
      for (const device of addresses.slice(0, 4))
        expect(trees[1].held(device)).toEqual(trees[0].held(device));
    }),
    { numRuns: 60 },
  );
  expect(contents(rehearsed)).toEqual(contents(live));
});

describe('live', () => {
  test('an attribute is written as it is; a file that is not there stays so, and no link is followed', () => {
    const dir = scratch.folder();
    const at = join(dir, 'bus/pci/devices', CARD);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, 'driver_override'), '');
    const tree = new LiveTree(dir);
    tree.write(`${DEVICES}/${CARD}/driver_override`, 'vfio-pci');
    expect(readFileSync(join(at, 'driver_override'), 'utf8')).toBe('vfio-pci');
    expect(code(() => tree.write(`${DRIVERS}/vfio-pci/bind`, CARD))).toBe('ENOENT');
    mkdirSync(join(dir, 'bus/pci/drivers/vfio-pci'), { recursive: true });
    expect(code(() => tree.write(`${DRIVERS}/vfio-pci/bind`, CARD))).toBe('ENOENT');
    symlinkSync('/dev/null', join(dir, 'bus/pci/drivers/vfio-pci/bind'));
    expect(code(() => tree.write(`${DRIVERS}/vfio-pci/bind`, CARD))).toBe('ELOOP');
  });

  test('a driver that is not loaded: the command that loads it', () => {
    const tree = new LiveTree(join(machine(), 'sys'), () => {});
    expect(() => tree.requireDriver('nouveau')).toThrow(/not loaded.*modprobe nouveau/);
    expect(() => tree.requireDriver('e1000e')).not.toThrow();
  });
});

describe('rehearsal', () => {
  test('links that lead out of the tree are not followed', () => {
    const dir = machine();
    const outside = scratch.folder();
    writeFileSync(join(outside, 'driver_override'), 'mine');
    symlinkSync(outside, join(dir, 'sys/bus/pci/devices/0000:0a:00.0'));
    symlinkSync(outside, join(dir, 'sys/bus/pci/drivers/evil'));
    const tree = new RehearsalTree(join(dir, 'sys'));
    const before = contents(outside);
    expect(tree.held('0000:0a:00.0')).toBeUndefined();
    expect(code(() => tree.write(`${DEVICES}/0000:0a:00.0/driver_override`, 'x'))).toBe('ENOENT');
    tree.write(`${DRIVERS}/e1000e/unbind`, CARD);
    tree.write(`${DEVICES}/${CARD}/driver_override`, 'evil');
    expect(code(() => tree.write(`${DRIVERS}/evil/bind`, CARD))).toBe('ENOENT');
    expect(code(() => tree.requireDriver('evil'))).not.toBe('ok');
    expect(contents(outside)).toEqual(before);
  });

  test('a recording without the links in the folders of drivers, or the folders, gets its spelling back', () => {
    const dir = scratch.machine('vfio');
    const before = contents(dir);
    const tree = new RehearsalTree(join(dir, 'sys'));
    const memory = tree.remember(['0000:01:00.0', CARD], ['vfio-pci', 'nouveau']);
    tree.requireDriver('nouveau');
    tree.write(`${DRIVERS}/vfio-pci/unbind`, '0000:01:00.0');
    tree.write(`${DRIVERS}/vfio-pci/bind`, '0000:01:00.0');
    expect(contents(dir)).not.toEqual(before);
    tree.settle(memory);
    expect(contents(dir)).toEqual(before);
  });

  test('what is not as it was keeps what it has', () => {
    const dir = machine();
    const tree = new RehearsalTree(join(dir, 'sys'));
    const memory = tree.remember([CARD], []);
    tree.write(`${DEVICES}/${CARD}/driver_override`, 'vfio-pci');
    tree.write(`${DRIVERS}/e1000e/unbind`, CARD);
    const now = contents(dir);
    tree.settle(memory);
    expect(contents(dir)).toEqual(now);
  });
});

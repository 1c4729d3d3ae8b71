import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTar, sysfsTar, type TarItem } from '../../test/support/tar.ts';
import { factsOf } from './facts.ts';
import { readHost } from './read-host.ts';
import { readBytes } from './readers.ts';
import type { Snapshot } from './snapshot.ts';

const read = (bytes: Buffer) => readBytes(bytes, 'm.tar');
const uevent = (id: string, driver?: string) =>
  `${driver === undefined ? '' : `DRIVER=${driver}\n`}PCI_CLASS=20000\nPCI_ID=${id}\nPCI_SUBSYS_ID=1AF4:1100\n`;

/** A conventional header whose list pointer leads to a power management capability at 40h. */
function configBytes(length: number): Buffer {
  const config = Buffer.alloc(length);
  config.writeUInt16LE(0x8086, 0);
  config.writeUInt16LE(0x0010, 6);
  config[8] = 7;
  config[0x34] = 0x40;
  if (length > 0x40) config.set([0x01, 0x00, 0x03, 0x00, 0x08], 0x40);
  return config;
}

describe('attributes', () => {
  test('ids, class and driver come from uevent, the rest from their files', async () => {
    const { devices } = await read(
      sysfsTar({
        '0000:00:02.0': {
          uevent: uevent('8086:10C9', 'igb'),
          config: configBytes(256),
          driver_override: 'vfio-pci\n',
          reset_method: 'flr bus\n',
          numa_node: '1\n',
          irq: '22\n',
          boot_vga: '1\n',
          removable: 'fixed\n',
          power_state: 'D0\n',
          resource: '0x00000000fe400000 0x00000000fe41ffff 0x0000000000040200\n' + '0x0 0x0 0x0\n'.repeat(12),
        },
      }),
    );
    expect(devices[0]).toMatchObject({
      address: '0000:00:02.0',
      path: 'pci0000:00/0000:00:02.0',
      vendor: 0x8086,
      device: 0x10c9,
      subsystemVendor: 0x1af4,
      subsystemDevice: 0x1100,
      class: 0x20000,
      revision: 7,
      driver: 'igb',
      driverOverride: 'vfio-pci',
      resetMethods: ['flr', 'bus'],
      numaNode: 1,
      irq: 22,
      bootVga: true,
      removable: 'fixed',
      powerState: 'D0',
      physfn: null,
    });
    expect(devices[0]!.resources).toHaveLength(1);
    expect(devices[0]!.config).toMatchObject({ read: 256, size: 256 });
  });

  test('"(null)" is no override, an empty reset_method is no method, no DRIVER line no driver', async () => {
    const files = {
      uevent: uevent('1:2'.replace(/\d/g, '000$&')),
      driver_override: '(null)\n',
      reset_method: '\n',
    };
    const { devices } = await read(sysfsTar({ '0000:00:01.0': files }));
    expect(devices[0]).toMatchObject({ driver: null, driverOverride: null, resetMethods: [] });
    const bare = await read(sysfsTar({ '0000:00:01.0': { vendor: '0x8086\n' } }));
    expect(bare.devices[0]).not.toHaveProperty('driverOverride');
    expect(bare.devices[0]).not.toHaveProperty('resetMethods');
  });

  test('junk in an attribute is noted and left out, and the rest is kept', async () => {
    const { devices, notes } = await read(
      sysfsTar({
        '0000:00:01.0': {
          vendor: 'xyz\n',
          device: '0x10c9\n',
          class: '0xfffffffff\n',
          resource: 'a b c\n',
          irq: '-',
        },
        '0000:00:02.0': { vendor: `0x8086${' '.repeat(100_000)}`, device: '0x1\n' },
      }),
    );
    expect(devices[0]).toMatchObject({ device: 0x10c9 });
    expect(devices[0]).not.toHaveProperty('vendor');
    expect(devices[0]).not.toHaveProperty('class');
    expect(devices[0]).not.toHaveProperty('irq');
    expect(notes!.filter((note) => note.startsWith('0000:00:01.0: '))).toHaveLength(3);
    expect(devices[1]).not.toHaveProperty('vendor');
    expect(devices[1]!.device).toBe(1);
  });

  test('names that are no addresses and devices with nothing in them are noted', async () => {
    const tar = sysfsTar({ '0000:00:01.0': { vendor: '0x8086' }, '0000:00:02.0': {} }, [
      { path: 'sys/bus/pci/devices/hello', link: '../nowhere' },
      { path: 'sys/bus/pci/devices/0000:00:03.0', link: '../../../devices/pci0000:00/0000:00:03.0' },
    ]);
    const { devices, notes } = await read(tar);
    expect(devices.map((device) => device.address)).toEqual(['0000:00:01.0']);
    expect(notes).toHaveLength(3);
  });

  test('an archive in which no device can be read is an InputError', async () => {
    await expect(read(sysfsTar({ '0000:00:02.0': {} }))).rejects.toThrow(
      'none of the 1 PCI devices can be read',
    );
    await expect(read(makeTar([{ path: 'sys/bus/pci/drivers/x/y' }]))).rejects.toThrow(
      'm.tar: no PCI devices',
    );
    await expect(read(makeTar([{ path: 'readme', data: 'x' }]))).rejects.toThrow('holds no sysfs tree');
  });

  test('domains of more than four digits (VMD) are addresses', async () => {
    const { devices } = await read(sysfsTar({ '10000:e1:00.0': { vendor: '0x8086' } }));
    expect(devices[0]!.address).toBe('10000:e1:00.0');
  });
});

describe('configuration space', () => {
  const one = async (config: Buffer) =>
    (await read(sysfsTar({ '0000:00:01.0': { vendor: '0x8086', config } }))).devices[0]!;

  test('64 bytes in a copy: the size is unknown, and so is every capability', async () => {
    const device = await one(configBytes(64));
    expect(device.config).toEqual({ bytes: expect.stringMatching(/40$/), read: 64 });
    expect(factsOf(device).pcie).toBeUndefined();
  });

  test('tar fills what it could not read with zeros: only 64 bytes count, and the size is known', async () => {
    const padded = Buffer.alloc(4096);
    configBytes(64).copy(padded);
    const device = await one(padded);
    expect(device.config).toMatchObject({ read: 64, size: 4096 });
    expect(factsOf(device).pcie).toBeUndefined();
  });

  test('zeros past a list that is really there stay read', async () => {
    const device = await one(configBytes(256));
    expect(device.config).toMatchObject({ read: 256, size: 256 });
    expect(factsOf(device).pcie).toBeNull();
  });

  test('a file longer than any configuration space is cut at 4096 bytes', async () => {
    const config = Buffer.alloc(100_000, 1);
    expect((await one(config)).config!.read).toBe(4096);
  });
});

describe('what a missing file means', () => {
  const device = { '0000:00:01.0': { vendor: '0x8086' } };
  const withItems = (items: TarItem[]): Promise<Snapshot> => read(sysfsTar(device, items));
  const dir = 'sys/devices/pci0000:00/0000:00:01.0';

  test('no iommu_groups and no sys/kernel in a copy: groups are unknown', async () => {
    expect((await withItems([])).groups).toBeUndefined();
  });
  test('sys/kernel without iommu_groups: a kernel without IOMMU support, no groups', async () => {
    expect((await withItems([{ path: 'sys/kernel/mm', directory: true }])).groups).toEqual([]);
  });
  test('an empty iommu_groups directory: no groups, and no device is translated', async () => {
    const snapshot = await withItems([{ path: 'sys/kernel/iommu_groups', directory: true }]);
    expect(snapshot.groups).toEqual([]);
    expect(snapshot.devices[0]!.iommu).toBeNull();
    expect(snapshot.iommus).toBeUndefined();
  });
  test("without the directory the devices' own links tell the groups", async () => {
    const snapshot = await withItems([
      { path: `${dir}/iommu_group`, link: '../../../kernel/iommu_groups/7' },
    ]);
    expect(snapshot.groups).toEqual([{ id: 7, devices: ['0000:00:01.0'] }]);
  });
  test('no iommu link: unknown, unless the tree shows such links or the class directory', async () => {
    expect((await withItems([])).devices[0]).not.toHaveProperty('iommu');
    const classDir = await withItems([{ path: 'sys/class/iommu', directory: true }]);
    expect(classDir.devices[0]!.iommu).toBeNull();
    expect(classDir.iommus).toEqual([]);
  });
});

describe('groups', () => {
  test('type, name, reserved regions and members that are not PCI', async () => {
    const group = 'sys/kernel/iommu_groups/3';
    const snapshot = await read(
      sysfsTar({ '0000:00:01.0': { vendor: '0x8086' } }, [
        { path: `${group}/type`, data: 'DMA-FQ\n' },
        { path: `${group}/name`, data: 'mine\n' },
        { path: `${group}/reserved_regions`, data: '0x00000000fee00000 0x00000000feefffff msi\njunk\n' },
        { path: `${group}/devices/0000:00:01.0`, link: '../../../../devices/pci0000:00/0000:00:01.0' },
        { path: `${group}/devices/INT34C5:00`, link: '../../../../devices/platform/INT34C5:00' },
        { path: 'sys/devices/platform/INT34C5:00/subsystem', link: '../../../bus/platform' },
        { path: 'sys/devices/platform/INT34C5:00/iommu', link: '../../virtual/iommu/dmar0' },
        { path: 'sys/kernel/iommu_groups/x/type', data: '' },
      ]),
    );
    expect(snapshot.groups).toEqual([
      {
        id: 3,
        type: 'DMA-FQ',
        name: 'mine',
        reservedRegions: [{ start: '0x00000000fee00000', end: '0x00000000feefffff', type: 'msi' }],
        devices: ['0000:00:01.0', 'INT34C5:00'],
      },
    ]);
    expect(snapshot.others).toEqual([
      { name: 'INT34C5:00', bus: 'platform', path: 'platform/INT34C5:00', driver: null, iommu: 'dmar0' },
    ]);
    expect(snapshot.notes).toEqual(['kernel/iommu_groups/x: not a group number; left out']);
  });

  test('IOMMU instances with their registers', async () => {
    const at = 'sys/devices/virtual/iommu/dmar0';
    const { iommus } = await read(
      sysfsTar({ '0000:00:01.0': { vendor: '0x8086' } }, [
        { path: 'sys/class/iommu/dmar0', link: '../../devices/virtual/iommu/dmar0' },
        { path: `${at}/intel-iommu/cap`, data: 'd2008c40660462\n' },
        { path: `${at}/intel-iommu/address`, data: 'fed90000\n' },
      ]),
    );
    expect(iommus).toEqual([
      {
        name: 'dmar0',
        registers: { address: 'fed90000', cap: 'd2008c40660462' },
        path: 'virtual/iommu/dmar0',
      },
    ]);
  });
});

describe('the machine', () => {
  const read1 = (items: TarItem[]) => read(sysfsTar({ '0000:00:01.0': { vendor: '0x8086' } }, items));

  test('board name without what firmware left unfilled, and never a serial number', async () => {
    const id = 'sys/class/dmi/id';
    const { board } = await read1([
      { path: `${id}/board_vendor`, data: 'To be filled by O.E.M.\n' },
      { path: `${id}/board_name`, data: 'X570 Phantom\n' },
      { path: `${id}/board_serial`, data: 'SN-1234\n' },
    ]);
    expect(board).toBe('X570 Phantom');
  });

  test('architecture from the release, kernel facts from proc', async () => {
    const { arch, kernel } = await read1([
      { path: 'proc/sys/kernel/osrelease', data: '5.14.0-70.el9.aarch64\n' },
      { path: 'proc/cmdline', data: 'quiet\n' },
    ]);
    expect(arch).toBe('aarch64');
    expect(kernel).toEqual({ release: '5.14.0-70.el9.aarch64', cmdline: 'quiet' });
  });

  test('an unreadable ACPI table is noted', async () => {
    const { acpi, notes } = await read1([
      { path: 'sys/firmware/acpi/tables/DMAR', data: '' },
      { path: 'sys/firmware/acpi/tables/IVRS', data: 'IVRS' },
    ]);
    expect(acpi).toEqual({ IVRS: '49565253' });
    expect(notes).toEqual(['ACPI table DMAR cannot be read; root can read it']);
  });

  test('/proc/bus/pci/devices gives the order, unless domains make it ambiguous', async () => {
    const functions = { '0000:00:01.0': { vendor: '0x1' }, '0000:00:02.0': { vendor: '0x1' } };
    const order = { path: 'proc/bus/pci/devices', data: '0010\t8086\t0\n0008\t8086\t0\n' };
    expect((await read(sysfsTar(functions, [order]))).deviceOrder).toEqual(['0000:00:02.0', '0000:00:01.0']);
    const ambiguous = sysfsTar({ ...functions, '0001:00:01.0': { vendor: '0x1' } }, [order]);
    expect((await read(ambiguous)).deviceOrder).toBeUndefined();
  });

  test('an archive of several machines asks for one', async () => {
    const tar = makeTar(['a', 'b'].map((top) => ({ path: `${top}/sys/bus/pci/devices`, directory: true })));
    await expect(read(tar)).rejects.toThrow('m.tar: holds several machines (a, b …); name one');
  });

  test('a copy of /sys/devices alone is walked', async () => {
    const tar = makeTar(
      [
        'pci0000:00/0000:00:01.0/0000:01:00.0',
        'pci0000:00/0000:00:01.0',
        'platform/soc/1.pcie/pci0001:00/0001:00:00.0',
      ].map((path) => ({ path: `sys/devices/${path}/vendor`, data: '0x8086' })),
    );
    const { devices } = await read(tar);
    expect(devices.map((device) => device.path)).toEqual([
      'pci0000:00/0000:00:01.0',
      'pci0000:00/0000:00:01.0/0000:01:00.0',
      'platform/soc/1.pcie/pci0001:00/0001:00:00.0',
    ]);
  });
});

describe('directories on disk', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ringfence-sysfs-'));
    mkdirSync(join(root, 'sys/bus/pci/devices'), { recursive: true });
    mkdirSync(join(root, 'sys/devices/pci0000:00/0000:00:01.0'), { recursive: true });
    symlinkSync('../../../devices/pci0000:00/0000:00:01.0', join(root, 'sys/bus/pci/devices/0000:00:01.0'));
    writeFileSync(join(root, 'sys/devices/pci0000:00/0000:00:01.0/device'), '0x10c9\n');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('pipes, links to endless files and unreadable files neither hang nor leak', async () => {
    const device = join(root, 'sys/devices/pci0000:00/0000:00:01.0');
    execFileSync('mkfifo', [join(device, 'vendor')]);
    symlinkSync('/dev/zero', join(device, 'config'));
    symlinkSync('/etc/passwd', join(device, 'power_state'));
    mkdirSync(join(device, 'uevent'));
    writeFileSync(join(device, 'irq'), '5\n');
    chmodSync(join(device, 'irq'), 0);
    const { devices, notes } = await readHost(root);
    expect(devices).toHaveLength(1);
    expect(devices[0]).toMatchObject({ device: 0x10c9 });
    expect(devices[0]).not.toHaveProperty('config');
    expect(devices[0]).not.toHaveProperty('powerState');
    expect(notes).toEqual(['0000:00:01.0: config cannot be read']);
  });

  test('a directory without sysfs, and a path that is not there, are InputErrors naming it', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    await expect(readHost(empty)).rejects.toThrow(`${empty}: holds no sysfs tree`);
    await expect(readHost(join(root, 'nothing'))).rejects.toThrow('no such file or directory');
    await expect(readHost('/dev/zero')).rejects.toThrow('a device, not a file');
    await expect(readHost('x'.repeat(5000))).rejects.toThrow('cannot be read (ENAMETOOLONG)');
    symlinkSync('loop', join(root, 'loop'));
    await expect(readHost(join(root, 'loop'))).rejects.toThrow('cannot be read (ELOOP)');
    await expect(readHost('a\0b')).rejects.toThrow('zero byte');
  });
});

test('this machine is read, whatever its privileges', async () => {
  const snapshot = await readHost(undefined);
  expect(snapshot.form).toBe('live');
  expect(snapshot.groups).toBeDefined();
  for (const device of snapshot.devices) expect(device.iommu).toBeDefined();
});

test('less detail tells the same of what it tells', async () => {
  const all = await readHost(undefined);
  const grouping = await readHost(undefined, { detail: 'grouping' });
  expect(grouping.devices.map(factsOf)).toEqual(all.devices.map(factsOf));
  const names = await readHost(undefined, { detail: 'names' });
  expect(names.groups?.map((group) => group.devices)).toEqual(all.groups?.map((group) => group.devices));
});

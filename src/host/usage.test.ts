import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sysfsTar, type TarItem } from '../../test/support/tar.ts';
import { readHost } from './read-host.ts';
import { readBytes } from './readers.ts';
import type { Snapshot } from './snapshot.ts';
import { readSnapshot } from './snapshot-reader.ts';
import { writeSnapshot } from './writer.ts';

const DISK = '0000:00:02.0';
const SECOND = '0000:00:03.0';
const NIC = '0000:00:04.0';
const USB = '0000:00:05.0';
const GPU = '0000:00:06.0';
const VMD = '0000:00:0e.0';

const uevent = 'PCI_CLASS=20000\nPCI_ID=8086:10C9\nPCI_SUBSYS_ID=1AF4:1100\n';
const FUNCTIONS = Object.fromEntries([DISK, SECOND, NIC, USB, GPU, VMD].map((at) => [at, { uevent }]));
const pci = (address: string, rest: string): string => `sys/devices/pci0000:00/${address}/${rest}`;

/** Links of sysfs lead up to its top and down again. */
function link(path: string, target: string): TarItem {
  return { path, link: `${'../'.repeat(path.split('/').length - 1)}${target}` };
}

/** A block device with its number, at a path below the tree's top. */
function block(
  number: string,
  at: string,
  more: { slaves?: string[]; holders?: string[]; part?: true } = {},
) {
  const name = at.slice(at.lastIndexOf('/') + 1);
  return [
    { path: `${at}/dev`, data: `${number}\n` },
    link(`sys/dev/block/${number}`, at),
    link(`sys/class/block/${name}`, at),
    ...(more.part ? [{ path: `${at}/partition`, data: '1\n' }] : []),
    ...(more.slaves ?? []).map((slave) => link(`${at}/slaves/${slave.split('/').at(-1)}`, slave)),
    ...(more.holders ?? []).map((holder) =>
      link(`${at}/holders/${holder}`, `sys/devices/virtual/block/${holder}`),
    ),
  ];
}

const mountinfo = (
  ...mounts: [number: string, point: string, type?: string, source?: string][]
): TarItem => ({
  path: 'proc/self/mountinfo',
  data: mounts
    .map(([number, point, type = 'ext4', source = '/dev/x'], i) => {
      return `${30 + i} 1 ${number} / ${point} rw,relatime shared:1 - ${type} ${source} rw\n`;
    })
    .join(''),
});

const NOTHING_MOUNTED = mountinfo(['0:21', '/proc', 'proc', 'proc']);
const SDA = pci(DISK, 'ata1/host0/target0:0:0/0:0:0:0/block/sda');
const SDB = pci(SECOND, 'ata2/host1/target1:0:0/1:0:0:0/block/sdb');

async function read(...more: TarItem[]): Promise<Snapshot> {
  return readBytes(sysfsTar(FUNCTIONS, more), 'm.tar');
}

/** Without what is not recorded of routes, monitors and input devices. */
async function used(...more: TarItem[]): Promise<unknown[]> {
  const { usage } = await read(...more);
  return (usage ?? []).filter((use) => use.device !== null || !use.detail.includes('not recorded'));
}

const SWAP_HEADING = 'Filename\tType\tSize\tUsed\tPriority\n';
const ROUTE_HEADING = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n';

/** What is in use through a function that cannot be told. */
async function open(...more: TarItem[]): Promise<string[]> {
  const { usage } = await read(
    { path: 'sys/class/drm/version', data: '' },
    { path: 'sys/class/input/mice/dev', data: '' },
    ...(more.some(({ path }) => path === 'proc/swaps') ? [] : [{ path: 'proc/swaps', data: SWAP_HEADING }]),
    ...(more.some(({ path }) => path === 'proc/net/route')
      ? []
      : [{ path: 'proc/net/route', data: ROUTE_HEADING }]),
    ...more,
  );
  return (usage ?? []).flatMap(({ device, kind, detail }) => (device === null ? [`${kind}: ${detail}`] : []));
}

describe('disks', () => {
  test('the root file system is on the partition of its number, a mount point with blanks is read', async () => {
    const uses = await used(
      ...block('8:0', SDA),
      ...block('8:1', `${SDA}/sda1`, { part: true }),
      ...block('8:17', `${SDB}/sdb1`, { part: true }),
      mountinfo(['8:1', '/'], ['8:17', '/srv/my\\040files']),
    );
    expect(uses).toEqual([
      { device: DISK, kind: 'root', detail: '/', through: 'sda1' },
      { device: SECOND, kind: 'mount', detail: '/srv/my files', through: 'sdb1' },
    ]);
  });

  test('a tree without links of numbers has the numbers in `dev`', async () => {
    const items = block('8:1', `${SDA}/sda1`, { part: true }).filter(
      ({ path }) => !path.startsWith('sys/dev/'),
    );
    expect(await used(...items, mountinfo(['8:1', '/']))).toEqual([
      { device: DISK, kind: 'root', detail: '/', through: 'sda1' },
    ]);
  });

  test('LVM on crypt on RAID leads down to every disk; a partition of an array to what the array is of', async () => {
    const virtual = 'sys/devices/virtual/block';
    const uses = await used(
      ...block('8:1', `${SDA}/sda1`, { part: true, holders: ['md0'] }),
      ...block('8:17', `${SDB}/sdb1`, { part: true, holders: ['md0'] }),
      ...block('9:0', `${virtual}/md0`, { slaves: [`${SDA}/sda1`, `${SDB}/sdb1`] }),
      ...block('259:0', `${virtual}/md0/md0p1`, { part: true }),
      ...block('252:0', `${virtual}/dm-0`, { slaves: [`${virtual}/md0/md0p1`] }),
      ...block('252:1', `${virtual}/dm-1`, { slaves: [`${virtual}/dm-0`] }),
      mountinfo(['252:1', '/']),
    );
    expect(uses).toEqual([
      { device: DISK, kind: 'root', detail: '/', through: 'sda1' },
      { device: SECOND, kind: 'root', detail: '/', through: 'sdb1' },
    ]);
  });

  test('bcache counts its cache as well as what it caches', async () => {
    const bcache = 'sys/devices/virtual/block/bcache0';
    const uses = await used(
      ...block('8:0', SDA),
      ...block('8:16', SDB),
      ...block('251:0', bcache, { slaves: [SDA, SDB] }),
      mountinfo(['251:0', '/home']),
    );
    expect(uses).toMatchObject([{ device: DISK }, { device: SECOND }]);
  });

  test('btrfs, which has no number of its own, is on all its devices', async () => {
    const uuid = 'sys/fs/btrfs/0b3c5f4e-5d3a-4b7e-8f21-00112233aabb';
    const uses = await used(
      ...block('8:0', SDA),
      ...block('8:16', SDB),
      link(`${uuid}/devices/sda`, SDA),
      link(`${uuid}/devices/sdb`, SDB),
      mountinfo(['0:30', '/', 'btrfs', '/dev/sda'], ['0:30', '/home', 'btrfs', '/dev/sda']),
    );
    expect(uses).toEqual([
      { device: DISK, kind: 'root', detail: '/', through: 'sda' },
      { device: SECOND, kind: 'root', detail: '/', through: 'sdb' },
      { device: DISK, kind: 'mount', detail: '/home', through: 'sda' },
      { device: SECOND, kind: 'mount', detail: '/home', through: 'sdb' },
    ]);
  });

  test('btrfs on a volume is found by the name of the volume', async () => {
    const dm = 'sys/devices/virtual/block/dm-0';
    const uses = await used(
      ...block('8:0', SDA),
      ...block('252:0', dm, { slaves: [SDA] }),
      { path: `${dm}/dm/name`, data: 'vg-root\n' },
      mountinfo(['0:30', '/', 'btrfs', '/dev/mapper/vg-root']),
    );
    expect(uses).toEqual([{ device: DISK, kind: 'root', detail: '/', through: 'sda' }]);
  });

  test('bcachefs names all its devices', async () => {
    const uses = await used(
      ...block('8:0', SDA),
      ...block('8:16', SDB),
      mountinfo(['0:31', '/data', 'bcachefs', '/dev/sda:/dev/sdb']),
    );
    expect(uses).toMatchObject([{ device: DISK }, { device: SECOND }]);
  });

  test('which disks a zfs pool is on is not known', async () => {
    expect(await used(mountinfo(['0:40', '/', 'zfs', 'tank/root']))).toEqual([
      { device: null, kind: 'root', detail: '/ (zfs)' },
    ]);
  });

  test('memory, networks and the kernel itself are no disks', async () => {
    const uses = await used(
      ...block('253:0', 'sys/devices/virtual/block/zram0'),
      mountinfo(['0:40', '/', 'overlay', 'overlay'], ['0:41', '/nfs', 'nfs4', 'a:/b'], ['253:0', '/tmp']),
    );
    expect(uses).toEqual([]);
  });

  test('a number that the tree has no device for is in use on some disk', async () => {
    expect(await used(mountinfo(['8:99', '/data']))).toEqual([
      { device: null, kind: 'mount', detail: '/data (ext4)' },
    ]);
  });

  test('a file system whose source is a disk is on it, whatever its kind', async () => {
    expect(await used(...block('8:0', SDA), mountinfo(['0:44', '/x', 'newfs', '/dev/sda']))).toMatchObject([
      { device: DISK, kind: 'mount' },
    ]);
  });

  test('what was read only in part is in use on some disk', async () => {
    expect(await open(NOTHING_MOUNTED)).toEqual([]);
    expect(await open({ path: 'proc/self/mountinfo', data: '' })).toEqual(['root: no mounts are listed']);
    expect(await open({ path: 'proc/self/mountinfo', data: 'a b c\n' })).toEqual([
      'mount: lines of mountinfo that cannot be understood',
      'root: no mounts are listed',
    ]);
    for (const data of ['', 'garbage\n', 'garbage\ngarbage\n', `${SWAP_HEADING}garbage\n`])
      expect(await open(NOTHING_MOUNTED, { path: 'proc/swaps', data })).toEqual([
        'swap: lines of /proc/swaps that cannot be understood',
      ]);
  });

  test('where /proc/swaps is missing, memory figures may say that there is none', async () => {
    const swap = async (...more: TarItem[]) =>
      (await read(NOTHING_MOUNTED, ...more)).usage!.filter(({ kind }) => kind === 'swap');
    expect(await swap()).toEqual([{ device: null, kind: 'swap', detail: 'swap is not recorded' }]);
    expect(await swap({ path: 'proc/meminfo', data: 'MemTotal: 1 kB\nSwapTotal:       0 kB\n' })).toEqual([]);
  });

  test('a volume of which the tree does not say what it is made of is on some disk', async () => {
    const uses = await open(
      ...block('252:0', 'sys/devices/virtual/block/dm-0'),
      mountinfo(['252:0', '/data']),
    );
    expect(uses).toEqual(['mount: /data (ext4)']);
  });

  test('more uses than can be listed: the rest is in use somewhere', async () => {
    const many = Array.from({ length: 4200 }, (_, i): [string, string] => ['8:0', `/m${i}`]);
    expect(await open(...block('8:0', SDA), mountinfo(...many))).toEqual(['mount: more than can be listed']);
  });

  test('swap on a partition and in a file', async () => {
    const uses = await used(
      ...block('8:1', `${SDA}/sda1`, { part: true }),
      ...block('8:17', `${SDB}/sdb1`, { part: true }),
      mountinfo(['8:1', '/']),
      {
        path: 'proc/swaps',
        data: 'Filename Type Size Used Priority\n/dev/sdb1 partition 1 0 -2\n/swap\\040file file 1 0 -3\n',
      },
    );
    expect(uses.slice(1)).toEqual([
      { device: SECOND, kind: 'swap', detail: '/dev/sdb1', through: 'sdb1' },
      { device: DISK, kind: 'swap', detail: '/swap file', through: 'sda1' },
    ]);
  });

  test('a disk of an array of which nothing is mounted is in use all the same', async () => {
    const uses = await used(...block('8:0', SDA, { holders: ['md127'] }), NOTHING_MOUNTED);
    expect(uses).toEqual([{ device: DISK, kind: 'volume', detail: 'md127', through: 'sda' }]);
  });

  test('a USB stick comes through its controller, an NVMe drive behind VMD through its own function', async () => {
    const stick = pci(USB, 'usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:0/block/sdc');
    const nvme = pci(VMD, 'pci10000:e0/10000:e0:01.0/10000:e1:00.0/nvme/nvme0/nvme0n1');
    const uses = await used(
      ...block('8:32', stick),
      ...block('259:0', nvme),
      mountinfo(['8:32', '/mnt'], ['259:0', '/']),
    );
    expect(uses).toMatchObject([
      { device: USB, detail: '/mnt' },
      { device: '10000:e1:00.0', detail: '/' },
    ]);
  });

  test('with multipath an NVMe namespace is on every controller of its subsystem', async () => {
    const subsystem = 'sys/devices/virtual/nvme-subsystem/nvme-subsys0';
    const uses = await used(
      ...block('259:0', `${subsystem}/nvme0n1`),
      ...block('259:1', `${subsystem}/nvme0n1/nvme0n1p1`, { part: true }),
      link(`${subsystem}/nvme0`, pci(DISK, 'nvme/nvme0')),
      link(`${subsystem}/nvme1`, pci(SECOND, 'nvme/nvme1')),
      mountinfo(['259:1', '/']),
    );
    expect(uses).toMatchObject([{ device: DISK, through: 'nvme0n1p1' }, { device: SECOND }]);
  });

  test('volumes that claim to be made of each other end the search', async () => {
    const [a, b] = ['sys/devices/virtual/block/dm-0', 'sys/devices/virtual/block/dm-1'];
    const items = [...block('252:0', a, { slaves: [b] }), ...block('252:1', b, { slaves: [a, SDA] })];
    expect(await used(...items, mountinfo(['252:0', '/']))).toMatchObject([{ device: DISK }]);
  });
});

describe('network', () => {
  const net = (name: string, at: string): TarItem[] => [
    { path: `${at}/operstate`, data: 'up\n' },
    link(`sys/class/net/${name}`, at),
  ];
  const ETH0 = pci(NIC, 'net/eth0');
  const routes = (...lines: string[]): TarItem => ({
    path: 'proc/net/route',
    data: `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n${lines.join('\n')}\n`,
  });
  const DEFAULT = '00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0';

  test('the default route leads through the function of its interface; no address is kept', async () => {
    const snapshot = await read(NOTHING_MOUNTED, ...net('eth0', ETH0), routes(`eth0\t${DEFAULT}`));
    expect(snapshot.usage).toContainEqual({ device: NIC, kind: 'network', detail: 'eth0', through: 'eth0' });
    expect(JSON.stringify(snapshot)).not.toContain('0102000A');
  });

  test.each([
    ['ppp0, which stands on nothing', net('ppp0', 'sys/devices/virtual/net/ppp0')],
    ['an interface that is not there', []],
    [
      'a VLAN on Open vSwitch, which has no links to its ports',
      [
        ...net('ppp0', 'sys/devices/virtual/net/ppp0'),
        { path: 'sys/devices/virtual/net/ppp0/lower_ovs', link: '../ovs' },
        ...net('ovs', 'sys/devices/virtual/net/ovs'),
      ],
    ],
  ])('the default route over %s leads through some function', async (_, items) => {
    const uses = await open(NOTHING_MOUNTED, ...net('eth0', ETH0), ...items, routes(`ppp0\t${DEFAULT}`));
    expect(uses).toEqual(['network: the default route leads over ppp0']);
  });

  test('an interface of another bus leads through no function', async () => {
    const items = net('end0', 'sys/devices/platform/soc/fd58.ethernet/net/end0');
    expect(await open(NOTHING_MOUNTED, ...items, routes(`end0\t${DEFAULT}`))).toEqual([]);
  });

  test('routes that are not understood may be any', async () => {
    for (const data of ['junk\n', `${ROUTE_HEADING}eth0 garbage\n`])
      expect(await open(NOTHING_MOUNTED, { path: 'proc/net/route', data })).toEqual([
        'network: routes that cannot be understood',
      ]);
    expect(await open(NOTHING_MOUNTED, { path: 'proc/net/ipv6_route', data: 'junk\n' })).toEqual([
      'network: routes that cannot be understood',
    ]);
  });

  test.each([
    ['nfs', '10.0.0.1:/root', []],
    ['ext4', '/dev/sdx', block('8:0', 'sys/devices/platform/host9/session1/target9:0:0/9:0:0:0/block/sdx')],
  ])(
    'root that comes over the network (%s) is in use on the only interface with routes',
    async (type, source, items) => {
      const root = mountinfo([items.length === 0 ? '0:50' : '8:0', '/', type, source]);
      const lan = '0000000A\t00000000\t0001\t0\t0\t0\t000000FF';
      const eth1 = net('eth1', pci(SECOND, 'net/eth1'));
      const nets = [...net('eth0', ETH0), ...eth1];
      const one = await used(root, ...items, ...nets, routes(`eth0\t${lan}`));
      expect(one).toContainEqual({ device: NIC, kind: 'root', detail: `/ (${type})`, through: 'eth0' });
      const two = await used(root, ...items, ...nets, routes(`eth0\t${lan}`, `eth1\t${DEFAULT}`));
      expect(two).toContainEqual({
        device: null,
        kind: 'network',
        detail: `the root file system (${type}) comes over the network`,
      });
    },
  );

  test.each([
    ['linked', [{ path: 'sys/devices/virtual/net/br0/lower_bond0', link: '../bond0' }]],
    ['in brif', [{ path: 'sys/devices/virtual/net/br0/brif/bond0', link: '../../bond0/brport' }]],
  ])('a bridge over a bond over a VLAN works through the port below (%s)', async (_, lower) => {
    const virtual = 'sys/devices/virtual/net';
    const uses = await used(
      NOTHING_MOUNTED,
      ...net('br0', `${virtual}/br0`),
      ...net('bond0', `${virtual}/bond0`),
      ...net('eth0', ETH0),
      ...lower,
      { path: `${virtual}/bond0/bonding/slaves`, data: 'eth0\n' },
      routes(`br0\t${DEFAULT}`),
    );
    expect(uses).toEqual([{ device: NIC, kind: 'network', detail: 'br0', through: 'eth0' }]);
  });

  test('IPv6: default and other routes count, rejecting ones and those every interface has do not', async () => {
    const zero = '0'.repeat(32);
    const line = (to: string, length: string, flags: string, name: string): string =>
      `${to} ${length} ${zero} 00 ${zero} 00000400 00000001 00000000 ${flags}     ${name}`;
    const uses = await used(
      NOTHING_MOUNTED,
      ...net('eth0', ETH0),
      ...net('eth1', pci(SECOND, 'net/eth1')),
      ...net('eth2', pci(USB, 'net/eth2')),
      {
        path: 'proc/net/ipv6_route',
        data: [
          line(zero, '00', '00000003', 'eth0'),
          line(zero, '00', '00200200', 'lo'),
          line(`fd00${'0'.repeat(28)}`, '40', '00000001', 'eth1'),
          line(`fe80${'0'.repeat(28)}`, '40', '00000001', 'eth2'),
          line(`ff00${'0'.repeat(28)}`, '08', '00000001', 'eth2'),
          line(`fd00${'0'.repeat(27)}2`, '80', '80200001', 'eth2'),
        ].join('\n'),
      },
    );
    expect(uses).toEqual([
      { device: NIC, kind: 'network', detail: 'eth0', through: 'eth0' },
      { device: SECOND, kind: 'route', detail: 'eth1', through: 'eth1' },
    ]);
  });
});

describe('seat', () => {
  test('a monitor is in use, a connector without one is not', async () => {
    const uses = await used(
      NOTHING_MOUNTED,
      { path: pci(GPU, 'drm/card0/card0-HDMI-A-1/status'), data: 'connected\n' },
      link('sys/class/drm/card0-HDMI-A-1', pci(GPU, 'drm/card0/card0-HDMI-A-1')),
      { path: pci(GPU, 'drm/card0/card0-DP-1/status'), data: 'disconnected\n' },
      link('sys/class/drm/card0-DP-1', pci(GPU, 'drm/card0/card0-DP-1')),
    );
    expect(uses).toEqual([{ device: GPU, kind: 'display', detail: 'HDMI-A-1' }]);
  });

  test('keyboards and mice by what they send; sockets of a sound card and buttons are neither', async () => {
    const input = (number: number, at: string, capabilities: Record<string, string>): TarItem[] => [
      ...Object.entries(capabilities).map(([name, data]) => ({
        path: `${at}/input${number}/capabilities/${name}`,
        data: `${data}\n`,
      })),
      link(`sys/class/input/input${number}`, `${at}/input${number}`),
    ];
    const KEYBOARD = { key: '10000 7 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe', rel: '0' };
    const uses = await used(
      NOTHING_MOUNTED,
      ...input(1, pci(USB, 'usb1/1-4/1-4:1.0/input'), KEYBOARD),
      ...input(2, pci(USB, 'usb1/1-5/1-5:1.0/input'), {
        key: '1f0000 0 0 0 0',
        rel: '143',
      }),
      ...input(3, pci(GPU, 'sound/card0'), KEYBOARD),
      ...input(4, pci(USB, 'usb1/1-6/1-6:1.0/input'), { key: '1', rel: '0' }),
      ...input(5, 'sys/devices/platform/i8042/serio0/input', KEYBOARD),
    );
    expect(uses).toEqual([
      { device: USB, kind: 'input', detail: 'keyboard', through: 'usb 1-4' },
      { device: USB, kind: 'input', detail: 'mouse', through: 'usb 1-5' },
    ]);
  });
});

describe('what is not recorded', () => {
  test('without mounts nobody knows what is in use', async () => {
    expect(await read()).not.toHaveProperty('usage');
  });

  test('of a copy, what it lacks beside mounts is open', async () => {
    const { usage } = await read(NOTHING_MOUNTED);
    expect(usage).toEqual(
      ['swap', 'network', 'display', 'input'].map((kind) => ({
        device: null,
        kind,
        detail: expect.stringContaining('not recorded'),
      })),
    );
  });
});

test('a directory is read as an archive is', async () => {
  const root = mkdtempSync(join(tmpdir(), 'ringfence-usage-'));
  try {
    const items = [...block('8:1', `${SDA}/sda1`, { part: true }), mountinfo(['8:1', '/'])];
    for (const { path, data, link: target } of items) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      if (target === undefined) writeFileSync(join(root, path), data ?? '');
      else symlinkSync(target, join(root, path));
    }
    mkdirSync(join(root, `sys/devices/pci0000:00/${DISK}`), { recursive: true });
    writeFileSync(join(root, `sys/devices/pci0000:00/${DISK}/uevent`), uevent);
    mkdirSync(join(root, 'sys/bus/pci/devices'), { recursive: true });
    symlinkSync(`../../../devices/pci0000:00/${DISK}`, join(root, `sys/bus/pci/devices/${DISK}`));
    expect((await readHost(root)).usage).toContainEqual({
      device: DISK,
      kind: 'root',
      detail: '/',
      through: 'sda1',
    });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('captures keep it, without UUIDs, user names, labels and names made of MAC addresses', async () => {
  const snapshot = await read(
    ...block('8:1', `${SDA}/sda1`, { part: true }),
    mountinfo(
      ['8:1', '/'],
      ['8:1', '/run/media/anna/HOLIDAYS'],
      ['8:1', '/var/pods/0b3c5f4e-5d3a-4b7e-8f21-00112233aabb/volume'],
    ),
    { path: pci(USB, 'usb1/net/enx00e04c680001/mtu'), data: '1500' },
    link('sys/class/net/enx00e04c680001', pci(USB, 'usb1/net/enx00e04c680001')),
    {
      path: 'proc/net/route',
      data: `${ROUTE_HEADING}enx00e04c680001 00000000 0102000A 0003 0 0 0 00000000\n`,
    },
  );
  const kept = await readSnapshot(writeSnapshot(snapshot, { keepSerials: true }), 's.json');
  expect(kept.usage).toEqual(snapshot.usage);
  const written = writeSnapshot(snapshot).toString();
  expect(written).not.toMatch(/anna|HOLIDAYS|0b3c5f4e|00e04c680001/);
  expect((await readSnapshot(Buffer.from(written), 's.json')).usage).toContainEqual({
    device: USB,
    kind: 'network',
    detail: 'enx000000000000',
    through: 'enx000000000000',
  });
});

describe('junk', () => {
  test('lines nobody understands are counted in a note', async () => {
    const { notes } = await read(
      { path: 'proc/self/mountinfo', data: 'what\n1 2 x:y / / rw - ext4 a b\n' },
      { path: 'proc/swaps', data: 'Filename\nsoup\n' },
      { path: 'proc/net/route', data: 'Iface\neth0 zz\n' },
    );
    expect(notes).toEqual(
      expect.arrayContaining([
        'proc/self/mountinfo: 2 lines cannot be understood; left out',
        'proc/swaps: 1 lines cannot be understood; left out',
        'proc/net: 1 routes cannot be understood; left out',
      ]),
    );
  });

  test('names that are paths lead nowhere', async () => {
    const uses = await used(
      mountinfo(['0:30', '/', 'btrfs', '/dev/../../../etc']),
      { path: 'proc/net/route', data: `${ROUTE_HEADING}../../x 00000000 0 0003 0 0 0 00000000\n` },
      { path: 'proc/swaps', data: `${SWAP_HEADING}/dev/.. partition 0 0 0\n` },
    );
    expect(uses.every((use) => (use as { device: unknown }).device === null)).toBe(true);
  });

  test('a mount point cannot break the line of a report', async () => {
    const uses = await used(...block('8:0', SDA), mountinfo(['8:0', '/a\\012b\\033[31m']));
    expect(uses).toMatchObject([{ detail: '/a?b?[31m' }]);
  });

  test('any bytes in these files give a snapshot that can be written and read back', async () => {
    const word = fc.oneof(
      fc.constantFrom(
        '8:1',
        '/',
        '-',
        'ext4',
        'btrfs',
        '/dev/sda',
        '00000000',
        '0003',
        'eth0',
        '\0',
        '\\040',
      ),
      fc.string({ maxLength: 12 }),
    );
    const text = fc.array(fc.array(word, { maxLength: 14 }), { maxLength: 8 }).map((lines) => {
      return lines.map((words) => words.join(' ')).join('\n');
    });
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (mounts, swaps, route, route6) => {
        const snapshot = await read(
          ...block('8:1', `${SDA}/sda`),
          link('sys/class/net/eth0', pci(NIC, 'net/eth0')),
          { path: pci(NIC, 'net/eth0/lower_eth0'), data: '' },
          { path: 'proc/self/mountinfo', data: mounts },
          { path: 'proc/swaps', data: swaps },
          { path: 'proc/net/route', data: route },
          { path: 'proc/net/ipv6_route', data: route6 },
          { path: pci(USB, 'input/input1/capabilities/key'), data: swaps },
          link('sys/class/input/input1', pci(USB, 'input/input1')),
        );
        const back = await readSnapshot(writeSnapshot(snapshot), 's.json');
        expect(back.usage?.length).toBe(snapshot.usage?.length);
      }),
      { numRuns: 150 },
    );
  });
});

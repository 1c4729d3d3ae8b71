import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generate } from '../../test/support/generate.ts';
import { readHost } from '../host/read-host.ts';
import type { PciFacts, Snapshot, UsageFacts } from '../host/snapshot.ts';
import { boot } from '../machine/boot.ts';
import { PciIds } from '../pci/ids.ts';
import { checkReport } from './check.ts';
import { Describer } from './describe.ts';
import { type CheckPolicy, DEFAULT_CHECK_POLICY, FINDING_CODES } from './policy.ts';
import type { CheckReport, Finding } from './report.ts';

const at = (path: string): string => new URL(`../../${path}`, import.meta.url).pathname;
const recorded = (name: string): Promise<Snapshot> => readHost(at(`test/fixtures/machines/${name}.tar.gz`));
const example = (name: string): Promise<Snapshot> => readHost(at(`examples/${name}.json`));

/** @param names short addresses, blanks between */
function check(
  snapshot: Snapshot,
  names: string,
  policy: CheckPolicy = DEFAULT_CHECK_POLICY,
  options: { extraCommandLine?: string } = {},
): CheckReport {
  const describer = new Describer(snapshot, new PciIds(''));
  const full = names.split(' ').map((name) => (name.length < 12 ? `0000:${name}` : name));
  return checkReport(describer, boot(snapshot, options), full, policy);
}

const codes = ({ findings }: CheckReport, ...severities: Finding['severity'][]): string[] =>
  findings.filter(({ severity }) => severities.includes(severity)).map(({ code }) => code);

function find(report: CheckReport, code: string): Finding {
  const found = report.findings.find((finding) => finding.code === code);
  if (found === undefined) throw new Error(`no ${code} in ${report.findings.map((f) => f.code).join(' ')}`);
  return found;
}

function change(snapshot: Snapshot, address: string, facts: Partial<PciFacts>): Snapshot {
  const devices = snapshot.devices.map((device) =>
    device.address === `0000:${address}` ? { ...device, ...facts } : device,
  );
  return { ...snapshot, devices };
}

const withCmdline = (snapshot: Snapshot, words: string): Snapshot => ({
  ...snapshot,
  kernel: { ...snapshot.kernel, cmdline: `${snapshot.kernel.cmdline} ${words}` },
});

const withRelease = (snapshot: Snapshot, release: string | undefined): Snapshot => ({
  ...snapshot,
  kernel: { cmdline: snapshot.kernel.cmdline ?? '', ...(release !== undefined && { release }) },
});

describe('recorded machines', () => {
  test('vfio: the other function has no driver in the recording, so nothing is in the way; it is named', async () => {
    const report = check(await recorded('vfio'), '01:00.0');
    expect(report.verdict).toBe('yes');
    expect(codes(report, 'refusal', 'unknown')).toEqual([]);
    expect(report.groups[0]!.members.map(({ address, role }) => [address, role])).toEqual([
      ['0000:01:00.0', 'asked'],
      ['0000:01:00.1', 'no driver'],
    ]);
    expect(codes(report, 'warning')).toEqual(['left-behind']);
    expect(find(report, 'left-behind').what).toMatch(/^01:00\.1 .*\(no driver\)/);
  });

  test('vfio: bound to its driver, the other function is the only thing in the way, by name', async () => {
    const report = check(change(await recorded('vfio'), '01:00.1', { driver: 'e1000e' }), '01:00.0');
    expect(report.verdict).toBe('no');
    expect(codes(report, 'refusal', 'unknown', 'warning')).toEqual(['member-in-use']);
    expect(find(report, 'member-in-use')).toMatchObject({
      device: '0000:01:00.1',
      detail: 'e1000e',
      concerns: ['0000:01:00.0'],
    });
  });

  test('vfio: asked for together they can go, whoever drives them', async () => {
    const bound = change(await recorded('vfio'), '01:00.1', { driver: 'e1000e' });
    const report = check({ ...bound, usage: [] }, '01:00.0 01:00.1');
    expect(report.verdict).toBe('yes');
  });

  test('root-ports: what a host driver has may be in use, which the recording does not tell', async () => {
    const snapshot = await recorded('root-ports');
    expect(codes(check(snapshot, '03:00.0'), 'refusal', 'unknown')).toEqual(['usage-unread']);
    expect(check({ ...snapshot, usage: [] }, '03:00.0').verdict).toBe('yes');
  });

  test.each(['00:08.0', '01:00.0', '02:00.0'])('root-ports: %s can go', async (name) => {
    expect(check(await recorded('root-ports'), name).verdict).toBe('yes');
  });

  test('none: no, there is no IOMMU', async () => {
    const report = check(await recorded('none'), '01:00.0');
    expect(report.verdict).toBe('no');
    expect(codes(report, 'refusal', 'unknown')).toEqual(['no-iommu']);
  });

  test('amd: the IOMMU function itself is in no group', async () => {
    expect(codes(check(await recorded('amd'), '00:01.0'), 'refusal')).toEqual(['no-group']);
  });

  test('switch: bridges in the group are not blamed', async () => {
    const report = check(await recorded('switch'), '04:00.0');
    expect(report.verdict).toBe('yes');
    expect(report.groups[0]!.members).toContainEqual(expect.objectContaining({ role: 'shares' }));
  });

  test('virtio-iommu-bound: a device without a driver has no group yet, which is not the same as none', async () => {
    const report = check(await recorded('virtio-iommu-bound'), '07:01.0');
    expect(find(report, 'no-group').severity).toBe('unknown');
  });

  test('sriov-igb: a virtual function that shares its group with the physical one', async () => {
    const report = check(await recorded('sriov-igb'), '02:10.0');
    expect(find(report, 'member-in-use')).toMatchObject({ device: '0000:02:00.0', detail: 'igb' });
    expect(find(report, 'member-in-use').remedy).toContain('virtual functions');
  });

  test('pcie-pci-bridge: a card without FLR behind a bridge is reset with its neighbours only', async () => {
    const finding = find(check(await recorded('pcie-pci-bridge'), '05:01.0'), 'reset-scope');
    expect(finding).toMatchObject({ severity: 'warning', detail: '0000:06:01.0' });
  });
});

describe('who may share a group (groups-core.md 9)', () => {
  test.each([
    // Bridges other than root ports were let pass until every driver had to say so itself.
    ['6.12.1', 'shpchp', 'no'],
    ['5.19.0', 'shpchp', 'no'],
    ['5.18.19', 'shpchp', 'yes'],
    ['4.4.0', 'shpchp', 'yes'],
    ['4.3.9', 'shpchp', 'no'],
    ['4.3.9', 'pcieport', 'yes'],
    ['3.11.0', 'pcieport', 'yes'],
    ['3.10.0', 'pcieport', 'no'],
    ['3.10.0', 'pci-stub', 'yes'],
    ['3.6.0', 'vfio-pci', 'yes'],
    [undefined, 'shpchp', 'cannot tell'],
    [undefined, 'pcieport', 'yes'],
    ['5.14.0-427.el9.x86_64', 'shpchp', 'cannot tell'],
  ])('kernel %s, bridge bound to %s: %s', async (release, driver, verdict) => {
    const snapshot = withRelease(change(await recorded('switch'), '02:01.0', { driver }), release);
    expect(check(snapshot, '04:00.0').verdict).toBe(verdict);
  });

  test('a driver that does not share is in the way on any kernel', async () => {
    const snapshot = change(await recorded('vfio'), '01:00.1', { driver: 'e1000e' });
    for (const release of ['3.6.0', '4.19.0', '5.10.0', '6.12.0', undefined])
      expect(codes(check(withRelease(snapshot, release), '01:00.0'), 'refusal')).toEqual(['member-in-use']);
  });

  test('a driver that is not recorded may be in the way', async () => {
    const snapshot = await recorded('vfio');
    for (const device of snapshot.devices) if (device.address === '0000:01:00.1') delete device.driver;
    const report = check(snapshot, '01:00.0');
    expect(report.verdict).toBe('cannot tell');
    expect(find(report, 'member-in-use')).toMatchObject({ severity: 'unknown', device: '0000:01:00.1' });
  });

  test('before 3.6 members are not doubted besides', async () => {
    const bound = change(await recorded('vfio'), '01:00.1', { driver: 'e1000e' });
    expect(codes(check(withRelease(bound, '3.5.0'), '01:00.0'), 'refusal', 'unknown')).toEqual(['no-vfio']);
  });

  test('before 3.6 there is no VFIO', async () => {
    expect(codes(check(withRelease(await recorded('vfio'), '3.5.0'), '01:00.0'), 'refusal')).toContain(
      'no-vfio',
    );
  });
});

describe('reserved memory', () => {
  test('server: a region that must stay mapped (RMRR) refuses, and names whose it is', async () => {
    const report = check(await example('server'), '19:00.0');
    expect(codes(report, 'refusal')).toEqual(['reserved-region']);
    expect(find(report, 'reserved-region')).toMatchObject({
      device: '0000:19:00.0',
      detail: '0x6f5e8000-0x6f5effff',
    });
  });

  test('it refuses for every member of the group', async () => {
    const snapshot = await recorded('vfio');
    const region = { start: '0x0000000080000000', end: '0x0000000080ffffff', type: 'direct' };
    for (const group of snapshot.groups ?? []) group.reservedRegions?.push(region);
    expect(codes(check(snapshot, '01:00.0'), 'refusal')).toEqual(['reserved-region']);
  });

  test('laptop: a relaxable one, of graphics, is only noted', async () => {
    expect(find(check(await example('laptop'), '00:02.0'), 'relaxable-region').severity).toBe('note');
  });

  test('on AMD they are called what AMD calls them', async () => {
    const snapshot = await recorded('amd');
    const region = { start: '0x80000000', end: '0x80ffffff', type: 'direct' };
    for (const group of snapshot.groups ?? []) group.reservedRegions?.push(region);
    const { what } = find(check(snapshot, '05:00.0'), 'reserved-region');
    expect(what).toContain('IVMD');
    expect(what).not.toContain('RMRR');
  });

  test('where neither regions nor tables are recorded it may be', async () => {
    const snapshot = await recorded('root-ports');
    for (const group of snapshot.groups ?? []) delete group.reservedRegions;
    const report = check({ ...snapshot, acpi: {} }, '02:00.0');
    expect(find(report, 'reserved-region').severity).toBe('unknown');
    expect(report.verdict).toBe('cannot tell');
  });
});

describe('isolation that is only claimed', () => {
  test('a kernel that obeys pcie_acs_override= splits what the hardware does not', async () => {
    const snapshot = withCmdline(
      await recorded('acs-off'),
      'pcie_acs_override=id:1b36:000c,downstream,multifunction',
    );
    const claimed = boot(snapshot).groups();
    const lied: Snapshot = { ...snapshot, groups: claimed };
    const name = '02:00.0';
    const before = check(await recorded('acs-off'), name).groups[0]!.members.length;
    const report = check(lied, name);
    expect(report.groups[0]!.members.length).toBeLessThan(before);
    expect(codes(report, 'refusal')).toContain('claimed-isolation');
  });

  test('where no groups were recorded, the command line alone tells', async () => {
    const { groups: _, ...snapshot } = withCmdline(
      await recorded('acs-off'),
      'pcie_acs_override=downstream,multifunction',
    );
    expect(codes(check(snapshot, '02:00.0'), 'refusal')).toContain('claimed-isolation');
  });

  /** A split that no rule makes. */
  const splitUp = async (): Promise<Snapshot> => {
    const snapshot = await recorded('disable-acs-redir');
    const together = snapshot.groups!.find(({ devices }) => devices.includes('0000:01:00.0'))!;
    const others = together.devices.filter((name) => name !== '0000:01:00.0');
    together.devices = ['0000:01:00.0'];
    snapshot.groups!.push({ ...together, id: 99, devices: others });
    return snapshot;
  };

  test('another split than the rules make: whether it isolates cannot be told', async () => {
    const report = check(await splitUp(), '01:00.0');
    expect(find(report, 'groups-differ').severity).toBe('unknown');
    expect(report.verdict).toBe('cannot tell');
  });

  test('with an override on the command line the split is its claim, whether it explains all of it or not', async () => {
    const report = check(withCmdline(await splitUp(), 'pcie_acs_override=id:dead:beef'), '01:00.0');
    expect(codes(report, 'refusal')).toContain('claimed-isolation');
  });

  test('without a command line it may be', async () => {
    const snapshot = await splitUp();
    const { cmdline: _, ...kernel } = snapshot.kernel;
    const report = check({ ...snapshot, kernel }, '01:00.0');
    expect(['refusal', 'unknown']).toContain(find(report, 'claimed-isolation').severity);
    expect(report.verdict).not.toBe('yes');
  });
});

describe('what the host uses', () => {
  const using = async (name: string, ...usage: UsageFacts[]): Promise<Snapshot> => ({
    ...(await example(name)),
    usage,
  });
  const use = (device: string, kind: UsageFacts['kind'], detail: string, through?: string): UsageFacts => ({
    device: `0000:${device}`,
    kind,
    detail,
    ...(through !== undefined && { through }),
  });

  test.each([
    [
      use('01:00.0', 'root', '/', 'nvme0n1p3'),
      'in-use',
      'refusal',
      'the root file system is on it (nvme0n1p3)',
    ],
    [use('01:00.0', 'mount', '/home', 'nvme0n1p4'), 'in-use', 'refusal', '/home is mounted from it'],
    [use('01:00.0', 'swap', '/dev/nvme0n1p2', 'nvme0n1p2'), 'in-use', 'refusal', 'it holds swap space'],
    [use('01:00.0', 'volume', 'md0', 'nvme0n1p5'), 'in-use', 'refusal', 'it is part of md0'],
    [use('00:14.3', 'network', 'br0', 'wlan0'), 'in-use-network', 'refusal', 'through it (br0 on wlan0)'],
    [use('00:14.3', 'route', 'wlan0', 'wlan0'), 'in-use-route', 'warning', 'routes lead through it (wlan0)'],
    [use('00:02.0', 'display', 'eDP-1'), 'in-use-display', 'refusal', 'a monitor is connected to eDP-1'],
    [use('00:14.0', 'input', 'keyboard', 'usb 1-4'), 'in-use-input', 'refusal', 'keyboard connected to it'],
  ] as const)('%o', async (one, code, severity, words) => {
    const report = check(await using('laptop', one), one.device!);
    expect(find(report, code)).toMatchObject({ severity, device: one.device, detail: one.detail });
    expect(find(report, code).what).toContain(words);
  });

  test('many mounts make one finding, with the first few by name', async () => {
    const mounts = ['/a', '/b', '/c', '/d', '/e', '/f'].map((point) =>
      use('01:00.0', 'mount', point, 'sda1'),
    );
    const { what } = find(check(await using('laptop', ...mounts), '01:00.0'), 'in-use');
    expect(what).toContain('/a, /b, /c, /d and 2 more are mounted from it (sda1)');
  });

  test('what hangs from a function counts as its own (a drive behind VMD)', async () => {
    const snapshot = change(await using('laptop', use('01:00.0', 'root', '/', 'nvme0n1p3')), '01:00.0', {
      path: 'pci0000:00/0000:00:14.0/pci10000:e0/0000:01:00.0',
    });
    expect(codes(check(snapshot, '00:14.0'), 'refusal')).toEqual(['in-use']);
    expect(codes(check(snapshot, '00:14.3'), 'refusal')).toEqual([]);
  });

  test('a member in the way is named with what it is used for', async () => {
    const snapshot = await using('desktop', use('08:00.0', 'root', '/', 'nvme0n1p2'));
    const report = check(snapshot, '07:00.0');
    const member = report.findings.find(({ device }) => device === '0000:08:00.0')!;
    expect(member.what).toContain('the root file system is on it (nvme0n1p2)');
  });

  test('a zfs pool may be on any disk, and on no network card', async () => {
    const snapshot = await using('laptop', { device: null, kind: 'root', detail: '/ (zfs)' });
    expect(check(snapshot, '01:00.0').verdict).toBe('cannot tell');
    expect(find(check(snapshot, '01:00.0'), 'in-use')).toMatchObject({ severity: 'unknown' });
    expect(check(snapshot, '00:14.3').verdict).toBe('yes');
  });

  test('nothing in use: nothing said', async () => {
    const report = check(await using('laptop'), '01:00.0');
    expect(report).toMatchObject({ verdict: 'yes', findings: [] });
  });

  test('what cannot be told through which function, of a network card', async () => {
    const snapshot = await using('laptop', {
      device: null,
      kind: 'network',
      detail: 'the default route leads over wg0',
    });
    expect(find(check(snapshot, '00:14.3'), 'in-use-network')).toMatchObject({
      severity: 'unknown',
      what: expect.stringContaining('(the default route leads over wg0)'),
    });
    expect(check(snapshot, '01:00.0').verdict).toBe('yes');
  });

  test('root over the network is in use on a network card', async () => {
    const report = check(await using('laptop', use('00:14.3', 'root', '/ (nfs)', 'wlan0')), '00:14.3');
    expect(find(report, 'in-use').what).toContain('the root file system comes over it (wlan0)');
  });

  test('not recorded: it cannot be told, unless no driver could use it', async () => {
    const report = check(await example('laptop'), '01:00.0');
    expect(report.verdict).toBe('cannot tell');
    expect(codes(report, 'unknown')).toEqual(['usage-unread']);
    for (const driver of [null, 'vfio-pci', 'pci-stub']) {
      const given = check(change(await example('laptop'), '01:00.0', { driver }), '01:00.0');
      expect(given.findings.map(({ code }) => code)).not.toContain('usage-unread');
      expect(given.verdict).toBe('yes');
    }
  });

  test('whether a VGA card is the boot display may be unknown', async () => {
    const { bootVga: _, ...facts } = (await example('laptop')).devices.find(
      ({ address }) => address === '0000:00:02.0',
    )!;
    const snapshot = await using('laptop');
    const unread = {
      ...snapshot,
      devices: snapshot.devices.map((device) => (device.address === facts.address ? facts : device)),
    };
    expect(find(check(unread, '00:02.0'), 'boot-vga').severity).toBe('unknown');
    // sysfs says it of VGA cards only.
    const compute = change(unread, '00:02.0', { class: 0x030200 });
    expect(compute.devices.length).toBe(snapshot.devices.length);
    expect(check(compute, '00:02.0').findings.map(({ code }) => code)).not.toContain('boot-vga');
  });

  test('the boot display', async () => {
    expect(codes(check(await example('laptop'), '00:02.0'), 'refusal')).toContain('boot-vga');
    const given = change(await example('laptop'), '00:02.0', { driver: 'vfio-pci' });
    expect(codes(check(given, '00:02.0'), 'refusal')).toEqual([]);
  });
});

describe('reset', () => {
  test('none at all is a warning', async () => {
    const snapshot = change(await recorded('root-ports'), '00:08.0', { resetMethods: [] });
    expect(find(check(snapshot, '00:08.0'), 'no-reset').severity).toBe('warning');
  });

  test('bus, as sysfs lists it for the first function found, is gone once there are siblings', async () => {
    const snapshot = await recorded('vfio');
    expect(snapshot.devices.find(({ address }) => address === '0000:01:00.0')?.resetMethods).toContain('bus');
    expect(check(snapshot, '01:00.0').devices[0]!.reset).toEqual({
      methods: ['pm'],
      from: 'kernel',
      unknown: [],
      busReset: true,
      hits: ['0000:01:00.1'],
    });
  });

  test('with only a bus reset left, those who stay and are outside the group are named', async () => {
    const snapshot = await recorded('vfio');
    for (const name of ['01:00.0', '01:00.1']) {
      for (const device of snapshot.devices) if (device.address === `0000:${name}`) device.resetMethods = [];
    }
    expect(find(check(snapshot, '01:00.0'), 'reset-scope').what).toContain('which hits 01:00.1 too');
    expect(codes(check(snapshot, '01:00.0 01:00.1'), 'warning')).toEqual([]);
  });

  test('a policy can ask for methods', async () => {
    const policy = { ...DEFAULT_CHECK_POLICY, resetMethods: ['flr', 'af_flr'] };
    expect(codes(check(await recorded('root-ports'), '01:00.0', policy), 'refusal')).toEqual([
      'reset-required',
    ]);
    expect(check(await recorded('root-ports'), '02:00.0', policy).verdict).toBe('yes');
  });
});

describe('functions and cards', () => {
  test('server: a physical function whose virtual ones are enabled stays; its virtual ones may go', async () => {
    const snapshot = await example('server');
    const report = check(snapshot, '18:00.0');
    expect(codes(report, 'refusal')).toEqual(['virtual-functions']);
    expect(find(report, 'virtual-functions').what).toContain('18:01.0 (vfio-pci)');
    expect(check({ ...snapshot, usage: [] }, '18:01.1 18:01.2').verdict).toBe('yes');
    expect(find(check(snapshot, '18:00.0 18:01.1'), 'virtual-functions').what).toContain('takes them away');
  });

  test('server: one that could give virtual functions is told so', async () => {
    expect(find(check(await example('server'), '18:00.1'), 'physical-function').severity).toBe('note');
  });

  test('a virtual function of a physical one that VFIO has wants a token', async () => {
    const snapshot = change(await example('server'), '18:00.0', { driver: 'vfio-pci' });
    expect(codes(check(snapshot, '18:01.1'), 'warning')).toContain('vf-token');
  });

  test('identical cards are told apart by path', async () => {
    const finding = find(check(await recorded('root-ports'), '01:00.0'), 'identical-cards');
    expect(finding.what).toContain('00:08.0 has the same ids (8086:10d3) as 01:00.0');
    expect(finding.remedy).toContain('0000:00:02.0/00.0');
  });

  test('several asked for that are alike are no twins of each other', async () => {
    expect(codes(check(await recorded('root-ports'), '01:00.0 00:08.0'), 'note')).not.toContain(
      'identical-cards',
    );
  });

  test('a bridge cannot be handed over', async () => {
    expect(codes(check(await recorded('root-ports'), '00:02.0'), 'refusal')).toEqual(['bridge']);
  });

  test('a host bridge is nothing to give', async () => {
    expect(codes(check(await recorded('root-ports'), '00:00.0'), 'warning')).toContain('system-device');
  });
});

describe('policy', () => {
  const policy = (change: Partial<CheckPolicy>): CheckPolicy => ({ ...DEFAULT_CHECK_POLICY, ...change });

  test('a refusal made a warning, a warning made a refusal, a note ignored', async () => {
    const snapshot = await example('laptop');
    const own = policy({
      findings: { 'boot-vga': 'warning', 'relaxable-region': 'refusal', 'usage-unread': 'ignored' },
    });
    const report = check(snapshot, '00:02.0', own);
    expect(codes(report, 'refusal')).toEqual(['relaxable-region']);
    expect(codes(report, 'warning')).toContain('boot-vga');
    expect(codes(report, 'note')).not.toContain('usage-unread');
  });

  test('what the kernel refuses no policy changes', async () => {
    const own = policy({ findings: { 'no-iommu': 'ignored' } });
    expect(check(await recorded('none'), '01:00.0', own).verdict).toBe('no');
  });

  test.each([
    ['cannot tell', 'cannot tell'],
    ['refusal', 'no'],
    ['note', 'yes'],
  ] as const)('unknown as %s: %s', async (unknown, verdict) => {
    const snapshot = await recorded('root-ports');
    for (const group of snapshot.groups ?? []) delete group.reservedRegions;
    delete snapshot.acpi.DMAR;
    expect(check(snapshot, '02:00.0', policy({ unknown })).verdict).toBe(verdict);
  });

  test('an unknown that would only warn does not change the verdict', async () => {
    const snapshot = await recorded('root-ports');
    delete snapshot.acpi.DMAR;
    const own = policy({ findings: { interrupts: 'warning', 'reserved-region': 'note' } });
    expect(check(snapshot, '02:00.0', own).verdict).toBe('yes');
  });
});

test('every machine, every device: a verdict that follows from its findings, and the same again', async () => {
  const names = ['vfio', 'amd', 'none', 'sriov-igb', 'virtio-iommu-bound', 'pcie-pci-bridge', 'usb-strict'];
  for (const snapshot of [...(await Promise.all(names.map(recorded))), await example('server')]) {
    for (const { address } of snapshot.devices) {
      const report = check(snapshot, address);
      const refused = report.findings.some(({ severity }) => severity === 'refusal');
      const open = report.findings.some(({ severity }) => severity === 'unknown');
      expect(report.verdict).toBe(refused ? 'no' : open ? 'cannot tell' : 'yes');
      for (const { code, what } of report.findings) {
        expect(FINDING_CODES).toContain(code);
        expect(what).toMatch(/^[A-Z0-9/].*\.$/);
        expect(what).not.toMatch(/undefined|null|NaN|\[object/);
      }
      expect(check(snapshot, address)).toEqual(report);
    }
  }
});

describe('machines nobody has seen', () => {
  test('a generated machine with anything bound and used anywhere gets a verdict', () => {
    const { snapshot } = generate(120, 7);
    const some = fc.constantFrom(...snapshot.devices.map(({ address }) => address));
    const facts = fc.record(
      {
        driver: fc.constantFrom(null, 'vfio-pci', 'pcieport', 'e1000e', 'igb'),
        class: fc.integer({ min: 0, max: 0xffffff }),
        resetMethods: fc.array(fc.constantFrom('flr', 'bus', 'pm', 'junk')),
        physfn: fc.option(some),
        bootVga: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    const usage = fc.array(
      fc.record({
        device: fc.option(fc.oneof(some, fc.constant('ffff:ff:1f.7'))),
        kind: fc.constantFrom('root', 'mount', 'swap', 'volume', 'network', 'route', 'display', 'input'),
        detail: fc.string(),
      }),
    );
    const acpi = fc.dictionary(
      fc.constantFrom('DMAR', 'IVRS', 'VIOT'),
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(some, facts), { maxLength: 30 }),
        usage,
        acpi,
        fc.constantFrom('6.12.0', '5.4', '2.6.32', 'strange', undefined),
        fc.uniqueArray(some, { minLength: 1, maxLength: 4 }),
        (changes, uses, tables, release, names) => {
          const changed = new Map(changes);
          const junk = {
            ...withRelease(snapshot, release),
            acpi: tables,
            usage: uses,
            devices: snapshot.devices.map((device) => ({ ...device, ...changed.get(device.address) })),
          } as Snapshot;
          const report = check(junk, names.join(' '));
          expect(report.devices.map(({ address }) => address)).toEqual(names);
          expect(['yes', 'no', 'cannot tell']).toContain(report.verdict);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('devices of other buses have groups and members as well', async () => {
    const snapshot = await recorded('root-ports');
    const name = 'AMDI0010:00';
    snapshot.others.push({ name, bus: 'platform', driver: 'i2c_designware' });
    snapshot.groups!.find(({ devices }) => devices.includes('0000:02:00.0'))!.devices.push(name);
    expect(find(check(snapshot, '02:00.0'), 'member-in-use')).toMatchObject({
      device: name,
      detail: 'i2c_designware',
    });
  });
});

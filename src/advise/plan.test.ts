/** Who changes hands, who is asked, and which writes follow. */

import { describe, expect, test } from 'vitest';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { boot } from '../machine/boot.ts';
import { PciIds } from '../pci/ids.ts';
import { checkReport } from './check.ts';
import { Describer } from './describe.ts';
import { persistFiles } from './persist.ts';
import { idsOf, placePattern } from './persist-places.ts';
import { draftPlan, type PlanOptions, planReport, refusalsOf } from './plan.ts';
import type { PlanReport } from './report.ts';

const recorded = (name: string): Promise<Snapshot> =>
  readHost(new URL(`../../test/fixtures/machines/${name}.tar.gz`, import.meta.url).pathname);

/** Drivers as a running host would have them. */
async function machine(name: string, drivers: Record<string, string | null> = {}): Promise<Snapshot> {
  const snapshot = await recorded(name);
  for (const device of snapshot.devices) {
    const driver = drivers[device.address];
    if (driver !== undefined) Object.assign(device, { driver, driverOverride: null });
  }
  return { ...snapshot, usage: [] };
}

const describerOf = (snapshot: Snapshot): Describer => new Describer(snapshot, new PciIds(''));

function plan(
  snapshot: Snapshot,
  names: string[],
  options: PlanOptions = {},
  consents: (device: string) => boolean = () => true,
): PlanReport {
  const describer = describerOf(snapshot);
  const booted = boot(snapshot);
  const draft = draftPlan(describer, booted, names, options);
  return planReport(describer, draft, consents, (devices) =>
    refusalsOf(checkReport(describer, booted, devices).findings),
  );
}

const A = '0000:01:00.0';
const B = '0000:01:00.1';
const CARDS = { [A]: 'e1000e', [B]: 'e1000e' };

describe('the writes', () => {
  test('override, unbind, bind for each device in order, with what stands there now', async () => {
    const { devices, steps, questions } = plan(await machine('vfio', CARDS), [A]);
    expect(devices.map(({ address, role, before }) => [address, role, before])).toEqual([
      [A, 'named', { driver: 'e1000e', override: null }],
      [B, 'sibling', { driver: 'e1000e', override: null }],
    ]);
    const of = (device: string) => [
      [device, `/sys/bus/pci/devices/${device}/driver_override`, 'vfio-pci', null],
      [device, '/sys/bus/pci/drivers/e1000e/unbind', device, 'e1000e'],
      [device, '/sys/bus/pci/drivers/vfio-pci/bind', device, null],
    ];
    expect(steps.map(({ device, path, value, before }) => [device, path, value, before])).toEqual([
      ...of(A),
      ...of(B),
    ]);
    expect(questions).toMatchObject([{ device: B, driver: 'e1000e', answer: true }]);
  });

  test('a question names the device, its driver, the group and who wants it', async () => {
    const [question] = plan(await machine('vfio', CARDS), [A]).questions;
    expect(question!.text).toMatch(
      /0000:01:00\.1.*\(driver e1000e\) to vfio-pci too\? It shares group 3 with 0000:01:00\.0/,
    );
  });

  test('a sibling that was refused stays, and the check refuses for it', async () => {
    const { devices, left, refusals } = plan(await machine('vfio', CARDS), [A], {}, () => false);
    expect(devices.map(({ address }) => address)).toEqual([A]);
    expect(left).toContainEqual({ device: B, driver: 'e1000e', why: 'you said no' });
    expect(refusals).toMatchObject([{ code: 'member-in-use', device: B, severity: 'refusal' }]);
  });

  test('with consent the check has nothing against the group', async () => {
    const { refusals } = plan(await machine('vfio', CARDS), [A]);
    expect(refusals.filter(({ code }) => code === 'member-in-use')).toEqual([]);
  });

  test('only: no questions, siblings stay', async () => {
    const { devices, questions, refusals } = plan(await machine('vfio', CARDS), [A], { only: true });
    expect([devices.length, questions.length]).toEqual([1, 0]);
    expect(refusals).toMatchObject([{ code: 'member-in-use', device: B }]);
  });

  test('bridges stay and are no obstacle; a device that has the driver already has no writes', async () => {
    const snapshot = await machine('sriov-igb');
    const { left, devices } = plan(snapshot, ['0000:02:10.0']);
    expect(left).toContainEqual({
      device: '0000:00:03.0',
      driver: 'pcieport',
      why: 'a bridge; it stays with the host and is no obstacle',
    });
    expect(devices.map(({ address }) => address)).not.toContain('0000:00:03.0');
    const again = plan(await machine('vfio', { [A]: 'vfio-pci', [B]: 'vfio-pci' }), [A, B]);
    expect(again).toMatchObject({ devices: [], steps: [], commands: [], refusals: [] });
    expect(again.left.map(({ why }) => why)).toEqual(['vfio-pci has it already', 'vfio-pci has it already']);
  });

  test('modprobe is told where no device has the driver yet, never done', async () => {
    const none = plan(await machine('vfio', CARDS), [A]);
    expect(none.commands.map(({ run }) => run)).toEqual(['modprobe vfio-pci']);
    const some = plan(await machine('vfio', { [A]: 'vfio-pci', [B]: 'e1000e' }), [B]);
    expect(some.commands).toEqual([]);
  });

  test('back to a driver of the host: that device alone, and the check is not asked', async () => {
    const { devices, questions, refusals } = plan(
      await machine('vfio', { [A]: 'vfio-pci', [B]: 'igb' }),
      [A],
      { driver: 'e1000e' },
    );
    expect(devices.map(({ address }) => address)).toEqual([A]);
    expect([questions, refusals]).toEqual([[], []]);
  });

  test('to a driver of the host while vfio has another member: refused, naming it', async () => {
    const snapshot = await machine('vfio', { [A]: 'e1000e', [B]: 'vfio-pci' });
    expect(plan(snapshot, [A], { driver: 'igb' }).refusals).toMatchObject([
      { code: 'member-in-use', severity: 'refusal', device: B, what: expect.stringContaining('vfio-pci') },
    ]);
    const { groups: _, ...unknown } = snapshot;
    const [refusal] = plan(unknown, [A], { driver: 'igb' }).refusals;
    expect(refusal).toMatchObject({ severity: 'unknown', device: B });
    expect(refusal!.what).not.toMatch(/group \d/);
  });

  test('all members back to the host: no refusal, and all are let go of before the first is bound', async () => {
    const snapshot = await machine('vfio', { [A]: 'vfio-pci', [B]: 'vfio-pci' });
    const { steps, refusals } = plan(snapshot, [A, B], { driver: 'e1000e' });
    expect(refusals).toEqual([]);
    const kinds = steps.map(({ path }) => path.split('/').at(-1));
    expect(kinds.lastIndexOf('unbind')).toBeLessThan(kinds.indexOf('bind'));
  });

  test('check is asked about each device once', async () => {
    const describer = describerOf(await machine('vfio', CARDS));
    const draft = draftPlan(describer, boot(describer.snapshot), [A]);
    let asked: string[] = [];
    planReport(
      describer,
      draft,
      () => true,
      (devices) => {
        asked = devices;
        return [];
      },
    );
    expect(asked).toEqual([A, B]);
  });

  test('a driver that the data does not tell: no plan for that device', async () => {
    const snapshot = await machine('vfio', CARDS);
    for (const device of snapshot.devices) delete device.driver;
    const { unknown, steps } = plan(snapshot, [A]);
    expect(unknown).toContain(A);
    expect(steps).toEqual([]);
  });

  test.each([
    ['0000:00:02.0', {}, /is a bridge/],
    ['dmar0', {}, /no PCI device/],
    [A, { driver: '../x' }, /--driver/],
  ])('%s %j is refused in one line', async (name, options, message) => {
    const snapshot = await machine('vfio', CARDS);
    const work = () => plan(snapshot, [name], options);
    expect(work).toThrow(InputError);
    expect(work).toThrow(message);
  });

  test('no IOMMU: planned, and refused by the check', async () => {
    const snapshot = await machine('none');
    const device = snapshot.devices.at(-1)!.address;
    expect(plan(snapshot, [device]).refusals.map(({ code }) => code)).toContain('no-iommu');
  });
});

describe('files that outlive a reboot', () => {
  const files = (snapshot: Snapshot, names: string[]): Record<string, string> =>
    Object.fromEntries(
      persistFiles(describerOf(snapshot), plan(snapshot, names)).map(({ name, text }) => [name, text]),
    );

  test('by place: bus numbers below the root may be any, and no level is skipped', () => {
    const path = 'pci0000:00/0000:00:02.0/0000:01:00.0';
    expect(placePattern({ address: A, path })).toBe('/devices/pci0000:00/0000:00:02.0/0000:??:00.0');
    const vmd = 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0';
    expect(placePattern({ address: '10000:e1:00.0', path: vmd })).toBe(
      '/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:??:00.0',
    );
    expect(placePattern({ address: A })).toBeUndefined();
    for (const hostile of ['a"b', "a'b", 'a\nb', 'a$(id)', 'a;b', '../x', 'a b', 'a*']) {
      expect(placePattern({ address: A, path: hostile }), hostile).toBeUndefined();
    }
  });

  test('whole group: udev by place, driverctl by place, modprobe and kernel parameters by ids', async () => {
    const made = files(await machine('vfio', CARDS), [A]);
    expect(made['05-ringfence.rules']).toContain(
      'ACTION=="add", SUBSYSTEM=="pci", DEVPATH=="/devices/pci0000:00/0000:00:02.0/0000:??:00.0", ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3", ATTR{driver_override}="vfio-pci"',
    );
    expect(made['driverctl.sh']).toContain(
      'for place in /sys/devices/pci0000:00/0000:00:02.0/0000:??:00.1; do',
    );
    expect(made['ringfence.conf']).toMatch(/^options vfio-pci ids=8086:10d3$/m);
    expect(made['ringfence.conf']).toMatch(/^softdep e1000e pre: vfio-pci$/m);
    expect(made['kernel-parameters.txt']).toMatch(/^vfio-pci\.ids=8086:10d3$/m);
    expect(made['README.txt']).toContain('/etc/udev/rules.d');
  });

  test('identical cards: ids would take the one that stays, so only the place is left', async () => {
    const snapshot = await machine('vfio', CARDS);
    // The SATA controller as a third card of that make, elsewhere.
    const twin = snapshot.devices.find(({ address }) => address === '0000:00:1f.2')!;
    const { vendor, device, subsystemVendor, subsystemDevice } = snapshot.devices.find(
      ({ address }) => address === A,
    )!;
    Object.assign(twin, { vendor, device, subsystemVendor, subsystemDevice });
    const made = files(snapshot, [A]);
    expect(made['ringfence.conf']).not.toMatch(/^options/m);
    expect(made['kernel-parameters.txt']).not.toMatch(/^vfio-pci/m);
    expect(made['ringfence.conf']).toMatch(
      /left out\. The ids 8086:10d3 would take these too:\n# {3}00:1f\.2/,
    );
    expect(made['05-ringfence.rules']).toContain('0000:??:00.0');
    // Where the makers of the cards differ, the ids of the subsystem tell them apart.
    const facts = snapshot.devices.find(({ address }) => address === A)!;
    const one = { ...facts, subsystemVendor: 0x1043, subsystemDevice: 0x8769 };
    expect(idsOf(describerOf(snapshot), one, [twin])).toEqual({ ids: '8086:10d3:1043:8769', twins: [] });
  });

  test('a device that has the driver already is persisted too', async () => {
    const made = files(await machine('vfio', { [A]: 'vfio-pci', [B]: 'vfio-pci' }), [A]);
    expect(made['README.txt']).toMatch(/0000:01:00\.0[\s\S]*0000:01:00\.1/);
  });

  test('no IOMMU: the kernel parameters say how to have one', async () => {
    const snapshot = await machine('none');
    const made = files(snapshot, [snapshot.devices.at(-1)!.address]);
    expect(made['kernel-parameters.txt']).toContain('intel_iommu=on');
  });

  test('a recording cannot write lines of its own', async () => {
    const snapshot = await machine('vfio', CARDS);
    for (const device of snapshot.devices) {
      device.path = 'x", RUN+="/bin/evil"\nRUN+="y';
      device.modules = ['evil\ninstall vfio-pci /bin/evil', 'good'];
      device.driver = device.driver === 'e1000e' ? 'e1000e\nevil' : device.driver!;
    }
    const made = files(snapshot, [A]);
    for (const text of Object.values(made)) expect(text).not.toContain('evil');
    expect(made['ringfence.conf']).toMatch(/^softdep good/m);
    expect(made['05-ringfence.rules']).toContain('KERNEL=="0000:01:00.0"');
  });

  test('a driver whose name has no place in them', async () => {
    const snapshot = await machine('vfio', CARDS);
    const odd = plan(snapshot, [A], { driver: 'a "b"' });
    expect(() => persistFiles(describerOf(snapshot), odd)).toThrow(/--driver/);
  });
});

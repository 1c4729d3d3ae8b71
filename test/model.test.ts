/** What holds for every machine, sound or not: groups are a partition, and the order of a list decides nothing. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { POLICY_NAMES } from '../src/iommu/grouping/index.ts';
import { InputError } from '../src/kernel/errors.ts';
import { boot } from '../src/machine/boot.ts';
import type { Machine } from '../src/machine/machine.ts';

const FOLDER = new URL('fixtures/machines', import.meta.url).pathname;
const recorded = await Promise.all(
  readdirSync(FOLDER)
    .filter((file) => !file.startsWith('random'))
    .map((file) => readHost(join(FOLDER, file))),
);
const anyMachine = fc.constantFrom(...recorded);

function expectPartition(machine: Machine): void {
  const seen = new Set<string>();
  for (const group of machine.groups()) {
    for (const name of group.devices) {
      expect(seen.has(name), `${name} is in two groups`).toBe(false);
      seen.add(name);
      expect(machine.groupOf(name)?.id).toBe(group.id);
    }
  }
  for (const { name } of machine.pci.devices) {
    if (seen.has(name)) expect(machine.reason(name), `${name} has a reason`).toBeDefined();
    else expect(machine.noGroupReason(name), `${name} has a reason for none`).toBeTruthy();
  }
}

/** One device changed: bytes of its configuration space, its ids, its links. */
const mutation = fc.record({
  device: fc.nat(),
  bytes: fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { maxLength: 6 }),
  vendor: fc.option(fc.constantFrom(0x8086, 0x1022, 0x1002, 0x1b4b, 0x8088, 0x1d17, 0xffff)),
  read: fc.option(fc.constantFrom(0, 64, 255, 256)),
  physfn: fc.option(fc.nat()),
});

type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(snapshot: Snapshot, changes: Mutation[], cmdline: string): Snapshot {
  const copy = structuredClone(snapshot);
  copy.kernel.cmdline = `${copy.kernel.cmdline ?? ''} ${cmdline}`;
  for (const change of changes) {
    const device = copy.devices[change.device % copy.devices.length]!;
    const other = copy.devices[(change.physfn ?? 0) % copy.devices.length]!;
    if (change.vendor !== null) device.vendor = change.vendor;
    if (change.physfn !== null) device.physfn = other.address;
    if (device.config === undefined) continue;
    const bytes = Buffer.alloc(4096);
    bytes.set(Buffer.from(device.config.bytes, 'hex'));
    for (const [at, value] of change.bytes) bytes[at] = value;
    device.config = { ...device.config, bytes: bytes.subarray(0, device.config.read).toString('hex') };
    if (change.read !== null && change.read <= device.config.read) {
      device.config = { bytes: device.config.bytes.slice(0, change.read * 2), read: change.read };
    }
  }
  return copy;
}

const words = fc.constantFrom(
  '',
  'pci=disable_acs_redir=pci:1b36:000c',
  'pci=config_acs=111x0x1@0000:00:02.0',
  'pcie_acs_override=downstream,multifunction',
  'intel_iommu=off amd_iommu=off',
  'iommu=group_mf',
  'pci="',
);

describe('any machine', () => {
  test.each(POLICY_NAMES)('%s: mutated recordings end in a partition or an InputError', (policy) => {
    fc.assert(
      fc.property(anyMachine, fc.array(mutation, { maxLength: 8 }), words, (snapshot, changes, cmdline) => {
        try {
          expectPartition(boot(mutate(snapshot, changes, cmdline), { policy }));
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
        }
      }),
      { numRuns: 150 },
    );
  });

  test('the order of the device list decides nothing', () => {
    fc.assert(
      fc.property(anyMachine, fc.infiniteStream(fc.nat()), (snapshot, keys) => {
        const shuffled = structuredClone(snapshot);
        const order = new Map(shuffled.devices.map((device) => [device, keys.next().value as number]));
        shuffled.devices.sort((a, b) => order.get(a)! - order.get(b)!);
        expect(boot(shuffled).groups()).toEqual(boot(snapshot).groups());
      }),
      { numRuns: 60 },
    );
  });

  test('booting leaves the snapshot as it is', () => {
    for (const snapshot of recorded) {
      const before = structuredClone(snapshot);
      boot(snapshot);
      expect(snapshot).toEqual(before);
    }
  });
});

describe('hot-plug', () => {
  test('functions that come after boot are grouped one by one, as the kernel did', async () => {
    const snapshot = await readHost(new URL('fixtures/hot-plugged.tar.gz', import.meta.url).pathname);
    const machine = boot(snapshot);
    expect(machine.groupOf('0000:01:00.2')?.devices.length, 'together at boot').toBe(3);
    // What was done to the recorded machine: the port was removed, and a rescan found it again.
    const came = snapshot.devices.filter(
      ({ address }) => address.startsWith('0000:00:02.') || address.startsWith('0000:01:'),
    );
    machine.unplug('0000:00:02.0');
    expect(machine.device('0000:01:00.1')).toBeUndefined();
    for (const slot of ['0000:00:02.', '0000:01:00.']) {
      machine.plug(...came.filter(({ address }) => address.startsWith(slot)));
    }
    const kernel = snapshot.groups!.map(({ id, devices }) => ({ id, devices: [...devices].sort() }));
    const model = machine.groups().map(({ id, devices }) => ({ id, devices: [...devices].sort() }));
    expect(model).toEqual(kernel);
    expectPartition(machine);
  });

  test('unplugging and plugging any device keeps a partition and frees its number', () => {
    fc.assert(
      fc.property(anyMachine, fc.nat(), (snapshot, pick) => {
        const machine = boot(snapshot);
        const facts = snapshot.devices[pick % snapshot.devices.length]!;
        if (facts.physfn) return;
        const highest = Math.max(-1, ...machine.groups().map((group) => group.id));
        machine.unplug(facts.address);
        expectPartition(machine);
        machine.plug(facts);
        expectPartition(machine);
        expect(Math.max(-1, ...machine.groups().map((group) => group.id))).toBeLessThanOrEqual(highest + 1);
      }),
    );
  });
});

test('groups in sysfs are those of the model', async () => {
  const machine = boot(await readHost(join(FOLDER, 'switch.tar.gz')));
  const { sysfs } = machine;
  expect(sysfs.readdir('/kernel/iommu_groups').length).toBe(machine.groups().length);
  expect(sysfs.read('/kernel/iommu_groups/5/type')).toBe('DMA-FQ\n');
  expect(sysfs.read('/kernel/iommu_groups/5/reserved_regions')).toBe(
    '0x00000000fee00000 0x00000000feefffff msi\n',
  );
  expect(sysfs.readlink('/kernel/iommu_groups/5/devices/0000:03:00.0')).toBe(
    '../../../../devices/pci0000:00/0000:00:02.0/0000:01:00.0/0000:02:00.0/0000:03:00.0',
  );
  expect(sysfs.realpath('/bus/pci/devices/0000:03:00.0/iommu_group')).toBe('/kernel/iommu_groups/5');
});

test('names that are taken in the tree leave a note and no exception', async () => {
  const snapshot = await readHost(join(FOLDER, 'vfio.tar.gz'));
  const path = 'pci0000:00/0000:00:02.0/iommu_group';
  snapshot.others = [
    { name: 'pci0000:00', bus: 'acpi' },
    { name: 'iommu_group', bus: 'platform', path },
  ];
  const machine = boot(snapshot);
  expect(machine.notes.join('\n')).toMatch(/pci0000:00 is left out/);
  expectPartition(machine);
});

test('hot-plug: each function above 0 is multifunction before the next one comes', async () => {
  const snapshot = await readHost(join(FOLDER, 'multifunction.tar.gz'));
  const names = ['0000:01:00.0', '0000:01:00.1', '0000:01:00.2'];
  const [zero, one, two] = names.map((name) => snapshot.devices.find((device) => device.address === name)!);
  const header = (hex: string, value: string): string => hex.slice(0, 28) + value + hex.slice(30);
  const single = { ...one!, config: { ...one!.config!, bytes: header(one!.config!.bytes, '00') } };
  const multi = { ...two!, config: { ...two!.config!, bytes: header(two!.config!.bytes, '80') } };
  const machine = boot({
    ...snapshot,
    devices: snapshot.devices.filter(({ address }) => !names.includes(address)),
  });
  machine.plug(
    { ...zero!, config: { ...zero!.config!, bytes: header(zero!.config!.bytes, '00') } },
    single,
    multi,
  );
  expect(machine.groupOf('0000:01:00.2')?.devices).toEqual(['0000:01:00.1', '0000:01:00.2']);
});

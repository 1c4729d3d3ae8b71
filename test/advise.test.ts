/** Advice is tried on the model before it is given, and never says more than is known. */

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { changesFor } from '../src/advise/changes.ts';
import { Describer } from '../src/advise/describe.ts';
import { predictedList } from '../src/advise/list.ts';
import { verifyReport } from '../src/advise/verify.ts';
import { whyReport } from '../src/advise/why.ts';
import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { boot } from '../src/machine/boot.ts';
import { PciIds } from '../src/pci/ids.ts';

const FIXTURES = new URL('fixtures', import.meta.url).pathname;
const recorded = (name: string): Promise<Snapshot> => readHost(join(FIXTURES, `${name}.tar.gz`));
const example = (name: string): Promise<Snapshot> =>
  readHost(new URL(`../examples/${name}.json`, import.meta.url).pathname);
const describer = (snapshot: Snapshot): Describer => new Describer(snapshot, new PciIds(''));
const changes = (snapshot: Snapshot, name: string): string[] =>
  changesFor(boot(snapshot), name).map((change) => `${change.effect}: ${change.what}`);

/** As somebody without privilege sees it. */
function unprivileged(snapshot: Snapshot, which: (address: string) => boolean = () => true): Snapshot {
  const copy = structuredClone(snapshot);
  for (const device of copy.devices) {
    if (device.config && which(device.address)) {
      device.config = { ...device.config, bytes: device.config.bytes.slice(0, 128), read: 64 };
    }
  }
  return copy;
}

describe('changes', () => {
  test('a parameter that switched ACS off is named, and what taking it away leaves', async () => {
    const [first, second] = changes(await recorded('machines/disable-acs-redir'), '0000:01:00.0');
    expect(first).toMatch(
      /^isolates: take 00:02\.0 and 00:02\.1 out of disable_acs_redir=pci:1b36:000c.*leaves it alone/,
    );
    expect(second).toMatch(/^isolates: switch on .*config_acs=xx111x1@0000:00:02\.0;/);
  });

  test('config_acs= that is there already goes along, since only the last counts', async () => {
    const snapshot = await recorded('machines/config-acs');
    const machine = boot(snapshot);
    const shared = machine
      .groups()
      .find((group) => group.devices.length > 1 && group.devices.includes('0000:00:02.0'));
    const wanted = changes(snapshot, shared!.devices.at(-1)!).find((change) => change.includes('boot with'));
    const present = /config_acs=(\S+)/.exec(snapshot.kernel.cmdline!)![1]!;
    // Behind what is wanted: the first entry that names a device counts.
    expect(wanted).toContain('pci=config_acs=xx');
    expect(wanted).toContain(`;${present} `);
  });

  test('the override that leaves the smallest group is named, as a claim', async () => {
    const found = changes(await example('desktop'), '0000:07:00.0');
    expect(found.at(-1)).toMatch(/^claims: pcie_acs_override=downstream,multifunction .*leaves it alone/);
  });

  test('AMD root ports without ACS: firmware may have it', async () => {
    expect(changes(await example('desktop'), '0000:07:00.0')[0]).toMatch(
      /^reveals: look for ACS in the firmware setup.*00:03\.1/,
    );
  });

  test('functions of one conventional device: nothing, and not for want of requester ids', async () => {
    const found = changes(await example('desktop'), '0000:00:14.3');
    expect(found).toEqual([expect.stringMatching(/^none: .*functions of one device without ACS/)]);
  });

  test('behind a conventional bridge: its DMA cannot be told apart', async () => {
    const found = changes(await recorded('machines/amd'), '0000:07:01.0');
    expect(found).toContainEqual(expect.stringMatching(/^none: .*cannot be told/));
  });

  test('every slot offered for a card isolates it on the model', async () => {
    const snapshot = await recorded('machines/multifunction-mixed-acs');
    for (const { address } of snapshot.devices) {
      for (const change of changes(snapshot, address).filter((each) => each.includes('move the card'))) {
        expect(change).not.toContain(address);
        expect(boot(snapshot).pci.find(address)!.subordinate).toBeUndefined();
      }
    }
  });

  test('a device alone in its group needs none', async () => {
    expect(changes(await recorded('machines/switch'), '0000:06:00.0')).toEqual([]);
  });
});

describe('certainty', () => {
  test('one member that could not be read makes the whole group uncertain, its beginner too', async () => {
    const snapshot = unprivileged(await recorded('machines/switch'), (address) => address === '0000:02:00.0');
    const machine = boot(snapshot);
    const group = machine.groupOf('0000:02:00.0')!;
    for (const name of group.devices) expect(machine.certain(name), name).toBe(false);
    expect(machine.certain('0000:06:00.0')).toBe(true);
    expect(machine.uncertain().sort()).toEqual([...group.devices].sort());
  });

  test('kernel groups of devices the recording does not have are no difference that counts', async () => {
    const snapshot = await recorded('machines/vfio');
    snapshot.groups!.push({ id: 9, devices: ['0000:99:00.0'] });
    const report = verifyReport(describer(snapshot), {});
    expect(report.verdict).toBe('cannot tell');
    expect(report.differences).toMatchObject([{ cause: 'incomplete recording', certain: false }]);
  });
});

describe('verify names hot-plug only where playing it back gives the kernel’s groups', () => {
  test('a function split from its device on the root bus is not hot-plug', async () => {
    const snapshot = await example('desktop');
    const group = snapshot.groups!.find((each) => each.devices.includes('0000:00:18.5'))!;
    group.devices = group.devices.filter((name) => name !== '0000:00:18.5');
    snapshot.groups!.push({ id: 90, devices: ['0000:00:18.5'] });
    const [difference] = verifyReport(describer(snapshot), {}).differences;
    expect(difference).toMatchObject({ kind: 'kernel splits', cause: 'unknown' });
  });

  test('the recorded hot-plug is', async () => {
    const [difference] = verifyReport(describer(await recorded('hot-plugged')), {}).differences;
    expect(difference).toMatchObject({ cause: 'hot-plugged after boot', certain: true });
  });
});

describe('why', () => {
  test('without groups of the kernel the answer is a prediction', async () => {
    const snapshot = await recorded('machines/none');
    const report = whyReport(describer(snapshot), boot(snapshot), ['0000:01:00.0']);
    expect(report.source).toBe('predicted');
    expect(report.devices[0]).not.toHaveProperty('kernelGroup');
  });

  test('a pair is as the kernel has it, and the rules are told beside it', async () => {
    const snapshot = await recorded('hot-plugged');
    const { pair } = whyReport(describer(snapshot), boot(snapshot), ['0000:01:00.0', '0000:01:00.1']);
    expect(pair).toMatchObject({
      share: false,
      because: [expect.stringMatching(/by the rules of linux-6\.12 they would share/), expect.anything()],
    });
  });

  test('what separates a virtual from its physical function is not the port above both', async () => {
    const snapshot = await recorded('machines/sriov-igb');
    const { pair } = whyReport(describer(snapshot), boot(snapshot), ['0000:01:00.0', '0000:01:10.0']);
    expect(pair?.share).toBe(false);
    expect(pair?.because.join()).toMatch(/different devices/);
  });

  test('two functions of one slot: the one that isolates is named', async () => {
    const snapshot = await example('server');
    const { pair } = whyReport(describer(snapshot), boot(snapshot), ['0000:01:00.0', '0000:01:00.1']);
    expect(pair?.because.join()).toMatch(/01:00\.0 isolates \(.*quirk/);
  });
});

test('reports speak of the machine as it is after hot-plug', async () => {
  const machine = boot(await recorded('machines/vfio'));
  const facts = machine.snapshot.devices.find((device) => device.address === '0000:01:00.1')!;
  machine.unplug('0000:01:00.1');
  const without = predictedList(describer(machine.snapshot), machine);
  expect(JSON.stringify(without)).not.toContain('0000:01:00.1');
  machine.plug(facts);
  const again = predictedList(describer(machine.snapshot), machine);
  expect(
    again.groups.flatMap((group) => group.devices).find((line) => line.address === '0000:01:00.1'),
  ).toMatchObject({
    bus: 'pci',
    vendor: '8086',
  });
  const [why] = whyReport(describer(machine.snapshot), machine, ['0000:01:00.1']).devices;
  expect(why).toMatchObject({ certain: true, group: { members: expect.arrayContaining(['0000:01:00.1']) } });
});

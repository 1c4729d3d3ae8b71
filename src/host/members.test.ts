/** What a reader makes of groups that do not hold together. */

import { describe, expect, test } from 'vitest';
import { sysfsTar, type TarItem } from '../../test/support/tar.ts';
import { readBytes } from './readers.ts';
import type { GroupFacts } from './snapshot.ts';
import { writeSnapshot } from './writer.ts';

const ADDRESS = '0000:00:01.0';

function snapshot(groups: GroupFacts[]): Buffer {
  const devices = [{ address: ADDRESS }, { address: '0000:00:02.0' }];
  const facts = {
    ringfence: 'snapshot',
    version: 1,
    form: 'live',
    kernel: {},
    devices,
    others: [],
    acpi: {},
  };
  return Buffer.from(JSON.stringify({ ...facts, groups }));
}

describe('a snapshot file is refused, with the field', () => {
  test.each<[string, GroupFacts[], string]>([
    [
      'a device in two groups',
      [
        { id: 3, devices: [ADDRESS] },
        { id: 5, devices: ['0000:00:02.0', ADDRESS] },
      ],
      `m.json: groups[1].devices[1]: ${ADDRESS} is in group 3 already`,
    ],
    [
      'a device twice in one',
      [{ id: 3, devices: [ADDRESS, ADDRESS] }],
      `m.json: groups[0].devices[1]: ${ADDRESS} is there twice`,
    ],
    [
      'a PCI device the snapshot has not',
      [{ id: 3, devices: ['0000:05:00.0'] }],
      'm.json: groups[0].devices[0]: 0000:05:00.0 is none of the devices',
    ],
  ])('%s', async (_, groups, message) => {
    await expect(readBytes(snapshot(groups), 'm.json')).rejects.toThrow(message);
  });

  test('a device of another bus need not be described', async () => {
    const groups = [{ id: 3, devices: [ADDRESS, 'arm-smmu.0'] }];
    expect((await readBytes(snapshot(groups), 'm.json')).groups).toEqual(groups);
  });
});

describe('a copy of sysfs is taken as far as it holds together, with a note', () => {
  const member = (group: number, name: string): TarItem => ({
    path: `sys/kernel/iommu_groups/${group}/devices/${name}`,
    link: `../../../../devices/pci0000:00/${name}`,
  });
  const tree = (...members: TarItem[]) =>
    sysfsTar({ [ADDRESS]: { vendor: '0x8086\n' }, '0000:00:02.0': { vendor: '0x8086\n' } }, members);

  test('members in two groups, and members that are not there', async () => {
    const bytes = tree(
      member(1, ADDRESS),
      member(2, ADDRESS),
      member(2, '0000:00:02.0'),
      member(2, '0000:09:00.0'),
    );
    const machine = await readBytes(bytes, 'm.tar');
    expect(machine.groups).toMatchObject([
      { id: 1, devices: [ADDRESS] },
      { id: 2, devices: ['0000:00:02.0'] },
    ]);
    expect(machine.notes).toEqual([
      `group 2: ${ADDRESS} is in group 1 already; left out`,
      'group 2: 0000:09:00.0 is no device of this tree; left out',
    ]);
    await expect(readBytes(writeSnapshot(machine), 'm.json')).resolves.toMatchObject({
      groups: machine.groups,
    });
  });

  test('a whole one has no such note', async () => {
    const machine = await readBytes(tree(member(1, ADDRESS), member(2, '0000:00:02.0')), 'm.tar');
    expect(machine.notes ?? []).toEqual([]);
  });
});

import { describe, expect, test } from 'vitest';
import { AcsContext } from '../../pci/acs.ts';
import type { PciFunctionInit } from '../../pci/device.ts';
import { pciBridge, pciFunction } from '../../pci/testing.ts';
import { PciTopology } from '../../pci/topology.ts';
import { createPolicy } from './index.ts';

const UNREAD = { bridge: undefined, headerType: undefined, multifunctionBit: undefined, pcie: undefined };
/** As `lspci -nn` lists a bridge. */
const unreadBridge = (address: string, path?: string): PciFunctionInit =>
  pciFunction(address, { ...UNREAD, class: 0x060400, headerType: 1, ...(path !== undefined && { path }) });
const unread = (address: string, path?: string): PciFunctionInit =>
  pciFunction(address, { ...UNREAD, class: 0x020000, ...(path !== undefined && { path }) });

function assumed(functions: PciFunctionInit[], policy: 'linux-6.12' | 'acs-2025'): Record<string, string[]> {
  const topology = PciTopology.build(functions);
  const rules = createPolicy(policy, { acs: new AcsContext() });
  return Object.fromEntries(
    topology.devices.map((device) => {
      const said = rules.deviceGroup(device, () => undefined).reason.assumed;
      return [device.address.slice(5), said.filter((what) => /hangs from|nothing could be read/.test(what))];
    }),
  );
}

describe.each(['linux-6.12', 'acs-2025'] as const)('%s', (policy) => {
  test('a list without bus numbers: every bus above the first bridge is a guess', () => {
    expect(
      assumed([unread('0000:00:00.0'), unreadBridge('0000:0c:00.0'), unread('0000:0d:00.0')], policy),
    ).toEqual({
      '00:00.0': [],
      '0c:00.0': [],
      '0d:00.0': ['what bus 0000:0d hangs from is not known'],
    });
  });

  test('so is what hangs from a bridge on such a bus', () => {
    const said = assumed(
      [
        unreadBridge('0000:00:01.0'),
        pciBridge('0000:04:00.0', 5, 5, { type: 4 }),
        pciFunction('0000:05:00.0'),
      ],
      policy,
    );
    expect(said['05:00.0']).toEqual(['what bus 0000:04 hangs from is not known']);
  });

  test('a virtual function is where its physical function is', () => {
    const said = assumed(
      [
        unreadBridge('0000:00:01.0'),
        pciFunction('0000:04:00.0', { type: 0 }),
        pciFunction('0000:04:00.1', { type: 0, physfn: '0000:04:00.0' }),
      ],
      policy,
    );
    expect(said['04:00.1']).toEqual(['what bus 0000:04 hangs from is not known']);
  });

  test('root buses of a server are certain by path, whatever could not be read', () => {
    const said = assumed(
      [
        unreadBridge('0000:00:01.0', 'pci0000:00/0000:00:01.0'),
        unread('0000:01:00.0', 'pci0000:00/0000:00:01.0/0000:01:00.0'),
        unreadBridge('0000:80:01.0', 'pci0000:80/0000:80:01.0'),
        unread('0000:81:00.0', 'pci0000:80/0000:80:01.0/0000:81:00.0'),
      ],
      policy,
    );
    expect(Object.values(said)).toEqual([[], [], [], []]);
  });

  test('and in a dump where the bus numbers of every bridge were read', () => {
    const said = assumed(
      [
        pciBridge('0000:00:01.0', 1, 1, { type: 4 }),
        pciFunction('0000:01:00.0', { type: 0 }),
        pciBridge('0000:80:01.0', 0x81, 0x81, { type: 4 }),
        pciFunction('0000:81:00.0', { type: 0 }),
        pciFunction('0000:ff:00.0'),
      ],
      policy,
    );
    expect(Object.values(said)).toEqual([[], [], [], [], []]);
  });

  test.each([undefined, 0x8086])(
    'a device of which nothing could be read (vendor %s) is not certain',
    (vendor) => {
      const blank = { ...unread('0000:00:00.0'), vendor, device: undefined, class: undefined };
      expect(assumed([blank], policy)['00:00.0']).toEqual([
        'nothing could be read of 0000:00:00.0 that tells what it is',
      ]);
    },
  );
});

/** isolation.md 2, last row: a kernel built without isolation groups. */

import { describe, expect, test } from 'vitest';
import { Bus } from '../device/bus.ts';
import { Device } from '../device/device.ts';
import { DisabledIsolation } from './disabled.ts';
import type { IsolationGroup } from './group.ts';
import type { IsolationInterface } from './interface.ts';
import { answerOf, IsolationBench, manager } from './testing.ts';

const bus = new Bus({ name: 'pci' });
const device = new Device({ name: 'x', bus });
const driver = { name: 'd', bus };
const provider = { name: 'p' };
/** There is none to be had, and nothing looks at it. */
const group = undefined as unknown as IsolationGroup;
const { ops } = new IsolationBench();

const calls: [keyof IsolationInterface, (on: IsolationInterface) => unknown, string, unknown?][] = [
  ['createGroup', (on) => on.createGroup(provider, 'g'), 'ok', undefined],
  ['freeGroup', (on) => on.freeGroup(group), 'ok'],
  ['addDev', (on) => on.addDev(group, device), 'ok'],
  ['delDev', (on) => on.delDev(device), 'ok'],
  ['registerNotifier', (on) => on.registerNotifier(bus, provider), 'ok'],
  ['unregisterNotifier', (on) => on.unregisterNotifier(bus, provider), 'ok'],
  ['setIommuOps', (on) => on.setIommuOps(group, ops), 'ENOSYS'],
  ['initIommuDomain', (on) => on.initIommuDomain(group), 'ENOSYS'],
  ['freeIommuDomain', (on) => on.freeIommuDomain(group), 'ok'],
  ['iommuDomainAddGroup', (on) => on.iommuDomainAddGroup(group, group), 'ENOSYS'],
  ['managed', (on) => on.managed(group), 'ok', false],
  ['initManager', (on) => on.initManager(group, manager()), 'ENOSYS'],
  ['freeManager', (on) => on.freeManager(group), 'ok'],
  ['managerAddDriver', (on) => on.managerAddDriver(group, driver), 'ENOSYS'],
  ['managerDelDriver', (on) => on.managerDelDriver(group, driver), 'ok'],
  ['managerDriver', (on) => on.managerDriver(group, driver), 'ok', false],
  ['managerLocked', (on) => on.managerLocked(group), 'ok', false],
];

describe('the disabled build', () => {
  test.each(calls)('%s', (_, call, answer, value) => {
    const disabled = new DisabledIsolation();
    expect(answerOf(() => call(disabled))).toBe(answer);
    if (answer === 'ok') expect(call(disabled)).toBe(value);
  });

  test('has every call of the interface', () => {
    const own = Object.getOwnPropertyNames(DisabledIsolation.prototype).filter(
      (name) => name !== 'constructor',
    );
    expect(calls.map(([name]) => name).sort()).toEqual(own.sort());
  });

  test('nothing is replayed to a provider', () => {
    const asked: string[] = [];
    const on: IsolationInterface = new DisabledIsolation();
    on.registerNotifier(bus, { name: 'p', added: ({ name }) => void asked.push(name) });
    expect(asked).toEqual([]);
    expect(bus.notifier.size).toBe(0);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareStates } from './compare.ts';
import { applyEvents, type WatchEvent } from './events.ts';
import { owners, type WatchDevice, type WatchState } from './state.ts';

const device = (fields: Partial<WatchDevice> = {}): WatchDevice => ({
  bus: 'pci',
  ids: '8086:10d3',
  driver: null,
  group: 1,
  ...fields,
});

function state(
  devices: Record<string, Partial<WatchDevice>>,
  groups: Record<number, string | null> = { 1: 'DMA' },
): WatchState {
  return {
    devices: new Map(Object.entries(devices).map(([name, fields]) => [name, device(fields)])),
    groups: new Map(Object.entries(groups).map(([id, type]) => [Number(id), type])),
  };
}

const A = '0000:01:00.0';
const B = '0000:01:00.1';

describe('compareStates', () => {
  test('nothing happened: no events', () => {
    expect(compareStates(state({ [A]: {} }), state({ [A]: {} }))).toEqual([]);
  });

  test('a driver lets go and another binds', () => {
    expect(compareStates(state({ [A]: { driver: 'igb' } }), state({ [A]: { driver: 'vfio-pci' } }))).toEqual([
      { event: 'unbind', device: A, driver: 'igb', group: 1 },
      { event: 'bind', device: A, driver: 'vfio-pci', group: 1 },
      { event: 'owner', group: 1, before: 'kernel', after: 'vfio' },
    ]);
  });

  test('a group is back when the last of its devices left vfio, and not before', () => {
    const both = state({ [A]: { driver: 'vfio-pci' }, [B]: { driver: 'vfio-pci' } });
    const one = state({ [A]: { driver: 'igb' }, [B]: { driver: 'vfio-pci' } });
    const none = state({ [A]: { driver: 'igb' }, [B]: {} });
    const owner = (events: WatchEvent[]) => events.filter(({ event }) => event === 'owner');
    expect(owner(compareStates(both, one))).toEqual([]);
    expect(owner(compareStates(one, none))).toEqual([
      { event: 'owner', group: 1, before: 'vfio', after: 'kernel' },
    ]);
  });

  test("the host's own drivers coming and going is no change of owner", () => {
    const events = compareStates(state({ [A]: {} }), state({ [A]: { driver: 'igb' } }));
    expect(events.map(({ event }) => event)).toEqual(['bind']);
  });

  test('hot-plug: the group first, then the device, then its driver', () => {
    const before = state({}, {});
    const after = state({ [A]: { driver: 'nvme' } });
    expect(compareStates(before, after).map(({ event }) => event)).toEqual(['group-add', 'add', 'bind']);
    expect(compareStates(after, before).map(({ event }) => event)).toEqual([
      'unbind',
      'remove',
      'group-remove',
    ]);
  });

  test('another card at the same address is a removal and an addition', () => {
    const events = compareStates(state({ [A]: {} }), state({ [A]: { ids: '10de:1b80' } }));
    expect(events.map(({ event }) => event)).toEqual(['remove', 'add']);
  });

  test('a type that changes, and a device that changes its group', () => {
    expect(compareStates(state({ [A]: {} }), state({ [A]: {} }, { 1: 'identity' }))).toEqual([
      { event: 'group-type', group: 1, before: 'DMA', after: 'identity' },
    ]);
    expect(compareStates(state({ [A]: {} }), state({ [A]: { group: null } }))).toEqual([
      { event: 'move', device: A, before: 1, after: null },
    ]);
  });

  test('devices are told in numeric order', () => {
    const events = compareStates(state({}), state({ '0000:10:00.0': {}, '0000:02:00.0': {}, ACPI0003: {} }));
    expect(events.map((event) => 'device' in event && event.device)).toEqual([
      '0000:02:00.0',
      '0000:10:00.0',
      'ACPI0003',
    ]);
  });
});

const driver = fc.constantFrom(null, 'igb', 'vfio-pci', 'mlx5_vfio_pci', 'pcieport', 'nvme');
const anyDevice = fc.record({
  bus: fc.constantFrom('pci', 'platform'),
  ids: fc.constantFrom(null, '8086:10d3', '10de:1b80'),
  driver,
  group: fc.option(fc.nat(4)),
});
const anyState = fc
  .record({
    devices: fc.dictionary(fc.constantFrom(A, B, '0000:02:00.0', '10000:e1:00.0', 'ACPI0003'), anyDevice),
    groups: fc.array(fc.tuple(fc.nat(4), fc.constantFrom(null, 'DMA', 'DMA-FQ', 'identity')), {
      maxLength: 5,
    }),
  })
  .map(
    ({ devices, groups }): WatchState => ({
      devices: new Map(Object.entries(devices)),
      groups: new Map(groups),
    }),
  );

const plain = ({ devices, groups }: WatchState) => ({
  devices: Object.fromEntries(devices),
  groups: Object.fromEntries(groups),
});

describe('properties', () => {
  test('the events, applied to the first state, give the second', () => {
    fc.assert(
      fc.property(anyState, anyState, (before, after) => {
        expect(plain(applyEvents(before, compareStates(before, after)))).toEqual(plain(after));
      }),
      { numRuns: 500 },
    );
  });

  test('nothing is told of equal states, and the events do not depend on the order of recording', () => {
    const backwards = ({ devices, groups }: WatchState): WatchState => ({
      devices: new Map([...devices].reverse()),
      groups: new Map([...groups].reverse()),
    });
    fc.assert(
      fc.property(anyState, anyState, (before, after) => {
        expect(compareStates(before, backwards(before))).toEqual([]);
        expect(compareStates(backwards(before), backwards(after))).toEqual(compareStates(before, after));
      }),
    );
  });

  test('owner events lead from the owners before to those after, as far as vfio goes', () => {
    fc.assert(
      fc.property(anyState, anyState, (before, after) => {
        const held = ({ groups, ...rest }: WatchState): Set<number> =>
          new Set(
            [...owners({ groups, ...rest })].flatMap(([group, owner]) =>
              owner === 'vfio' && groups.has(group) ? [group] : [],
            ),
          );
        const now = held(before);
        for (const event of compareStates(before, after)) {
          if (event.event === 'group-remove') now.delete(event.group);
          if (event.event !== 'owner') continue;
          if (event.after === 'vfio') now.add(event.group);
          else now.delete(event.group);
        }
        for (const group of held(after)) expect(now).toContain(group);
        for (const group of now) if (before.groups.has(group)) expect(held(after)).toContain(group);
      }),
    );
  });
});

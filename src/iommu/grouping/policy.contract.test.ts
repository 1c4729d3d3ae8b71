/** What every grouping policy promises, held against each of them. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Device } from '../../device/device.ts';
import type { PciDevice } from '../../pci/device.ts';
import {
  createPolicy,
  DEFAULT_POLICY,
  isPolicyName,
  POLICY_NAMES,
  type PolicyContext,
  type PolicyName,
} from './index.ts';
import type { Reason } from './reason.ts';
import {
  type Acs,
  build,
  card,
  downstream,
  endpoint,
  type FormOptions,
  form,
  integrated,
  type Node,
  type NodeOptions,
  oldBridge,
  pciBridge,
  plainAcs,
  rootPort,
  type TestMachine,
  upstream,
} from './testing.ts';

/** One row a policy: what it is made with, and the promises it does not make. */
interface Contract {
  policy: PolicyName;
  label?: string;
  context?: Partial<PolicyContext>;
  /** Why the partition depends on the order of probing. */
  ordered?: string;
  /** Steps a new group may end with. */
  steps: Reason['steps'][number]['step'][];
}

const CONTRACTS: Contract[] = [
  {
    policy: 'linux-6.12',
    ordered:
      'grouping.md 2: it only looks at groups that exist; a parent probed after its child yields narrower groups',
    steps: ['alias', 'climb', 'isolated-above', 'root-bus', 'alias-partner', 'function'],
  },
  { policy: 'vtd-2012', steps: ['number'] },
  { policy: 'vtd-2012', label: 'iommu=group_mf', context: { groupMf: true }, steps: ['number'] },
  { policy: 'amd-2012', steps: ['number'] },
  { policy: 'amd-2012', label: 'iommu=group_mf', context: { groupMf: true }, steps: ['number'] },
  {
    policy: 'acs-2025',
    ordered: 'grouping.md 12: a bridge probed after what is below it; the series answers EPROBE_DEFER there',
    steps: ['alias', 'bus', 'alias-partner', 'function'],
  },
  { policy: 'generic', steps: ['own'] },
  { policy: 'single', steps: ['instance'] },
];

const options = (): fc.Arbitrary<NodeOptions> =>
  fc.record({
    acs: fc.constantFrom<Acs[]>('full', 'off', 'empty', 'none', 'unknown', 0x3, 0x1d),
    multifunction: fc.constantFrom(undefined, true, false),
  });

const slots = fc.uniqueArray(fc.tuple(fc.nat(3), fc.nat(3)), {
  maxLength: 5,
  selector: ([slot, fn]) => slot * 8 + fn,
});

const leaf = (at: string): fc.Arbitrary<Node> =>
  fc.tuple(fc.constantFrom(endpoint, integrated, card), options()).map(([make, o]) => make(at, o));

const bridge = (at: string, depth: number): fc.Arbitrary<Node> =>
  fc
    .tuple(fc.constantFrom(rootPort, downstream, upstream, pciBridge, oldBridge), options(), nodes(depth - 1))
    .map(([make, o, below]) => make(at, o, below));

const nodes = (depth: number): fc.Arbitrary<Node[]> =>
  slots.chain((places) =>
    fc.tuple(
      ...places.map(([slot, fn]) => {
        const at = `${slot}.${fn}`;
        return depth > 0 ? fc.oneof(leaf(at), bridge(at, depth)) : leaf(at);
      }),
    ),
  );

const machines = nodes(3).map((tree) => build(tree));

describe.each(
  CONTRACTS.map(
    (contract) => [[contract.policy, contract.label].filter(Boolean).join(' '), contract] as const,
  ),
)('%s', (_, { policy, context, ordered, steps }) => {
  const how = (machine: TestMachine, more: FormOptions = {}) =>
    form(machine, { policy, ...(context === undefined ? {} : { context }), ...more });

  test('every device gets exactly one group', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const members = how(machine).groups.flat();
        expect(members.toSorted()).toEqual(machine.topology.devices.map((d) => machine.nameOf(d)).toSorted());
      }),
    );
  });

  test('the same machine gives the same groups and the same reasons', () => {
    fc.assert(
      fc.property(nodes(2), (tree) => {
        const [first, second] = [how(build(tree)), how(build(tree))];
        expect(second.groups).toEqual(first.groups);
        expect([...second.reasons]).toEqual([...first.reasons]);
      }),
    );
  });

  test('a reason is always there and ends as `joined` says', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const { reasons, groupOf } = how(machine);
        for (const device of machine.topology.devices) {
          const reason = reasons.get(machine.nameOf(device))!;
          expect(reason).toMatchObject({ device: device.name });
          for (const step of reason.steps) expect(steps).toContain(step.step);
          if (reason.joined === null) continue;
          const through = machine.topology.find(reason.joined.through)!;
          expect(groupOf.get(through)).toBe(groupOf.get(device));
          expect(reason.steps.at(-1)).toMatchObject({ step: reason.joined.step, grouped: true });
        }
      }),
    );
  });

  test('a new group is made exactly where nothing was joined', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const { reasons, groups } = how(machine);
        expect([...reasons.values()].filter((reason) => reason.joined === null)).toHaveLength(groups.length);
      }),
    );
  });

  test('it answers with groups that exist, and changes none', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const rule = createPolicy(policy, { acs: plainAcs(), ...context });
        const existing = new Map<Device, object>();
        for (const device of machine.topology.devices) {
          const before = new Map(existing);
          const { group } = rule.deviceGroup(device, (other) => existing.get(other));
          expect(existing).toEqual(before);
          if (group !== undefined) expect([...existing.values()]).toContain(group);
          existing.set(device, group ?? {});
        }
      }),
    );
  });

  test.skipIf(ordered !== undefined)(
    `the order of probing does not matter${ordered ? ` (skipped: ${ordered})` : ''}`,
    () => {
      fc.assert(
        fc.property(
          machines.chain((machine) =>
            fc.tuple(
              fc.constant(machine),
              fc.shuffledSubarray(machine.topology.devices, { minLength: machine.topology.size }),
            ),
          ),
          ([machine, order]) => {
            const sorted = (groups: string[][]) => groups.map((group) => group.toSorted()).toSorted();
            expect(sorted(how(machine, { order }).groups)).toEqual(sorted(how(machine).groups));
          },
        ),
      );
    },
  );
});

describe('policies that look at groups', () => {
  const bridged = () =>
    build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        pciBridge('0.0', { name: 'bridge' }, [card('1.0', { name: 'c1' }), card('2.0', { name: 'c2' })]),
      ]),
    ]);

  test.each(['linux-6.12', 'acs-2025'] as const)(
    '%s: an alias that has a group already decides',
    (policy) => {
      const machine = bridged();
      const rule = createPolicy(policy, { acs: plainAcs() });
      const claimed = new Map<Device, string>([[machine.get('bridge'), 'claimed']]);
      if (policy === 'acs-2025') rule.deviceGroup(machine.get('c1'), (d) => claimed.get(d));
      if (policy === 'acs-2025') claimed.set(machine.get('c1'), 'claimed');
      expect(rule.deviceGroup(machine.get('c2'), (d: PciDevice | Device) => claimed.get(d)).group).toBe(
        'claimed',
      );
    },
  );
});

test('names: the default first, nothing else is a policy', () => {
  expect(POLICY_NAMES[0]).toBe(DEFAULT_POLICY);
  expect(isPolicyName('toString')).toBe(false);
  expect(POLICY_NAMES.every(isPolicyName)).toBe(true);
});

/** A plan may come from anybody and is carried out by root: whatever is wrong with it is said in one line. */

import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { checkPlan, readPlan } from './plan-file.ts';
import { planSchemaText } from './plan-schema.ts';
import { effect, isDriverName, parseWrite, stepsTo, writeText } from './plan-steps.ts';
import type { PlanReport } from './report.ts';

const PUBLISHED = new URL('../../schema/plan.json', import.meta.url);
const A = '0000:01:00.0';

test('the published JSON Schema is the one made from plan-schema.ts (RINGFENCE_WRITE_SCHEMA=1 writes it)', () => {
  if (process.env.RINGFENCE_WRITE_SCHEMA === '1') writeFileSync(PUBLISHED, planSchemaText());
  expect(readFileSync(PUBLISHED, 'utf8')).toBe(planSchemaText());
});

function good(): PlanReport {
  return {
    report: 'plan',
    version: 1,
    host: { kernel: '6.12.0' },
    driver: 'vfio-pci',
    devices: [{ address: A, role: 'named', before: { driver: 'igb', override: null } }],
    source: 'kernel',
    groups: [{ id: 3, members: [{ device: A, driver: 'igb' }] }],
    commands: [],
    steps: stepsTo(A, { driver: 'igb', override: null }, 'vfio-pci'),
    left: [],
    questions: [],
    refusals: [],
    unknown: [],
    notes: [],
  };
}

// biome-ignore lint/suspicious/noExplicitAny: tests take plans apart.
function spoilt(change: (plan: any) => void): unknown {
  const plan = structuredClone(good());
  change(plan);
  return plan;
}

test('a good plan is taken as it is', () => {
  expect(checkPlan(good(), 'plan.json')).toEqual(good());
  expect(readPlan(Buffer.from(JSON.stringify(good())), 'plan.json')).toEqual(good());
});

test('steps may come in another order, and drivers_probe may stand for bind', () => {
  const plan = good();
  const [override, unbind, bind] = plan.steps as [
    PlanReport['steps'][0],
    PlanReport['steps'][0],
    PlanReport['steps'][0],
  ];
  plan.steps = [unbind, override, { ...bind, path: '/sys/bus/pci/drivers_probe' }];
  expect(checkPlan(plan, 'plan.json')).toEqual(plan);
});

const ETC = '/sys/bus/pci/devices/../../../../etc/passwd';

describe('hostile plans', () => {
  test.each<[string, (plan: ReturnType<typeof good> & Record<string, never>) => void, RegExp]>([
    [
      'a path that leads elsewhere',
      (p) => (p.steps[0]!.path = '/etc/passwd'),
      /steps\[0\]\.path.*no write of a hand-over/,
    ],
    ['a path with ..', (p) => (p.steps[0]!.path = ETC), /steps\[0\]\.path/],
    [
      'a device name with ..',
      (p) => (p.steps[0]!.path = '/sys/bus/pci/devices/../driver_override'),
      /steps\[0\]\.path/,
    ],
    [
      'a driver name with ..',
      (p) => (p.steps[1]!.path = '/sys/bus/pci/drivers/../unbind'),
      /steps\[1\]\.path/,
    ],
    [
      'another file of the device',
      (p) => (p.steps[0]!.path = `/sys/bus/pci/devices/${A}/remove`),
      /steps\[0\]\.path/,
    ],
    [
      'another file of the driver',
      (p) => (p.steps[2]!.path = '/sys/bus/pci/drivers/vfio-pci/new_id'),
      /steps\[2\]\.path/,
    ],
    ['another bus', (p) => (p.steps[2]!.path = '/sys/bus/usb/drivers/vfio-pci/bind'), /steps\[2\]\.path/],
    ['a device that is not in the plan', (p) => (p.steps[0]!.device = '0000:02:00.0'), /steps\[0\]\.device/],
    [
      'a write to another device',
      (p) => (p.steps[2]!.value = '0000:02:00.0'),
      /steps\[2\]\.path: writes to 0000:02:00\.0/,
    ],
    ['another driver than it says', (p) => (p.steps[0]!.value = 'nvidia'), /steps\[0\]\.value: names nvidia/],
    [
      'binding another driver',
      (p) => (p.steps[2]!.path = '/sys/bus/pci/drivers/igb/bind'),
      /steps\[2\]\.path: binds igb/,
    ],
    ['a value of several lines', (p) => (p.steps[0]!.value = 'vfio-pci\n0000'), /steps\[0\]\.path/],
    ['a value that is long', (p) => (p.steps[0]!.value = 'x'.repeat(5000)), /steps\[0\]\.value/],
    [
      'unbinding a driver that does not have it',
      (p) => (p.steps[1]!.path = '/sys/bus/pci/drivers/e1000e/unbind'),
      /steps\[1\]: cannot follow/,
    ],
    ['binding without unbinding', (p) => p.steps.splice(1, 1), /steps\[1\]: cannot follow/],
    ['a step twice', (p) => p.steps.splice(1, 0, p.steps[1]!), /steps\[2\]: cannot follow/],
    ['ending somewhere else', (p) => p.steps.pop(), /steps: leave 0000:01:00\.0 with no driver/],
    ['a false before', (p) => (p.steps[1]!.before = 'e1000e'), /steps\[1\]\.before/],
    ['a device twice', (p) => p.devices.push(p.devices[0]!), /devices\[1\]\.address.*twice/],
    ['a driver that is none', (p) => (p.driver = '../../x'), /driver:.*no name of a driver/],
    ['a driver before that is none', (p) => (p.devices[0]!.before.driver = '..'), /before\.driver/],
    [
      'no driver before',
      (p) => delete p.devices[0]!.before.driver,
      /before: the driver it has now is missing/,
    ],
    ['an address that is none', (p) => (p.devices[0]!.address = '../x'), /devices\[0\]\.address/],
    ['unknown drivers', (p) => p.unknown.push('0000:02:00.0'), /unknown:/],
    ['a field too many', (p) => Object.assign(p, { run: 'rm' }), /plan.*run/],
    ['steps that are none', (p) => Object.assign(p, { steps: {} }), /steps/],
    ['a newer version', (p) => Object.assign(p, { version: 2 }), /newer/],
    ['another report', (p) => Object.assign(p, { report: 'check' }), /no plan/],
  ])('%s', (_, change, message) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    const work = () => checkPlan(spoilt(change as any), 'plan.json');
    expect(work).toThrow(InputError);
    expect(work).toThrow(message);
    expect(work).toThrow(/^plan\.json: ?[^\n]*$/);
  });

  test.each(['', '{', 'null', '[]', '"plan"', '[[[['.repeat(50_000), '\u0000', '{"report":"plan"}'])(
    'text that is none: %#',
    (text) => {
      const work = () => readPlan(Buffer.from(text), 'plan.json');
      expect(work).toThrow(InputError);
      expect(work).toThrow(/^plan\.json[^\n]{0,200}$/);
    },
  );

  test('a file of any size ends in one line', () => {
    expect(() => readPlan(Buffer.alloc(9 * 1024 * 1024, 0x20), 'plan.json')).toThrow(/8 MiB/);
  });

  test('any change to a plan is refused, or leaves writes of the four kinds to its own devices only', () => {
    const leaf = fc.oneof(
      fc.string(),
      fc.constantFrom('\n', A, 'vfio-pci', 'igb', '..', ETC),
      fc.constant(null),
      fc.integer(),
    );
    const place = fc.tuple(
      fc.constantFrom('steps', 'devices'),
      fc.nat(3),
      fc.constantFrom('path', 'value', 'device', 'before', 'address'),
      leaf,
    );
    fc.assert(
      fc.property(fc.array(place, { minLength: 1, maxLength: 3 }), (changes) => {
        const plan = spoilt((p) => {
          for (const [list, index, field, value] of changes) {
            if (p[list][index] !== undefined) p[list][index][field] = value;
          }
        });
        try {
          for (const { path, value } of checkPlan(plan, 'p').steps) {
            expect(parseWrite(path, value)?.device).toBe(A);
            expect(path).toMatch(
              /^\/sys\/bus\/pci\/(devices\/0000:01:00\.0\/driver_override|drivers\/(igb\/unbind|vfio-pci\/bind)|drivers_probe)$/,
            );
          }
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect((error as Error).message).not.toContain('\n');
        }
      }),
    );
  });
});

describe('writes', () => {
  test('text and meaning are each other’s inverse', () => {
    for (const write of [
      { kind: 'override', device: A, value: 'vfio-pci' },
      { kind: 'override', device: A, value: null },
      { kind: 'unbind', device: A, driver: 'HDA Intel' },
      { kind: 'bind', device: A, driver: 'vfio-pci' },
      { kind: 'probe', device: A },
    ] as const) {
      const { path, value } = writeText(write);
      expect(parseWrite(path, value)).toEqual(write);
    }
  });

  test('only full addresses in lower case, as the folders are called', () => {
    for (const name of [
      '01:00.0',
      '0000:01:00.8',
      '0000:0A:00.0',
      '0000:01:00.0\n',
      'pci_0000_01_00_0',
      '',
    ]) {
      expect(parseWrite('/sys/bus/pci/drivers_probe', name), name).toBeUndefined();
    }
  });

  test.each(['..', '.', '', ' x', 'x ', 'a/b', 'a\nb', 'a\0', 'é', 'x'.repeat(129)])(
    '%j is no driver',
    (name) => {
      expect(isDriverName(name)).toBe(false);
    },
  );

  test.each(['vfio-pci', 'HDA Intel', 'EMU10K1!Audigy', '3w-9xxx', 'Intel(R) PRO'])(
    '%j is a driver',
    (name) => {
      expect(isDriverName(name)).toBe(true);
    },
  );

  test('steps lead to the driver from wherever a device is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(null, 'igb', 'pci-stub'),
        fc.constantFrom(undefined, null, 'igb', 'vfio-pci', 'other'),
        (driver, override) => {
          let held: ReturnType<typeof effect> = { driver, override };
          const before = { driver, ...(override !== undefined && { override }) };
          for (const { path, value } of stepsTo(A, before, 'vfio-pci'))
            held = effect(held!, parseWrite(path, value)!);
          expect(held).toEqual({ driver: 'vfio-pci', override: 'vfio-pci' });
        },
      ),
    );
  });
});

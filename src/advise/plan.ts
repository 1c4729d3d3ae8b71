/** The plan of a hand-over: every write in order, and the state it starts from. Nothing is written here. */

import { InputError } from '../kernel/errors.ts';
import { managesDma } from '../machine/drivers.ts';
import type { Machine } from '../machine/machine.ts';
import { isBridge } from './check-functions.ts';
import { type Describer, sortNames } from './describe.ts';
import { hostDriverRefusals } from './plan-host-driver.ts';
import { type Fate, fateOfSibling, groupSource, groupsOf } from './plan-members.ts';
import { isDriverName, stepsOf } from './plan-steps.ts';
import {
  type Finding,
  type PlanDevice,
  type PlanGroup,
  type PlanQuestion,
  type PlanRefusal,
  type PlanReport,
  REPORT_VERSION,
} from './report.ts';

export interface PlanOptions {
  /** Default `vfio-pci`. */
  driver?: string;
  /** The named devices, without the rest of their groups. */
  only?: boolean;
}

/** Who takes part: what is settled, and what only the owner of the machine can answer. */
export interface Draft {
  driver: string;
  groups: PlanGroup[];
  fates: Fate[];
  named: ReadonlySet<string>;
  questions: Omit<PlanQuestion, 'answer'>[];
}

/**
 * @param names full addresses
 * @throws InputError for a device that cannot be handed over as such, or a name that is no driver's
 */
export function draftPlan(
  describer: Describer,
  machine: Machine,
  names: readonly string[],
  options: PlanOptions = {},
): Draft {
  const driver = options.driver ?? 'vfio-pci';
  if (!isDriverName(driver))
    throw new InputError('--driver', `${JSON.stringify(driver)} is no name of a driver`);
  const named = new Set(sortNames(names));
  const fates: Fate[] = [...named].map((device) => fateOfNamed(describer, device, driver));
  const groups = groupsOf(describer, machine, [...named]);
  // A driver of the host needs the device alone; only what takes devices out of its hands needs the group.
  if (options.only !== true && managesDma(driver)) {
    for (const { device } of groups.flatMap((group) => group.members)) {
      if (!named.has(device)) fates.push(fateOfSibling(describer, device, driver));
    }
  }
  const questions = fates
    .filter((fate) => fate.what === 'ask')
    .map(({ device }) => question(describer, groups, named, device, driver));
  return { driver, groups, fates, named, questions };
}

/**
 * The plan, once every question is answered.
 * @param consents whether a sibling may be taken too
 * @param refusals what `check` says of the devices that change hands
 */
export function planReport(
  describer: Describer,
  draft: Draft,
  consents: (device: string) => boolean,
  refusals: (devices: string[]) => readonly PlanRefusal[],
): PlanReport {
  const { driver, groups, named } = draft;
  const taken = draft.fates
    .filter((fate) => fate.what === 'take' || (fate.what === 'ask' && consents(fate.device)))
    .map((fate) => planDevice(describer, fate.device, named.has(fate.device) ? 'named' : 'sibling'));
  const unknown = taken.filter(({ before }) => before.driver === undefined).map(({ address }) => address);
  const devices = taken.filter(({ before }) => before.driver !== undefined);
  const steps = stepsOf(devices, driver);
  const moving = devices.map(({ address }) => address);
  const source = groupSource(describer);
  return {
    report: 'plan',
    version: REPORT_VERSION,
    host: describer.host(),
    driver,
    devices,
    source,
    groups,
    commands: steps.length > 0 ? commands(describer, driver) : [],
    steps,
    left: draft.fates.flatMap((fate) => {
      if (fate.what === 'take' || (fate.what === 'ask' && consents(fate.device))) return [];
      const has = describer.line(fate.device).driver;
      const why = fate.what === 'leave' ? fate.why : 'you said no';
      return [{ device: fate.device, ...(has !== undefined && { driver: has }), why }];
    }),
    questions: draft.questions.map((asked) => ({ ...asked, answer: consents(asked.device) })),
    refusals:
      devices.length === 0
        ? []
        : managesDma(driver)
          ? [...refusals(sortNames([...new Set([...named, ...moving])]))]
          : hostDriverRefusals(groups, source, moving, driver),
    unknown,
    notes: notes(describer, draft, devices),
  };
}

/** What keeps `check` from a yes: what it refuses, and what it would refuse if it is so. */
export function refusalsOf(findings: readonly Finding[]): PlanRefusal[] {
  return findings.flatMap(({ code, severity, device, what, remedy }) =>
    severity === 'refusal' || severity === 'unknown'
      ? [
          {
            code,
            severity,
            ...(device !== undefined && { device }),
            what,
            ...(remedy !== undefined && { remedy }),
          },
        ]
      : [],
  );
}

function fateOfNamed(describer: Describer, device: string, driver: string): Fate {
  const facts = describer.facts(device);
  if (facts === undefined)
    throw new InputError(device, 'is no PCI device, which is all that can be handed over here');
  if (isBridge(facts) && managesDma(driver)) {
    throw new InputError(device, `is a bridge, which ${driver} does not take; name the devices behind it`);
  }
  return facts.driver === driver
    ? { device, what: 'leave', why: `${driver} has it already` }
    : { device, what: 'take' };
}

function question(
  describer: Describer,
  groups: readonly PlanGroup[],
  named: ReadonlySet<string>,
  device: string,
  driver: string,
): Draft['questions'][number] {
  const group = groups.find(({ members }) => members.some((member) => member.device === device))!;
  const with_ = group.members.filter((member) => named.has(member.device)).map((member) => member.device);
  const { driver: has } = describer.line(device);
  const held = has === undefined ? 'driver not known' : has === null ? 'no driver' : `driver ${has}`;
  return {
    device,
    ...(has !== undefined && { driver: has }),
    text: `Hand ${describer.title(device)} (${held}) to ${driver} too? It shares group ${group.id} with ${with_.join(', ')}.`,
  };
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function planDevice(describer: Describer, address: string, role: PlanDevice['role']): PlanDevice {
  const facts = describer.facts(address)!;
  const id = (name: 'vendor' | 'device' | 'subsystemVendor' | 'subsystemDevice') =>
    facts[name] === undefined ? {} : { [name]: hex(facts[name], 4) };
  return {
    address,
    role,
    ...(facts.path !== undefined && { path: facts.path }),
    ...id('vendor'),
    ...id('device'),
    ...id('subsystemVendor'),
    ...id('subsystemDevice'),
    before: {
      ...(facts.driver !== undefined && { driver: facts.driver }),
      ...(facts.driverOverride !== undefined && { override: facts.driverOverride }),
    },
  };
}

/** Loading a module is left to people: it may pull in others and run whatever modprobe.d says. */
function commands(describer: Describer, driver: string): PlanReport['commands'] {
  if (describer.snapshot.devices.some((device) => device.driver === driver)) return [];
  return [
    {
      run: `modprobe ${driver}`,
      why: `no device has ${driver} yet, so its module may not be loaded; harmless if it is`,
    },
  ];
}

function notes(describer: Describer, draft: Draft, devices: readonly PlanDevice[]): string[] {
  const found: string[] = [];
  if (describer.snapshot.groups === undefined && draft.groups.length > 0) {
    found.push('the data does not tell the groups of the kernel; those of the rules are used');
  }
  for (const device of draft.named) {
    if (!draft.groups.some(({ members }) => members.some((member) => member.device === device))) {
      found.push(`${device} is in no group`);
    }
  }
  for (const { address, before } of devices) {
    if (before.override === undefined) found.push(`${address}: its driver_override is not known`);
  }
  return found;
}

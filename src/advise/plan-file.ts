/**
 * Reads plan files. A plan may come from anybody and is carried out by root, so nothing in it is believed: each write
 * must be one of the four that a hand-over consists of, go to a device of the plan, start from the state that the
 * writes before it leave, and all of them together must end with the driver the plan names.
 */

import { shown } from '../host/host-tree.ts';
import { InputError } from '../kernel/errors.ts';
import { planSchema } from './plan-schema.ts';
import { effect, type Held, isDriverName, parseWrite, shownBefore } from './plan-steps.ts';
import { type PlanReport, REPORT_VERSION } from './report.ts';

/** Some thousand devices. */
const LONGEST = 8 * 1024 * 1024;

/** @throws InputError naming the file and the field, in one line */
export function readPlan(bytes: Uint8Array, place: string): PlanReport {
  if (bytes.length > LONGEST) throw new InputError(place, 'plan longer than 8 MiB');
  return checkPlan(parseJson(bytes, place), place);
}

/** Checks what claims to be a plan. @throws InputError */
export function checkPlan(value: unknown, place: string): PlanReport {
  checkKind(value, place);
  const checked = planSchema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    throw new InputError(`${place}: ${fieldName(issue.path)}`, shown(issue.message));
  }
  // zod's optional fields may be absent or undefined; JSON has only the former.
  const plan = checked.data as PlanReport;
  checkWrites(plan, place);
  return plan;
}

function parseJson(bytes: Uint8Array, place: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error) {
    throw new InputError(place, `no plan: broken JSON (${shown((error as Error).message)})`);
  }
}

function checkKind(value: unknown, place: string): void {
  const { report, version } = (value ?? {}) as { report?: unknown; version?: unknown };
  if (report !== 'plan') {
    throw new InputError(
      place,
      'JSON, but no plan: "report": "plan" is missing; `ringfence plan --json` makes one',
    );
  }
  if (typeof version === 'number' && version > REPORT_VERSION) {
    throw new InputError(
      place,
      `plan version ${version} is newer than this program knows (${REPORT_VERSION})`,
    );
  }
}

/** Plays the writes on the state the plan assumes. */
function checkWrites(plan: PlanReport, place: string): void {
  const at = (field: string, problem: string) => new InputError(`${place}: ${field}`, problem);
  if (!isDriverName(plan.driver))
    throw at('driver', `${JSON.stringify(shown(plan.driver))} is no name of a driver`);
  if (plan.unknown.length > 0) {
    throw at(
      'unknown',
      `the plan was made without knowing the driver of ${shown(plan.unknown[0]!)}; plan again`,
    );
  }
  const held = new Map<string, Held>();
  for (const [index, { address, before }] of plan.devices.entries()) {
    const field = `devices[${index}]`;
    if (held.has(address)) throw at(`${field}.address`, `${address} is there twice`);
    if (before.driver === undefined) throw at(`${field}.before`, 'the driver it has now is missing');
    if (before.driver !== null && !isDriverName(before.driver)) {
      throw at(`${field}.before.driver`, `${JSON.stringify(shown(before.driver))} is no name of a driver`);
    }
    held.set(address, { driver: before.driver, override: before.override });
  }
  for (const [index, step] of plan.steps.entries()) {
    const field = `steps[${index}]`;
    const now = held.get(step.device);
    if (now === undefined) throw at(`${field}.device`, `${step.device} is not among the devices of the plan`);
    const write = parseWrite(step.path, step.value);
    if (write === undefined) {
      throw at(
        `${field}.path`,
        `${shown(step.path)} with ${shown(JSON.stringify(step.value))} is no write of a hand-over`,
      );
    }
    if (write.device !== step.device)
      throw at(`${field}.path`, `writes to ${write.device}, not to ${step.device}`);
    if (write.kind === 'override' && write.value !== null && write.value !== plan.driver) {
      throw at(`${field}.value`, `names ${write.value}, the plan is for ${plan.driver}`);
    }
    if (write.kind === 'bind' && write.driver !== plan.driver) {
      throw at(`${field}.path`, `binds ${write.driver}, the plan is for ${plan.driver}`);
    }
    const next = effect(now, write);
    if (next === undefined)
      throw at(field, `cannot follow: ${step.device} then has ${now.driver ?? 'no driver'}`);
    if (step.before !== shownBefore(now, write)) {
      throw at(
        `${field}.before`,
        `is ${shown(String(step.before))}, but the writes before leave ${String(shownBefore(now, write))}`,
      );
    }
    held.set(step.device, next);
  }
  for (const [address, { driver }] of held) {
    if (driver !== plan.driver)
      throw at('steps', `leave ${address} with ${driver ?? 'no driver'}, not ${plan.driver}`);
  }
}

/** `devices[3].address` */
function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'plan';
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${shown(String(part))}`));
  return parts.join('').replace(/^\./, '');
}

/**
 * Devices on their way back to what they had. It starts from what each has now, whatever happened since, so the same
 * code undoes a hand-over, takes back one that failed half way, and goes on where another undo was killed.
 */

import type { Held } from '../advise/plan-steps.ts';
import type { DriverState, ReturnedDevice } from '../advise/report.ts';
import { KernelError } from '../kernel/errors.ts';
import { isVfioDriver, managesDma } from '../machine/drivers.ts';
import type { Origin } from './journal-records.ts';
import type { Performer } from './perform.ts';
import type { HandoverTree, Identity } from './tree.ts';

/** A device with its way back; `outcome` once there is one. */
interface Journey {
  device: string;
  origin: Origin;
  from?: Held;
  outcome?: ReturnedDevice['outcome'];
  problem?: string;
}

/**
 * Last come, first returned, in two passes: every device is let go of before the first gets its driver back. The kernel
 * refuses a driver of the host, or worse, while vfio has another member of the group. What cannot be done for one
 * device does not keep the others, but for those of its group.
 */
export function returnDevices(
  tree: HandoverTree,
  performer: Performer,
  origins: ReadonlyMap<string, Origin>,
): ReturnedDevice[] {
  const journeys = [...origins].reverse().map(([device, origin]) => setOut(tree, device, origin));
  const travellers = journeys.filter(({ outcome }) => outcome === undefined);
  for (const journey of travellers) attempt(tree, journey, () => letGo(performer, journey));
  for (const journey of travellers) {
    if (journey.outcome === undefined) {
      attempt(tree, journey, () => {
        requireFreeGroup(tree, journey, travellers);
        goBack(tree, performer, journey);
        journey.outcome = 'returned';
      });
    }
  }
  return journeys.map(({ device, origin, from, outcome, problem }) => ({
    device,
    to: state(origin),
    ...(from !== undefined && { from: state(from) }),
    outcome: outcome!,
    ...(problem !== undefined && { problem }),
  }));
}

function setOut(tree: HandoverTree, device: string, origin: Origin): Journey {
  const from = tree.held(device);
  if (from === undefined) return { device, origin, outcome: 'gone' };
  if (isOther(origin.identity, tree.identity(device)))
    return { device, origin, from, outcome: 'another device' };
  const there = from.driver === origin.driver && sameOverride(from, origin);
  return { device, origin, from, ...(there && { outcome: 'was there' }) };
}

function attempt(tree: HandoverTree, journey: Journey, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    journey.outcome = 'failed';
    journey.problem = problemOf(error, tree, journey.origin);
  }
}

function letGo(performer: Performer, { device, origin, from }: Journey): void {
  const driver = from!.driver;
  if (driver !== null && driver !== origin.driver) performer.perform({ kind: 'unbind', device, driver });
}

/** @throws KernelError EBUSY where another device on its way back is still with vfio */
function requireFreeGroup(
  tree: HandoverTree,
  { device, origin }: Journey,
  travellers: readonly Journey[],
): void {
  const { driver } = origin;
  if (driver === null || managesDma(driver) || isVfioDriver(driver)) return;
  for (const { device: member, driver: has } of tree.group(device)?.members ?? []) {
    const stuck = travellers.some((other) => other.device === member && other.outcome === 'failed');
    if (stuck && has && isVfioDriver(has)) {
      throw new KernelError('EBUSY', device, `${member} of its group is still with ${has}`);
    }
  }
}

function goBack(tree: HandoverTree, performer: Performer, { device, origin }: Journey): void {
  const now = tree.held(device);
  if (now === undefined) throw new KernelError('ENODEV', device, 'is gone');
  const { driver } = origin;
  const known = origin.override !== undefined;
  const override = origin.override ?? null;
  const setOverride = (value: string | null) => performer.perform({ kind: 'override', device, value });
  let current = now.override ?? null;
  const bring = (value: string | null) => {
    if (current !== value) setOverride(value);
    current = value;
  };

  if (driver !== null && now.driver !== driver) {
    // The override it had may be younger than its binding; then only an override for its driver lets that bind.
    const tries = override === null ? [null, driver] : [driver];
    bindBack(performer, device, driver, known ? tries : [undefined], bring);
  }
  if (known) bring(override);
}

/** Without an override a driver takes what its ids name, which may have been added at run time and be gone. */
function bindBack(
  performer: Performer,
  device: string,
  driver: string,
  overrides: readonly (string | null | undefined)[],
  bring: (override: string | null) => void,
): void {
  for (const [index, override] of overrides.entries()) {
    try {
      if (override !== undefined) bring(override);
      performer.perform({ kind: 'bind', device, driver });
      return;
    } catch (error) {
      const lastTry = index === overrides.length - 1;
      if (lastTry || !(error instanceof KernelError && error.code === 'ENODEV')) throw error;
    }
  }
}

function problemOf(error: KernelError, tree: HandoverTree, { driver }: Origin): string {
  const unloaded = driver !== null && !tree.hasDriver(driver);
  return unloaded ? `${driver} is not loaded any more; run: modprobe ${driver}` : error.message;
}

function sameOverride(now: Held, origin: Origin): boolean {
  return origin.override === undefined || (now.override ?? null) === origin.override;
}

/** Whether another device has taken the address. What is not known of either is no difference. */
export function isOther(was: Identity | undefined, now: Identity): boolean {
  return Object.entries(was ?? {}).some(([field, value]) => {
    const other = now[field as keyof Identity];
    return value !== undefined && other !== undefined && value !== other;
  });
}

function state({ driver, override }: Held): DriverState {
  return { driver, ...(override !== undefined && { override }) };
}

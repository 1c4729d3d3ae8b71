/**
 * Devices on their way back to what they had. It starts from what each has now, whatever happened since, so the same
 * code undoes a hand-over, takes back one that failed half way, and goes on where another undo was killed.
 */

import type { Held } from '../advise/plan-steps.ts';
import type { DriverState, ReturnedDevice } from '../advise/report.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Origin } from './journal-records.ts';
import type { Performer } from './perform.ts';
import type { HandoverTree, Identity } from './tree.ts';

/** Last come, first returned. What cannot be done for one device does not keep the others. */
export function returnDevices(
  tree: HandoverTree,
  performer: Performer,
  origins: ReadonlyMap<string, Origin>,
): ReturnedDevice[] {
  return [...origins].reverse().map(([device, origin]) => returnDevice(tree, performer, device, origin));
}

function returnDevice(
  tree: HandoverTree,
  performer: Performer,
  device: string,
  origin: Origin,
): ReturnedDevice {
  const to = state(origin);
  const now = tree.held(device);
  if (now === undefined) return { device, to, outcome: 'gone' };
  const from = state(now);
  if (isOther(origin.identity, tree.identity(device))) return { device, to, from, outcome: 'another device' };
  if (now.driver === origin.driver && sameOverride(now, origin)) {
    return { device, to, from, outcome: 'was there' };
  }
  try {
    goBack(performer, device, now, origin);
    return { device, to, from, outcome: 'returned' };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { device, to, from, outcome: 'failed', problem: problem(error, tree, origin) };
  }
}

function goBack(performer: Performer, device: string, now: Held, origin: Origin): void {
  const { driver } = origin;
  const known = origin.override !== undefined;
  const override = origin.override ?? null;
  const setOverride = (value: string | null) => performer.perform({ kind: 'override', device, value });
  let current = now.override ?? null;
  const bring = (value: string | null) => {
    if (current !== value) setOverride(value);
    current = value;
  };

  if (now.driver !== null && now.driver !== driver) {
    performer.perform({ kind: 'unbind', device, driver: now.driver });
  }
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

function problem(error: KernelError, tree: HandoverTree, { driver }: Origin): string {
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

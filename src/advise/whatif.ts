/** What would become of a machine's groups if something about it were different. */

import { hasGroups } from '../host/formed.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { applyChanges, bootChanged, type Changed } from '../machine/apply-changes.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import { type Describer, sortNames } from './describe.ts';
import { comparePartitions, kernelPartition, modelPartition } from './partition.ts';
import { type GroupLine, REPORT_VERSION } from './report-base.ts';
import type { WhatIfDevice, WhatIfReport, Worth } from './report-whatif.ts';
import { shortener } from './shorten.ts';
import { changeNotes } from './whatif-notes.ts';
import { iommuWords, triedChange } from './whatif-words.ts';
import { HonestMachines } from './whatif-worth.ts';

export interface WhatIfOptions {
  /** Names for the devices of a snapshot: asked for the machine as it is and as it would be. */
  describer(snapshot: Snapshot): Describer;
  /** How the machine is booted before anything is changed. */
  boot?: BootOptions;
}

/** A question and both machines; what the report is made of, and the explorer draws. */
export interface Tried {
  before: Machine;
  after: Machine;
  changed: Changed;
  report: WhatIfReport;
}

/**
 * Boots the machine as it is and as it would be, and tells what each device gained or lost.
 * @throws InputError for a change that cannot be made: no such device, an occupied port, bits that ACS does not have
 */
export function whatIf(
  snapshot: Snapshot,
  changes: readonly MachineChange[],
  options: WhatIfOptions,
): WhatIfReport {
  return tryWhatIf(snapshot, changes, options).report;
}

/** The same with the machines. @throws InputError as `whatIf` */
export function tryWhatIf(
  snapshot: Snapshot,
  changes: readonly MachineChange[],
  { describer, boot: base = {} }: WhatIfOptions,
): Tried {
  const changed = applyChanges(snapshot, changes, base);
  const before = boot(snapshot, offBefore(snapshot, changes) ? { ...base, iommu: 'off' } : base);
  const after = bootChanged(changed);
  const [now, then] = [describer(snapshot), describer(changed.snapshot)];
  const shorten = shortener(snapshot);
  const honest = new HonestMachines(snapshot, changes, base, after);
  const devices = deviceChanges({ before, after, changed, now, then, honest });
  const groups = { before: linesOf(before, now), after: linesOf(after, then) };
  const report: WhatIfReport = {
    report: 'whatif',
    version: REPORT_VERSION,
    host: now.host(),
    policy: { before: before.policy, after: after.policy },
    changes: changes.map((change) => triedChange(change, snapshot, shorten)),
    parameters: [...changed.parameters, ...changes.flatMap((change) => iommuWords(change, snapshot))],
    ...groups,
    devices,
    summary: {
      groups: { before: groups.before.length, after: groups.after.length },
      gained: countGains(devices),
      lost: devices.filter(({ effect }) => effect === 'lost' || effect === 'mixed').length,
    },
    uncertain: devices.flatMap(({ device, now: at }) => {
      const sure = before.certain(device.address) && (at === null || after.certain(at));
      return sure ? [] : device.address;
    }),
    notes: [
      ...kernelDiffers(snapshot, before),
      ...changes.flatMap((change) => changeNotes(change, before, shorten)),
      ...after.notes.filter((note) => !before.notes.includes(note)),
    ],
  };
  return { before, after, changed, report };
}

/** Without groups the model predicts them, as if the IOMMU were on: not so where that is the question. */
function offBefore(snapshot: Snapshot, changes: readonly MachineChange[]): boolean {
  return snapshot.groups?.length === 0 && changes.some((change) => change.change === 'iommu' && change.on);
}

function linesOf(machine: Machine, describer: Describer): GroupLine[] {
  return machine.groups().map(({ id, type, name, devices }) => ({
    id,
    type,
    ...(name !== undefined && { name }),
    devices: describer.lines(devices),
  }));
}

function countGains(devices: readonly WhatIfDevice[]): Record<Worth, number> {
  const counts: Record<Worth, number> = { real: 0, firmware: 0, rules: 0, claim: 0 };
  for (const { effect, worth } of devices) if (worth !== undefined && effect === 'gained') counts[worth] += 1;
  return counts;
}

interface Sides {
  before: Machine;
  after: Machine;
  changed: Changed;
  now: Describer;
  then: Describer;
  honest: HonestMachines;
}

function deviceChanges(sides: Sides): WhatIfDevice[] {
  const { before, after, changed, then } = sides;
  const names = [
    ...before.pci.devices.map(({ name }) => name),
    ...before.snapshot.others.map(({ name }) => name),
  ];
  const others = new Set(changed.snapshot.others.map(({ name }) => name));
  const places = changed.now && new Map([...changed.now].map(([was, at]) => [at, was]));
  const nameNow = (name: string): string | null => {
    if (changed.now === undefined || others.has(name)) return name;
    return changed.now.get(name) ?? null;
  };
  const nameBefore = (name: string): string => places?.get(name) ?? name;
  const listed = sortNames(names).flatMap(
    (name) => deviceChange(sides, name, nameNow(name), nameBefore) ?? [],
  );
  const added = sortNames(changed.added).map((name): WhatIfDevice => {
    const with_ = othersOf(after, name);
    return {
      device: then.line(name),
      now: name,
      effect: 'new',
      after: with_,
      parted: [],
      joined: (with_ ?? []).map(nameBefore),
    };
  });
  return [...listed, ...added];
}

function deviceChange(
  { before, after, now, honest }: Sides,
  name: string,
  at: string | null,
  nameBefore: (name: string) => string,
): WhatIfDevice | undefined {
  const left = othersOf(before, name);
  if (at === null)
    return {
      device: now.line(name),
      now: null,
      effect: 'gone',
      before: left,
      parted: left ?? [],
      joined: [],
    };
  const right = othersOf(after, at);
  const company = right?.map(nameBefore);
  const parted = (left ?? []).filter((other) => company?.includes(other) === false);
  const joined = (company ?? []).filter((other) => left?.includes(other) === false);
  const effect = effectOf(left, right, parted, joined) ?? (at === name ? undefined : 'renamed');
  if (effect === undefined) return undefined;
  const gains = effect === 'gained' || (effect === 'mixed' && parted.length > 0);
  return {
    device: now.line(name),
    now: at,
    effect,
    before: left,
    after: right,
    parted,
    joined,
    ...(gains && { worth: honest.worth(at) }),
  };
}

function effectOf(
  left: string[] | null,
  right: string[] | null,
  parted: readonly string[],
  joined: readonly string[],
): 'gained' | 'lost' | 'mixed' | undefined {
  if (left === null || right === null) {
    if (left === right) return undefined;
    return left === null ? 'gained' : 'lost';
  }
  if (parted.length > 0) return joined.length > 0 ? 'mixed' : 'gained';
  return joined.length > 0 ? 'lost' : undefined;
}

/** Others of the group of a device; `null`: it has none. */
function othersOf(machine: Machine, name: string): string[] | null {
  const group = machine.groupOf(name);
  return group === undefined ? null : sortNames(group.devices.filter((other) => other !== name));
}

function kernelDiffers(snapshot: Snapshot, before: Machine): string[] {
  if (!hasGroups(snapshot) || before.options.iommu === 'off') return [];
  const differences = comparePartitions(kernelPartition(snapshot), modelPartition(before), []);
  if (differences.length === 0) return [];
  return [
    "both sides are by the rules, and the kernel's groups are not: `ringfence verify` tells the likely cause",
  ];
}

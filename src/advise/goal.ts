/** Which change, or which smallest set of them, gives a device a group of its own. Every answer was booted. */

import type { Snapshot } from '../host/snapshot.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import { whyNothing } from './changes.ts';
import { type Describer, sortNames } from './describe.ts';
import { honestIdeas, type Idea, otherIdeas } from './goal-ideas.ts';
import { REPORT_VERSION } from './report-base.ts';
import type { GoalReport, Way } from './report-whatif.ts';
import { shortener } from './shorten.ts';
import { domainOf, type Trial, tryChanges } from './trial.ts';
import { triedChange, WORTHS, worthOf } from './whatif-words.ts';

/** Machines that are booted for one answer, at most. */
const MOST_TRIALS = 200;
const MOST_WAYS = 12;

/**
 * @param device full address of a PCI function
 * @param options how the machine is booted as it is
 */
export function goalReport(describer: Describer, device: string, options: BootOptions = {}): GoalReport {
  const { snapshot } = describer;
  const asIs = boot(domainOf(snapshot, device), options);
  // What only a claim keeps apart is together: that is where honest ways begin.
  const claimed = asIs.acsContext.override !== undefined;
  const machine = claimed ? boot(domainOf(snapshot, device), { ...options, withoutOverride: true }) : asIs;
  const search = new Search(snapshot, machine, device);
  const already = reachesOf(machine, device);
  const group = machine.groupOf(device);
  const ways = group === undefined || already === 'alone' ? [] : search.ways(already);
  const reached = ways.filter(({ reaches }) => reaches === 'alone' || reaches === 'card');
  const honest = reached.some(({ worth }) => worth === 'real' || worth === 'firmware');
  const isReached = already === 'alone' || already === 'card';
  const reachable = isReached ? 'already' : honest ? 'yes' : reached.length > 0 ? 'claim' : 'no';
  return {
    report: 'goal',
    version: REPORT_VERSION,
    host: describer.host(),
    policy: machine.policy,
    device: describer.line(device),
    group: group === undefined ? null : sortNames(group.devices.filter((name) => name !== device)),
    reachable,
    ...(reachable === 'no' && {
      because:
        group === undefined
          ? (machine.noGroupReason(device) ?? 'no IOMMU translates it')
          : whyNothing(machine, device),
    }),
    ways,
    certain: machine.certain(device),
    tried: search.tried,
    notes: claimed
      ? ['pcie_acs_override= on the command line is left out here: what it splits is not isolated']
      : [],
  };
}

/**
 * What a device has of its own: a group, or one with nothing but its own card and ports that lead to nothing else.
 */
function reachesOf(machine: Machine, name: string): Way['reaches'] | undefined {
  const others = machine.groupOf(name)?.devices.filter((other) => other !== name);
  if (others === undefined) return undefined;
  if (others.length === 0) return 'alone';
  const above = machine.bridgesAbove(name);
  const slot = name.slice(0, -1);
  const own = (other: string): boolean => other.startsWith(slot) || above.includes(other);
  return above.length > 0 && others.every(own) ? 'card' : undefined;
}

class Search {
  tried = 0;
  readonly #snapshot: Snapshot;
  readonly #machine: Machine;
  readonly #name: string;
  readonly #size: number;

  constructor(snapshot: Snapshot, machine: Machine, name: string) {
    this.#snapshot = snapshot;
    this.#machine = machine;
    this.#name = name;
    this.#size = machine.groupOf(name)?.devices.length ?? 0;
  }

  /** @param already what it has as it is: only more than that counts */
  ways(already: Way['reaches'] | undefined): Way[] {
    const honest = honestIdeas(this.#machine, this.#name);
    let found = honest.flatMap((idea) => this.#way(idea) ?? []);
    const enough = (way: Way): boolean => way.reaches === 'alone' || way.reaches === 'card';
    if (!found.some(enough) && already === undefined) {
      for (const pair of pairs(honest)) {
        if (this.tried >= MOST_TRIALS) break;
        found.push(...(this.#way(pair) ?? []));
      }
    }
    found.push(...otherIdeas(this.#machine).flatMap((idea) => this.#way(idea) ?? []));
    found.push(...(this.#virtual() ?? []));
    if (already === 'card')
      found = found.filter(({ reaches }) => reaches === 'alone' || reaches === 'virtual');
    const reached = found.some(enough);
    return found
      .filter(({ reaches }) => !reached || reaches !== 'fewer')
      .sort(byHonesty)
      .filter(isSmallest)
      .slice(0, MOST_WAYS);
  }

  #way(changes: Idea): Way[] | undefined {
    const { options } = this.#machine;
    const claims = worthOf(changes) === 'claim';
    this.tried += 1;
    const trial = tryChanges(this.#machine, this.#name, changes, {
      ...options,
      ...(claims && { withoutOverride: false }),
    });
    const size = trial?.machine.groupOf(trial.name)?.devices.length ?? 0;
    if (trial === undefined || size === 0) return undefined;
    const reaches = reachesOf(trial.machine, trial.name) ?? 'fewer';
    if (reaches === 'fewer' && size >= this.#size) return undefined;
    return [this.#told(changes, trial, trial.name, reaches)];
  }

  /** A virtual function in place of the device. */
  #virtual(): Way[] | undefined {
    const sriov = this.#machine.pci.find(this.#name)?.facts.sriov;
    if (!sriov || sriov.totalVfs === 0) return undefined;
    const count = sriov.enabled ? sriov.numVfs : 1;
    const changes: Idea = [{ change: 'vfs', device: this.#name, count: Math.max(1, count) }];
    this.tried += 1;
    const trial = tryChanges(this.#machine, this.#name, changes);
    const vf = trial?.machine.pci.devices.find(({ physfn }) => physfn?.name === trial.name);
    if (trial === undefined || vf === undefined) return undefined;
    if (trial.machine.groupOf(vf.name)?.devices.length !== 1) return undefined;
    return [this.#told(changes, trial, vf.name, 'virtual')];
  }

  #told(changes: readonly MachineChange[], trial: Trial, name: string, reaches: Way['reaches']): Way {
    const shorten = shortener(this.#snapshot);
    const members = trial.machine.groupOf(name)?.devices ?? [];
    return {
      changes: changes.map((change) => triedChange(change, this.#snapshot, shorten)),
      parameters: trial.parameters,
      worth: worthOf(changes),
      reaches,
      device: name,
      with: sortNames(members.filter((other) => other !== name)),
      effort: Math.max(...changes.map(effortOf)),
      certain: trial.machine.certain(name),
    };
  }
}

function* pairs(ideas: readonly Idea[]): Iterable<Idea> {
  for (const [at, first] of ideas.entries()) {
    for (const second of ideas.slice(at + 1)) {
      const named = new Set(first.map(targetOf));
      if (!second.some((change) => named.has(targetOf(change)))) yield [...first, ...second];
    }
  }
}

/** What a change is of: two of one thing make no pair. */
function targetOf(change: MachineChange): string {
  if (change.change === 'move' || change.change === 'remove') return change.card;
  if (change.change === 'drop-parameter') return change.name;
  return 'device' in change ? `${change.change} ${change.device}` : change.change;
}

function effortOf({ change }: MachineChange): number {
  switch (change) {
    case 'set-acs':
    case 'drop-parameter':
    case 'vfs':
    case 'iommu':
      return 0;
    case 'firmware-acs':
      return 1;
    case 'move':
    case 'add':
    case 'remove':
      return 2;
    default:
      return 3;
  }
}

const REACHES: readonly Way['reaches'][] = ['alone', 'card', 'virtual', 'fewer'];

function byHonesty(a: Way, b: Way): number {
  const partial = (way: Way): number => (way.reaches === 'fewer' ? 1 : 0);
  const taken = (way: Way): number => way.changes.filter(({ change }) => change.change === 'remove').length;
  return (
    WORTHS.indexOf(a.worth) - WORTHS.indexOf(b.worth) ||
    partial(a) - partial(b) ||
    REACHES.indexOf(a.reaches) - REACHES.indexOf(b.reaches) ||
    a.effort - b.effort ||
    a.changes.length - b.changes.length ||
    taken(a) - taken(b) ||
    a.with.length - b.with.length
  );
}

/** Leaves out what does no more than part of it does. */
function isSmallest(way: Way, _: number, all: readonly Way[]): boolean {
  const parts = partsOf(way);
  return !all.some((other) => {
    const fewer = partsOf(other);
    return (
      fewer.length < parts.length &&
      other.with.length <= way.with.length &&
      fewer.every((part) => parts.includes(part))
    );
  });
}

/** Changes as text, an override word by word. */
function partsOf({ changes }: Way): string[] {
  return changes.flatMap(({ change, text }) =>
    change.change === 'acs-override' ? change.words.split(',') : [text],
  );
}

/** Why a device is in its group, and why two devices share one or do not. */

import { hasGroups } from '../host/formed.ts';
import type { Machine } from '../machine/machine.ts';
import type { PciDevice } from '../pci/device.ts';
import { acsBecause } from './acs-words.ts';
import { changesFor } from './changes.ts';
import { type Describer, sortNames } from './describe.ts';
import { joinWords, reasonWords, type Shorten } from './reason-words.ts';
import { REPORT_VERSION, type WhyDevice, type WhyPair, type WhyReport } from './report.ts';
import { shortener } from './shorten.ts';

export function whyReport(describer: Describer, machine: Machine, names: string[]): WhyReport {
  const [first, second] = names as [string, string | undefined];
  return {
    report: 'why',
    version: REPORT_VERSION,
    host: describer.host(),
    source: hasGroups(describer.snapshot) ? 'kernel' : 'predicted',
    policy: machine.policy,
    devices: names.map((name) => whyDevice(describer, machine, name, second === undefined)),
    ...(second !== undefined && { pair: whyPair(describer, machine, first, second) }),
  };
}

/** @param alone asked for by itself: with two, what joins or separates them is the question, not what would change */
function whyDevice(describer: Describer, machine: Machine, name: string, alone: boolean): WhyDevice {
  const { snapshot } = describer;
  const shorten = shortener(snapshot);
  const reason = machine.reason(name);
  const group = machine.groupOf(name);
  const formed = snapshot.groups?.find((other) => other.devices.includes(name));
  const noGroup = group === undefined ? machine.noGroupReason(name) : undefined;
  return {
    device: describer.line(name),
    ...(hasGroups(snapshot) && {
      kernelGroup: formed === undefined ? null : { id: formed.id, members: sortNames(formed.devices) },
    }),
    group: group === undefined ? null : { id: group.id, members: sortNames(group.devices) },
    ...(noGroup !== undefined && { noGroup }),
    ...(reason !== undefined && { reason }),
    because: reason === undefined ? [] : reasonWords(reason, shorten),
    others: othersWords(machine, name, shorten),
    changes: alone ? changesFor(machine, name) : [],
    certain: machine.certain(name),
  };
}

/** How each other member came to the group, those with the same cause together. */
function othersWords(machine: Machine, name: string, shorten: Shorten): WhyDevice['others'] {
  const causes = new Map<string, string[]>();
  for (const member of sortNames(machine.groupOf(name)?.devices ?? [])) {
    const reason = member === name ? undefined : machine.reason(member);
    const because = reason && joinWords(reason, shorten);
    if (because === undefined) continue;
    const same = causes.get(because);
    if (same === undefined) causes.set(because, [member]);
    else same.push(member);
  }
  return [...causes].map(([because, devices]) => ({ devices, because }));
}

function whyPair(describer: Describer, machine: Machine, a: string, b: string): WhyPair {
  const shorten = shortener(describer.snapshot);
  const rules = pairByRules(machine, a, b, shorten);
  const formed = describer.snapshot.groups ?? [];
  if (formed.length === 0) return rules;
  const [left, right] = [a, b].map((name) => formed.find((group) => group.devices.includes(name)));
  const share = left !== undefined && left === right;
  if (share === rules.share) return rules;
  const would = rules.share ? 'they would share a group' : 'they would not share a group';
  return {
    share,
    because: [`by the rules of ${machine.policy} ${would}`, ...rules.because],
  };
}

function pairByRules(machine: Machine, a: string, b: string, shorten: Shorten): WhyPair {
  const loose = [a, b].filter((name) => machine.groupOf(name) === undefined);
  if (loose.length > 0) {
    const why = (name: string): string => machine.noGroupReason(name) ?? 'why is not known';
    return { share: false, because: loose.map((name) => `${shorten(name)} is in no group: ${why(name)}`) };
  }
  if (machine.groupOf(a)?.id !== machine.groupOf(b)?.id) {
    return { share: false, because: separation(machine, a, b, shorten) };
  }
  const because = joinPath(machine, a, b).flatMap((name) => {
    const reason = machine.reason(name);
    const words = reason && joinWords(reason, shorten);
    return words === undefined ? [] : [`${shorten(name)}: ${words}`];
  });
  return { share: true, because };
}

/** The devices through which `a` and `b` came to one group, `a` first. */
function joinPath(machine: Machine, a: string, b: string): string[] {
  const [up, down] = [ancestry(machine, a), ancestry(machine, b)];
  const meeting = up.find((name) => down.includes(name));
  if (meeting === undefined) return [...up, ...down];
  return [...up.slice(0, up.indexOf(meeting)), ...down.slice(0, down.indexOf(meeting)).reverse()];
}

/** A device, the one it joined, the one that joined, and so on to the one that began the group. */
function ancestry(machine: Machine, name: string): string[] {
  const chain = [name];
  for (let at: string | undefined = name; at !== undefined; ) {
    at = machine.reason(at)?.joined?.through;
    if (at === undefined || chain.includes(at)) break;
    chain.push(at);
  }
  return chain;
}

/** What keeps the groups of two devices apart: told of those that began the groups, whom the devices joined. */
function separation(machine: Machine, a: string, b: string, shorten: Shorten): string[] {
  const chains = [ancestry(machine, a), ancestry(machine, b)];
  const came = chains
    .filter((chain) => chain.length > 1)
    .map((chain) => `${shorten(chain[0]!)} belongs with ${chain.slice(1).map(shorten).join(', ')}`);
  const founders = chains.map((chain) => machine.pci.find(chain.at(-1)!));
  const [left, right] = founders;
  if (left === undefined || right === undefined) return [...came, 'nothing merges them'];
  if (left.pciBus === right.pciBus || left.upstreamBridge === right.upstreamBridge) {
    return [...came, besideEachOther(machine, left, right, shorten)];
  }
  return [...came, ...[left, right].flatMap((device) => endOfClimb(machine, device.name, shorten) ?? [])];
}

/** Two devices with the same bridge above them, or none. */
function besideEachOther(machine: Machine, left: PciDevice, right: PciDevice, shorten: Shorten): string {
  const bridge = left.upstreamBridge;
  const where =
    bridge === undefined ? `on a root bus` : `below ${shorten(bridge.name)}, whose way up isolates`;
  if (left.slot !== right.slot || left.pciBus !== right.pciBus) {
    return `both are ${where}, and they are functions of different devices there`;
  }
  const isolating = [left, right]
    .map((device) => machine.acs(device.name))
    .filter((verdict) => verdict.enabled);
  const why = isolating.map((verdict) => `${shorten(verdict.device)} isolates (${acsBecause(verdict)})`);
  return `both are ${where}; ${why.join(', and ') || 'they were grouped before they knew of each other'}`;
}

/** Where the climb of whoever began a group ended. */
function endOfClimb(machine: Machine, name: string, shorten: Shorten): string | undefined {
  const steps = machine.reason(name)?.steps ?? [];
  const last = steps.findLast((step) => step.step === 'isolated-above' || step.step === 'root-bus');
  if (last?.step === 'root-bus') return `${shorten(name)} sits on a root bus`;
  if (last?.step !== 'isolated-above') return undefined;
  const [nearest] = last.path;
  const why = nearest === undefined ? '' : ` (${acsBecause(nearest)})`;
  return `${shorten(last.bridge)} above ${shorten(name)} isolates${why}`;
}

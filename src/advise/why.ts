/** Why a device is in its group, and why two devices share one or do not. */

import type { Machine } from '../machine/machine.ts';
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
    source: describer.snapshot.groups === undefined ? 'predicted' : 'kernel',
    devices: names.map((name) => whyDevice(describer, machine, name)),
    ...(second !== undefined && { pair: whyPair(describer, machine, first, second) }),
  };
}

function whyDevice(describer: Describer, machine: Machine, name: string): WhyDevice {
  const { snapshot } = describer;
  const shorten = shortener(snapshot);
  const reason = machine.reason(name);
  const group = machine.groupOf(name);
  const formed = snapshot.groups?.find((other) => other.devices.includes(name));
  const noGroup = group === undefined ? machine.noGroupReason(name) : undefined;
  const noneFormed = snapshot.groups === undefined || snapshot.groups.length === 0;
  return {
    device: describer.line(name),
    ...(!noneFormed && {
      kernelGroup: formed === undefined ? null : { id: formed.id, members: sortNames(formed.devices) },
    }),
    group: group === undefined ? null : { id: group.id, members: sortNames(group.devices) },
    ...(noGroup !== undefined && { noGroup }),
    ...(reason !== undefined && { reason }),
    because: reason === undefined ? [] : reasonWords(reason, shorten),
    others: othersWords(machine, name, shorten),
    changes: changesFor(machine, name),
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
  const [groupA, groupB] = [machine.groupOf(a), machine.groupOf(b)];
  const shorten = shortener(describer.snapshot);
  if (groupA === undefined || groupB === undefined) {
    const loose = [a, b].filter((name) => machine.groupOf(name) === undefined);
    return {
      share: false,
      because: loose.map(
        (name) => `${shorten(name)} is in no group: ${machine.noGroupReason(name) ?? 'not known'}.`,
      ),
    };
  }
  if (groupA.id !== groupB.id)
    return { share: false, because: [a, b].map((name) => separation(machine, name, shorten)) };
  const chain = joinPath(machine, a, b);
  const because = chain.flatMap((name) => {
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

/** What ended the way up of whoever began the device's group, and so keeps others out of it. */
function separation(machine: Machine, name: string, shorten: Shorten): string {
  const chain = ancestry(machine, name);
  const founder = chain.at(-1)!;
  const steps = machine.reason(founder)?.steps ?? [];
  const last = steps.findLast((step) => step.step === 'isolated-above' || step.step === 'root-bus');
  const own = steps.findLast((step) => step.step === 'function');
  const parts: string[] = [];
  if (last?.step === 'isolated-above') {
    const [nearest] = last.path;
    const why = nearest === undefined ? '' : ` (${acsBecause(nearest)})`;
    parts.push(`${shorten(last.bridge)} above ${shorten(founder)} isolates${why}`);
  } else if (last?.step === 'root-bus') {
    parts.push(`${shorten(last.device)} sits on a root bus`);
  }
  if (own?.step === 'function' && own.own.enabled) {
    parts.push(`${shorten(own.device)} is kept apart from its sibling functions (${acsBecause(own.own)})`);
  }
  const group = `${shorten(name)} is in group ${machine.groupOf(name)?.id}`;
  const begins =
    chain.length === 1 ? '' : `, which it joined through ${chain.slice(1).map(shorten).join(', ')}`;
  return `${group}${begins}: ${parts.join(', and ') || 'nothing merges it with others'}.`;
}

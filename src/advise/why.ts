/** Why a device is in its group, and why two devices share one or do not. */

import type { Reason, Step } from '../iommu/grouping/reason.ts';
import type { Machine } from '../machine/machine.ts';
import { acsBecause } from './acs-words.ts';
import { changesFor } from './changes.ts';
import { type Describer, sortNames } from './describe.ts';
import { reasonWords } from './reason-words.ts';
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
    changes: changesFor(machine, name),
    certain: machine.certain(name),
  };
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
    return reason === undefined || reason.joined === null
      ? []
      : [`${shorten(name)}: ${joinWords(reason, shorten)}`];
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

function ancestry(machine: Machine, name: string): string[] {
  const chain = [name];
  for (let at: string | undefined = name; at !== undefined; ) {
    at = machine.reason(at)?.joined?.through;
    if (at === undefined || chain.includes(at)) break;
    chain.push(at);
  }
  return chain;
}

/** The decisive sentence of a device that joined another's group. */
function joinWords(reason: Reason, shorten: (name: string) => string): string {
  return reasonWords({ ...reason, steps: reason.steps.filter(decides), assumed: [] }, shorten).join(' ');
}

const decides = (step: Step): boolean =>
  step.step !== 'isolated-above' &&
  step.step !== 'root-bus' &&
  !(step.step === 'function' && step.sibling === undefined);

/** What ended a device's way up, and so keeps others out of its group. */
function separation(machine: Machine, name: string, shorten: (name: string) => string): string {
  const reason = machine.reason(name);
  const last = reason?.steps.findLast((step) => step.step === 'isolated-above' || step.step === 'root-bus');
  const own = reason?.steps.findLast((step) => step.step === 'function');
  const parts: string[] = [];
  if (last?.step === 'isolated-above') {
    const nearest = last.path[0];
    parts.push(
      `${shorten(last.bridge)} above it isolates${nearest === undefined ? '' : ` (${acsBecause(nearest)})`}`,
    );
  } else if (last?.step === 'root-bus') {
    parts.push(`${last.device === name ? 'it' : shorten(last.device)} sits on a root bus`);
  }
  if (own?.step === 'function' && own.own.enabled)
    parts.push(`it is kept apart from its sibling functions (${acsBecause(own.own)})`);
  const joined = reason?.joined;
  const group = machine.groupOf(name);
  const where = joined ? ` It belongs with ${shorten(joined.through)}.` : '';
  return `${shorten(name)} is in group ${group?.id}: ${parts.join(', and ') || 'nothing merges it with others'}.${where}`;
}

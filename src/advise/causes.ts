/**
 * The likely cause of one difference between the kernel's groups and the rules'. Each cause is a hypothesis that
 * is tried on the model or checked against the facts; the first that holds is named.
 */

import { boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import { OVERRIDES } from './blockers.ts';
import type { Describer } from './describe.ts';
import type { Hypotheses } from './hypotheses.ts';
import type { RawDifference } from './partition.ts';
import type { Difference } from './report.ts';
import { shortener } from './shorten.ts';
import { domainOf } from './trial.ts';

export type Cause = Pick<Difference, 'cause' | 'explanation' | 'certain'>;

const OVERRIDE_WORD = /\bpcie_acs_override=(\S+)/;

export function likelyCause(
  describer: Describer,
  rules: Machine,
  difference: RawDifference,
  hypotheses: Hypotheses,
): Cause {
  const members = new Set([...difference.kernel, ...difference.rules].flatMap((group) => group.devices));
  const claimed = (): Cause | undefined => override(describer, difference, members, hypotheses);
  const plugged = (): Cause | undefined => hotPlug(describer, rules, difference, hypotheses);
  // Both split functions of one device: a command line without the override speaks for the other.
  const cmdline = describer.snapshot.kernel.cmdline;
  const plain = cmdline !== undefined && !OVERRIDE_WORD.test(cmdline);
  return (
    unreadable(describer, rules, members) ??
    (plain ? (plugged() ?? claimed()) : (claimed() ?? plugged())) ??
    lateIommu(describer, difference) ??
    otherPolicy(rules, difference, members, hypotheses) ??
    leftOut(describer, difference) ??
    patched(difference)
  );
}

function unreadable(describer: Describer, rules: Machine, members: ReadonlySet<string>): Cause | undefined {
  const unread = [...members].filter((name) => !rules.certain(name));
  if (unread.length === 0) return undefined;
  const shorten = shortener(describer.snapshot);
  return {
    cause: 'unreadable capabilities',
    explanation: `The capabilities that decide over ${unread.map(shorten).join(', ')} could not be read; record the machine as root to tell.`,
    certain: false,
  };
}

function override(
  describer: Describer,
  difference: RawDifference,
  members: ReadonlySet<string>,
  hypotheses: Hypotheses,
): Cause | undefined {
  if (difference.kind !== 'kernel splits' && difference.kind !== 'mixed') return undefined;
  const { snapshot } = describer;
  const recorded = OVERRIDE_WORD.exec(snapshot.kernel.cmdline ?? '')?.[1];
  if (recorded !== undefined && hypotheses.explains(members, {})) {
    return {
      cause: 'ACS override',
      explanation: `pcie_acs_override=${recorded} on the command line makes a patched kernel take these for isolated. The hardware does not isolate them: what one does, the other can reach.`,
      certain: true,
    };
  }
  if (recorded !== undefined) return undefined;
  for (const words of OVERRIDES) {
    if (!hypotheses.explains(members, { extraCommandLine: `pcie_acs_override=${words}` })) continue;
    const known = snapshot.kernel.cmdline !== undefined;
    return {
      cause: 'ACS override',
      explanation: known
        ? `These are the groups that pcie_acs_override=${words} makes, yet the command line does not have it: the kernel carries the override patch with another switch. The hardware does not isolate them.`
        : `These are the groups that pcie_acs_override=${words} on a patched kernel makes. The hardware does not isolate them.`,
      certain: true,
    };
  }
  return undefined;
}

/** Virtio-iommu and other late modules form groups as drivers bind. */
function lateIommu(describer: Describer, difference: RawDifference): Cause | undefined {
  const late = describer.snapshot.iommus?.some((iommu) => /^([0-9a-f]{4,}:)|^virtio/.test(iommu.name));
  if (!late || difference.kind !== 'kernel leaves out') return undefined;
  return {
    cause: 'virtio-iommu binding order',
    explanation:
      'This IOMMU came after boot: a device has a group only once a driver tried to bind to it, in that order. Bind the others, or load the IOMMU driver from the initramfs.',
    certain: true,
  };
}

/**
 * A device that came after boot: its functions are grouped one by one, before they know of each other. Played back
 * on the model, slot by slot, for devices behind a bridge.
 */
function hotPlug(
  describer: Describer,
  rules: Machine,
  difference: RawDifference,
  hypotheses: Hypotheses,
): Cause | undefined {
  if (difference.kind !== 'kernel splits') return undefined;
  const members = new Set(difference.rules.flatMap((group) => group.devices));
  const slots = new Set<string>();
  for (const name of members) {
    const device = rules.pci.find(name);
    if (device?.multifunction && !device.isVirtual && device.upstreamBridge !== undefined)
      slots.add(name.slice(0, -1));
  }
  for (const slot of slots) {
    const functions = rules.pci.devices.filter((device) => device.name.startsWith(slot) && !device.isVirtual);
    // What is below a function would have to come again as well; a port that was replaced is another story.
    if (functions.some((device) => (device.subordinate?.devices.length ?? 0) > 0)) continue;
    // Coming one by one can only separate the functions of the slot from each other.
    if (!hypotheses.separated(functions.map((device) => device.name))) continue;
    const replayed = boot(domainOf(describer.snapshot, slot), {
      ...hypotheses.options,
      withoutOverride: true,
    });
    const facts = functions.flatMap((device) => describer.facts(device.name) ?? []);
    for (const device of functions) replayed.unplug(device.name);
    replayed.plug(...facts);
    if (!hypotheses.agrees(members, replayed)) continue;
    return {
      cause: 'hot-plugged after boot',
      explanation: `The functions of ${shortener(describer.snapshot)(slot.slice(0, -1))} share when they are there at boot, but are grouped one by one when they appear later (a rescan, a dock). Groups are not formed again until the next boot.`,
      certain: true,
    };
  }
  return undefined;
}

function otherPolicy(
  rules: Machine,
  difference: RawDifference,
  members: ReadonlySet<string>,
  hypotheses: Hypotheses,
): Cause | undefined {
  for (const policy of ['acs-2025', 'vtd-2012', 'amd-2012']) {
    if (policy === rules.policy || !hypotheses.explains(members, { policy })) continue;
    return {
      cause: "another kernel's rules",
      explanation: `These groups follow the rules of policy ${policy}: ${difference.kind === 'kernel splits' ? 'a kernel with that series applied, or an old one' : 'a patched or an old kernel'}.`,
      certain: true,
    };
  }
  return undefined;
}

/** Devices with a group on one side only. */
function leftOut(describer: Describer, difference: RawDifference): Cause | undefined {
  const shorten = shortener(describer.snapshot);
  const loose = (side: Difference['kernel']): string[] =>
    side.filter((group) => group.id === null).flatMap((group) => group.devices);
  if (difference.kind === 'kernel leaves out') {
    const names = loose(difference.kernel);
    const unlinked = names.every((name) => describer.line(name).iommu === null);
    return {
      cause: unlinked ? 'not translated' : 'unknown',
      explanation: unlinked
        ? `The recorded tables cover ${names.map(shorten).join(', ')}, yet the kernel links them to no IOMMU: its driver refused them, or they were there before it and no driver bound.`
        : `The rules give ${names.map(shorten).join(', ')} a group and the kernel has none for them: its IOMMU driver refused them, or the recording is not complete.`,
      certain: true,
    };
  }
  if (difference.kind !== 'kernel adds') return undefined;
  const names = loose(difference.rules);
  const strangers = names.filter(
    (name) => describer.facts(name) === undefined && describer.line(name).bus === 'unknown',
  );
  if (strangers.length > 0) {
    return {
      cause: 'incomplete recording',
      explanation: `The kernel has groups for ${strangers.map(shorten).join(', ')}, of which the recording has nothing else.`,
      certain: false,
    };
  }
  const unread = names.some((name) => {
    const facts = describer.facts(name);
    return facts !== undefined && facts.said === undefined && (facts.config?.read ?? 0) < 256;
  });
  return {
    cause: unread ? 'unreadable capabilities' : 'not covered by the tables',
    explanation: unread
      ? 'Which buses lead there could not be read; record the machine as root to tell.'
      : 'The kernel has groups for devices that the recorded firmware tables do not name.',
    certain: !unread,
  };
}

function patched(difference: RawDifference): Cause {
  return {
    cause: 'unknown',
    explanation:
      difference.kind === 'kernel merges'
        ? 'The kernel keeps together what the rules separate: an alias that firmware declares (IVRS), a quirk newer than these rules, or a patched kernel.'
        : 'No rule known here gives these groups: a patched kernel, or a quirk newer than these rules.',
    certain: true,
  };
}

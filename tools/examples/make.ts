/** An example's description and a kernel's answer, as a snapshot. */

import type { GroupFacts, Snapshot } from '../../src/host/snapshot.ts';
import { full, machine } from '../../test/support/machine.ts';
import type { Example } from './parts.ts';

/** A kernel's groups, in the order of their numbers, and what it said of itself. */
export interface Answer {
  kernel: string;
  groups: string[][];
}

/** @param answer groups that a kernel formed of it; `undefined` before one was asked */
export function exampleSnapshot(example: Example, answer: Answer | undefined): Snapshot {
  const functions = example.functions
    .map((one) => ({ ...one, iommu: example.iommuOf(full(one.at)) }))
    .sort((a, b) => (full(a.at) < full(b.at) ? -1 : 1));
  return machine({
    board: example.board,
    kernel: example.kernel,
    functions,
    acpi: example.acpi,
    iommus: example.iommus,
    ...(answer !== undefined && { groups: groupFacts(example, answer) }),
  });
}

/**
 * The kernel that was asked had one IOMMU, so it numbered in the order of its device list. Where there are several,
 * each takes its devices in turn, and the list's order stays within each. Virtual functions come to be after that.
 */
function groupFacts(example: Example, answer: Answer): GroupFacts[] {
  const specs = new Map(example.functions.map((one) => [full(one.at), one]));
  const turn = ([first]: string[]) =>
    specs.get(first!)!.physfn === undefined
      ? example.numberedBy.indexOf(example.iommuOf(first!) ?? '')
      : example.numberedBy.length;
  return answer.groups
    .map((members, position) => ({ members, position, turn: turn(members) }))
    .sort((a, b) => a.turn - b.turn || a.position - b.position)
    .map(({ members }, id) => {
      const functions = members.map((address) => specs.get(address)!);
      return {
        id,
        type: example.typeOf(functions),
        reservedRegions: example.regionsOf(functions),
        devices: members,
      };
    });
}

/** What the oracle's capture.json says, as a file to keep: a group a line. */
export function partitionText(capture: {
  meta: { kernel: string };
  groups: Record<string, { devices: string[] }>;
}): string {
  const ids = Object.keys(capture.groups).sort((a, b) => Number(a) - Number(b));
  const lines = ids.map((id) => capture.groups[id]!.devices.join(' '));
  return [`# ${capture.meta.kernel}`, ...lines, ''].join('\n');
}

export function answered(text: string): Answer {
  const [first, ...lines] = text.trimEnd().split('\n');
  return { kernel: first!.replace(/^# /, ''), groups: lines.map((line) => line.split(' ')) };
}

/** The kernel's partition against the rules': equal, or where they part and the likely cause. */

import type { Snapshot } from '../host/snapshot.ts';
import type { BootOptions } from '../machine/boot.ts';
import { boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import { likelyCause } from './causes.ts';
import type { Describer } from './describe.ts';
import { Hypotheses } from './hypotheses.ts';
import { comparePartitions, kernelPartition, modelPartition } from './partition.ts';
import { REPORT_VERSION, type VerifyReport } from './report.ts';
import { shortener } from './shorten.ts';

export function verifyReport(describer: Describer, options: BootOptions): VerifyReport {
  const { snapshot } = describer;
  // The rules are mainline's: an override on the command line is a claim to be named, not a rule to follow.
  const rules = boot(snapshot, { ...options, withoutOverride: true });
  const hypotheses = new Hypotheses(snapshot, options);
  const head: Pick<VerifyReport, 'report' | 'version' | 'host' | 'policy' | 'claims' | 'notes'> = {
    report: 'verify',
    version: REPORT_VERSION,
    host: describer.host(),
    policy: rules.policy,
    claims: claims(snapshot, rules, hypotheses),
    notes: [...(snapshot.notes ?? []), ...rules.notes],
  };
  if (snapshot.groups === undefined || snapshot.groups.length === 0) {
    const why =
      snapshot.groups === undefined
        ? 'the data does not say which groups the kernel formed'
        : 'the kernel formed no groups: there is nothing to compare';
    return {
      ...head,
      verdict: 'cannot tell',
      devices: 0,
      groups: 0,
      differences: [],
      uncertain: [],
      notes: [...head.notes, why],
    };
  }
  const kernel = kernelPartition(snapshot);
  const model = modelPartition(rules);
  const differences = comparePartitions(kernel, model, allNames(snapshot)).map((difference) => ({
    ...difference,
    ...likelyCause(describer, rules, difference, hypotheses),
  }));
  // What could not be read counts as not isolating, so equal groups claim nothing that was not seen.
  const sure = differences.some((difference) => difference.certain);
  const verdict = differences.length === 0 ? 'equal' : sure ? 'different' : 'cannot tell';
  const counts = { devices: kernel.size, groups: snapshot.groups.length };
  return { ...head, verdict, ...counts, differences, uncertain: rules.uncertain() };
}

function allNames(snapshot: Snapshot): string[] {
  return [...snapshot.devices.map((d) => d.address), ...snapshot.others.map((d) => d.name)];
}

/** What holds only because the command line says so. */
function claims(snapshot: Snapshot, rules: Machine, hypotheses: Hypotheses): string[] {
  const cmdline = snapshot.kernel.cmdline ?? '';
  const words = cmdline.split(/\s+/).filter((word) => word.startsWith('pcie_acs_override='));
  if (words.length === 0) return [];
  const shorten = shortener(snapshot);
  const pieces = comparePartitions(hypotheses.partition({}), modelPartition(rules), []);
  const split = pieces.map((piece) =>
    piece.rules.map((group) => group.devices.map(shorten).join(' ')).join(' | '),
  );
  return split.length === 0
    ? [`${words.join(' ')} is on the command line and splits nothing here`]
    : split.map((members) => `${words.join(' ')} splits what the hardware does not isolate: ${members}`);
}

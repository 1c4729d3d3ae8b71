/** Whether devices can be handed over, with every reason for and against. */

import type { Machine } from '../machine/machine.ts';
import { Findings, verdictOf } from './check-findings.ts';
import { checkFunctions } from './check-functions.ts';
import { GroupCheck } from './check-group.ts';
import { interruptIsolation } from './check-interrupts.ts';
import { checkReset, resetOf } from './check-reset.ts';
import { checkUse } from './check-use.ts';
import type { Describer } from './describe.ts';
import { iommuState } from './iommu-state.ts';
import { type CheckPolicy, DEFAULT_CHECK_POLICY } from './policy.ts';
import { type CheckDevice, type CheckReport, type Finding, REPORT_VERSION } from './report.ts';
import { stableName } from './stable-name.ts';

/**
 * The verdict on handing all of `names` over together.
 * @param names full addresses, each once
 */
export function checkReport(
  describer: Describer,
  machine: Machine,
  names: readonly string[],
  policy: CheckPolicy = DEFAULT_CHECK_POLICY,
): CheckReport {
  const findings = new Findings(policy);
  const iommu = iommuState(describer.snapshot);
  const groups = new GroupCheck(describer, machine, findings, iommu.state === 'off' ? [] : names);
  if (iommu.state === 'off') {
    findings.add('no-iommu', {
      concerns: [...names],
      what: `No IOMMU is in use: ${iommu.missing.map(({ detail }) => detail).join('; ')}.`,
      remedy: iommu.missing.map(({ remedy }) => remedy).join('; '),
    });
  } else {
    if (iommu.state === 'unknown') {
      findings.doubt('unread', {
        concerns: [...names],
        what: 'The recording does not tell which groups the kernel formed; those of the rules are taken.',
        remedy: iommu.missing.map(({ remedy }) => remedy).join('; '),
      });
    }
    groups.run();
    checkInterrupts(describer, findings, names);
  }
  checkUse(describer, findings, names);
  const groupOf = (name: string): readonly string[] => groups.groupOf(name)?.members ?? [];
  checkReset(describer, machine, findings, names, groupOf);
  checkFunctions(describer, machine, findings, names, groups.blamed);
  const list = findings.list();
  return {
    report: 'check',
    version: REPORT_VERSION,
    host: describer.host(),
    policy: policy.name,
    verdict: verdictOf(list),
    devices: names.map((name) => deviceLine(describer, machine, groups, name, list)),
    groups: groups.lines(),
    findings: list,
    notes: [...(describer.snapshot.notes ?? [])],
  };
}

function checkInterrupts(describer: Describer, findings: Findings, names: readonly string[]): void {
  const { isolated, because, remedy } = interruptIsolation(describer.snapshot);
  if (isolated === true) return;
  const about = { concerns: [...names], ...(remedy !== undefined && { remedy }) };
  if (isolated === undefined)
    findings.doubt('interrupts', {
      ...about,
      what: `Whether interrupts are isolated is not known: ${because}.`,
    });
  else findings.add('interrupts', { ...about, what: `Interrupts are not isolated: ${because}.` });
}

function deviceLine(
  describer: Describer,
  machine: Machine,
  groups: GroupCheck,
  name: string,
  findings: readonly Finding[],
): CheckDevice {
  const device = machine.pci.find(name);
  const group = groups.groupOf(name);
  return {
    ...describer.line(name),
    verdict: verdictOf(findings.filter(({ concerns }) => concerns.includes(name))),
    group: group === undefined ? null : group.id,
    stableName: stableName(machine, name),
    ...(device !== undefined && { reset: resetOf(describer, device) }),
  };
}

/** Collects findings under a policy, which says what each counts as. */

import { compareAddresses } from '../pci/address.ts';
import { type CheckPolicy, FINDING_CODES, type FindingCode, levelOf } from './policy.ts';
import type { Finding } from './report.ts';

const SEVERITIES: readonly Finding['severity'][] = ['refusal', 'unknown', 'warning', 'note'];

export type Found = Omit<Finding, 'code' | 'severity'>;

export class Findings {
  readonly policy: CheckPolicy;
  readonly #found: Finding[] = [];

  constructor(policy: CheckPolicy) {
    this.policy = policy;
  }

  /** It is so. */
  add(code: FindingCode, found: Found): void {
    const level = levelOf(this.policy, code);
    if (level !== 'ignored') this.#found.push({ code, severity: level, ...found });
  }

  /** It may be so, and the data does not tell. Only where it would refuse does that matter to the verdict. */
  doubt(code: FindingCode, found: Found): void {
    const level = levelOf(this.policy, code);
    if (level === 'ignored') return;
    const { unknown } = this.policy;
    const severity = level !== 'refusal' ? 'note' : unknown === 'cannot tell' ? 'unknown' : unknown;
    this.#found.push({ code, severity, ...found });
  }

  /** Gravest first, then in the order of the codes' list, then by device. */
  list(): Finding[] {
    const rank = (finding: Finding): number =>
      SEVERITIES.indexOf(finding.severity) * FINDING_CODES.length +
      FINDING_CODES.indexOf(finding.code as FindingCode);
    return [...this.#found].sort(
      (a, b) =>
        rank(a) - rank(b) ||
        (a.device === undefined || b.device === undefined ? 0 : compareAddresses(a.device, b.device)),
    );
  }
}

export type Verdict = 'yes' | 'no' | 'cannot tell';

export function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.some(({ severity }) => severity === 'refusal')) return 'no';
  return findings.some(({ severity }) => severity === 'unknown') ? 'cannot tell' : 'yes';
}

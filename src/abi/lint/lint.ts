/** The checker: every rule that is on, over a tree. */

import { InputError } from '../../kernel/errors.ts';
import type { Finding, LintInput, Rule, Severity } from './rule.ts';
import { RULES } from './rules.ts';

/** What each rule counts as, by its id. */
export type Switches = ReadonlyMap<string, Severity | 'off'>;

const VALUES: readonly (Severity | 'off')[] = ['error', 'warning', 'note', 'off'];

/** @returns findings by file and line */
export function lint(input: LintInput, switches: Switches = new Map()): Finding[] {
  const findings: Finding[] = [];
  for (const rule of RULES) {
    const severity = switches.get(rule.id) ?? defaultOf(rule);
    if (severity === 'off') continue;
    for (const { file, line, column, message, fix } of rule.check(input)) {
      findings.push({
        rule: rule.id,
        severity,
        file,
        line,
        ...(column !== undefined && { column }),
        message,
        ...(fix !== undefined && { fix }),
      });
    }
  }
  return findings.sort(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line) || (a.rule < b.rule ? -1 : 1),
  );
}

function defaultOf({ on, severity }: Rule): Severity | 'off' {
  return on ? severity : 'off';
}

/**
 * Switches from words: `no-date`, `no-date=warning`, `no-date=off`, and `all` for every rule.
 *
 * @throws InputError no such rule, or no such value
 */
export function readSwitches(words: readonly string[]): Switches {
  const switches = new Map<string, Severity | 'off'>();
  for (const word of words) {
    const [id = '', value] = word.split('=', 2);
    if (value !== undefined && !VALUES.some((known) => known === value)) {
      throw new InputError('--rule', `${id} is error, warning, note or off, not '${value}'`);
    }
    const rules = id === 'all' ? RULES : RULES.filter((rule) => rule.id === id);
    if (rules.length === 0)
      throw new InputError('--rule', `there is no rule '${id}'; abi lint --rules lists them`);
    for (const rule of rules) switches.set(rule.id, (value as Severity | 'off' | undefined) ?? rule.severity);
  }
  return switches;
}

/** What a program depends on, in a sentence. */

import type { AbiProgram } from './report-abi.ts';

const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const LEVELS = ['stable', 'testing', 'obsolete', 'removed'];

/** `run.sh depends on two testing interfaces, and one path that is documented nowhere.` */
export function dependsWords(name: string, uses: AbiProgram['uses']): string {
  const documented = uses.filter(({ kind }) => kind === 'documented');
  const levels = [...new Set(documented.map(levelOf))].sort((a, b) => rank(a) - rank(b));
  const parts = levels.map((level) => {
    const count = interfaces(documented.filter((use) => levelOf(use) === level));
    return `${number(count)} ${level} interface${count === 1 ? '' : 's'}`;
  });
  const nowhere = uses.filter(({ kind }) => kind === 'nowhere').length;
  if (nowhere > 0) {
    parts.push(
      nowhere === 1
        ? 'one path that is documented nowhere'
        : `${number(nowhere)} paths that are documented nowhere`,
    );
  }
  if (parts.length === 0) return `${name} depends on no interface that is or should be documented.`;
  const last = parts.pop();
  return `${name} depends on ${parts.length === 0 ? last : `${parts.join(', ')}, and ${last}`}.`;
}

function levelOf({ documents }: AbiProgram['uses'][number]): string {
  return documents[0]?.level ?? '';
}

/** Two paths of one interface are one. */
function interfaces(uses: AbiProgram['uses']): number {
  return new Set(uses.map(({ documents: [first] }) => `${first?.file}:${first?.line}`)).size;
}

function rank(level: string): number {
  const at = LEVELS.indexOf(level);
  return at < 0 ? LEVELS.length : at;
}

function number(count: number): string {
  return NUMBERS[count] ?? String(count);
}

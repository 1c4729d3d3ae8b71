/** What a rule of the checker is. */

import type { AbiTree } from '../entry.ts';

/** `error`: the document says something wrong, or something is lost. `note`: a habit some would rather not have. */
export type Severity = 'error' | 'warning' | 'note';

/** A place, what is wrong there, and what would mend it. */
export interface Remark {
  /** Below the tree. */
  file: string;
  line: number;
  /** From 1; absent: the whole line. */
  column?: number;
  message: string;
  fix?: string;
}

export interface Finding extends Remark {
  rule: string;
  severity: Severity;
}

/** Whether the machine has the path; `undefined` where that cannot be told, such as outside what was recorded. */
export type PathExists = (path: string) => boolean | undefined;

export interface LintInput {
  tree: AbiTree;
  /** The month it is: later dates are in the future. */
  now: { year: number; month: number };
  /** The machine to hold `removed/` against. */
  exists?: PathExists;
}

export interface Rule {
  /** What it is switched by. */
  id: string;
  severity: Severity;
  /** Off: habits of so many documents that telling of each would drown the errors. */
  on: boolean;
  /** One sentence. */
  explain: string;
  check(input: LintInput): Iterable<Remark>;
}

/** Reports on trees of ABI documents: lint, moves. They speak of no machine. */

import type { Finding } from '../abi/lint/rule.ts';
import type { MoveBreak } from '../abi/move-rules.ts';
import type { Changed, Documented, Moved } from '../abi/moves.ts';
import type { REPORT_VERSION } from './report-base.ts';

export interface AbiLintReport {
  report: 'abi-lint';
  version: typeof REPORT_VERSION;
  /** Where the tree was read. */
  tree: string;
  documents: number;
  entries: number;
  /** By file and line; files are below `tree`. */
  findings: Finding[];
}

export interface AbiMovesReport {
  report: 'abi-moves';
  version: typeof REPORT_VERSION;
  old: string;
  new: string;
  added: Documented[];
  /** Without an entry, not even in removed/. */
  removed: Documented[];
  moved: Moved[];
  changed: Changed[];
  /** Moves against the rules. */
  breaks: MoveBreak[];
}

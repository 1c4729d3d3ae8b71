/** What-if for the explorer: a question as a page asks it, and the machine drawn as it is and as it would be. */

import { InputError } from '../kernel/errors.ts';
import { parseChange, resolveChange } from '../machine/change.ts';
import type { Explorer } from './explore.ts';
import type { ExploreReport } from './report.ts';
import type { GoalReport, WhatIfReport } from './report-whatif.ts';
import { selectDevice } from './select.ts';

export interface WhatIfQuestion {
  /** As on the command line, `move=03:00.0=00:1c.4`. */
  changes: string[];
}

export interface GoalQuestion {
  /** The device that shall have a group of its own. */
  goal: string;
}

export interface WhatIfAnswer {
  report: WhatIfReport;
  /** Both by the rules, so that they can be compared. */
  before: ExploreReport;
  after: ExploreReport;
}

/** Each is a boot of the model at most; nobody has more ideas at once. */
const MOST_CHANGES = 64;
const LONGEST_CHANGE = 1000;

/** @throws InputError for anything that is neither question */
export function answerQuestion(explorer: Explorer, question: unknown): WhatIfAnswer | GoalReport {
  const goal = (question as { goal?: unknown } | null)?.goal;
  if (goal === undefined) return answerWhatIf(explorer, question);
  if (typeof goal !== 'string') throw new InputError('what-if', 'a goal is a device');
  return explorer.goal(goal);
}

/** @throws InputError for anything that is no such question, or a change that cannot be made */
export function answerWhatIf(explorer: Explorer, question: unknown): WhatIfAnswer {
  const { snapshot, machine } = explorer;
  const changes = changesOf(question).map((text) =>
    resolveChange(parseChange(text), (word) =>
      selectDevice(snapshot, word, (name) => machine.parentOf(name)),
    ),
  );
  return explorer.whatIf(changes);
}

function changesOf(question: unknown): string[] {
  const changes = (question as { changes?: unknown } | null)?.changes;
  if (!Array.isArray(changes) || changes.length > MOST_CHANGES)
    throw new InputError('what-if', `expects {"changes": […]} of at most ${MOST_CHANGES}`);
  for (const change of changes)
    if (typeof change !== 'string' || change.length > LONGEST_CHANGE)
      throw new InputError('what-if', 'a change is one line of text');
  return changes as string[];
}

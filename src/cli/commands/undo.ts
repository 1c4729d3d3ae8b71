/** `ringfence undo` */

import { existsSync } from 'node:fs';
import { type HandoverList, REPORT_VERSION, type UndoReport } from '../../advise/report.ts';
import { Handover } from '../../handover/handover.ts';
import { Journals } from '../../handover/journal.ts';
import { DirectoryDisk } from '../../handover/journal-disk.ts';
import type { Recorded } from '../../handover/journal-records.ts';
import { lockTree } from '../../handover/lock.ts';
import { openTree } from '../../handover/open-tree.ts';
import { stateDirectory } from '../../handover/state-directory.ts';
import type { HandoverTree } from '../../handover/tree.ts';
import { InputError, KernelError } from '../../kernel/errors.ts';
import type { Call } from '../args.ts';
import { type Context, EXIT } from '../context.ts';
import { handoverListText, undoText } from '../handover-text.ts';

type Outcome = Partial<UndoReport> & Pick<UndoReport, 'result'>;

export async function run({ operands, flags, context }: Call): Promise<number> {
  const directory = stateDirectory(context.env, process.getuid?.());
  const journals = new Journals(new DirectoryDisk(directory));
  if (flags.on('list')) return printList(context, journals);
  const id = idOf(operands[0], journals);
  const tree = openTree(context.host);
  const handover = new Handover(tree, journals);
  const outcome = lockedOutcome(context, directory, tree, !existsSync(directory), () =>
    takeBack(handover, journals, tree, id, flags.on('forget')),
  );
  const report: UndoReport = {
    report: 'undo',
    version: REPORT_VERSION,
    host: context.describer(await context.snapshot('names')).host(),
    tree: tree.root,
    devices: [],
    writes: [],
    notes: [],
    ...outcome,
  };
  context.print(report, undoText);
  return report.result === 'not undone' ? EXIT.failed : EXIT.yes;
}

/** Where no hand-over ever was nothing is made, not even the lock. With `--json`, a lock that cannot be had is an outcome too. */
function lockedOutcome(
  context: Context,
  directory: string,
  tree: HandoverTree,
  nothing: boolean,
  work: () => Outcome,
): Outcome {
  if (nothing) return work();
  let lock: Disposable;
  try {
    lock = lockTree(directory, tree.root);
  } catch (error) {
    if (!context.json || !(error instanceof KernelError)) throw error;
    return { result: 'not undone', why: error.message };
  }
  using _ = lock;
  return work();
}

function printList(context: Context, journals: Journals): number {
  const list: HandoverList = { report: 'hand-overs', version: REPORT_VERSION, handovers: journals.lines() };
  context.print(list, handoverListText);
  return EXIT.yes;
}

function idOf(word: string | undefined, journals: Journals): number | undefined {
  if (word === undefined) return undefined;
  const id = /^[1-9]\d{0,8}$/.test(word) ? Number(word) : undefined;
  if (id !== undefined && journals.has(id)) return id;
  throw new InputError(`'${word}'`, 'is no number of a hand-over; `ringfence undo --list` shows them');
}

function takeBack(
  handover: Handover,
  journals: Journals,
  tree: HandoverTree,
  id: number | undefined,
  forget: boolean,
): Outcome {
  const recorded = id === undefined ? handover.last() : journals.read(id);
  if (recorded === undefined) return { result: 'nothing to undo', why: 'no hand-over on this tree stands' };
  if (recorded.tree !== undefined && recorded.tree !== tree.root) {
    throw new InputError(
      `'${recorded.id}'`,
      `that hand-over was on ${recorded.tree}; name its tree with --host`,
    );
  }
  if (forget) {
    handover.forget(recorded.id);
    return { result: 'forgotten', id: recorded.id };
  }
  const { state } = recorded;
  if (state === 'unreadable') {
    throw new InputError(
      `'${recorded.id}'`,
      'its journal cannot be read, so it is not known what to undo; --forget closes it',
    );
  }
  if (state === 'undone' || state === 'forgotten' || state === 'empty') {
    return { result: 'nothing to undo', id: recorded.id, why: WHY_NOT[state] };
  }
  const later = handover.standsOn(recorded);
  if (later !== undefined) {
    throw new InputError(
      `'${recorded.id}'`,
      `hand-over ${later.id} came after it and has the same devices, or others of their groups; undo that first`,
    );
  }
  return { ...undone(handover, recorded) };
}

const WHY_NOT = {
  undone: 'it has been undone',
  forgotten: 'it was told to be forgotten',
  empty: 'it was killed before it wrote anything',
};

function undone(handover: Handover, recorded: Recorded): Outcome {
  const { result, made, devices, notes } = handover.undo(recorded, 'asked for');
  const why = recorded.state === 'applied' ? {} : { why: 'it had been left unfinished' };
  const damage = recorded.damaged === 0 ? [] : [`${recorded.damaged} lines of its journal are damaged`];
  return { result, id: recorded.id, writes: made, devices, notes: [...damage, ...notes], ...why };
}

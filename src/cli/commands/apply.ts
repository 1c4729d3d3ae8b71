/** `ringfence apply` */

import { checkReport } from '../../advise/check.ts';
import { refusalsOf } from '../../advise/plan.ts';
import { readPlan } from '../../advise/plan-file.ts';
import { hostDriverRefusals } from '../../advise/plan-host-driver.ts';
import { groupSource, groupsOf } from '../../advise/plan-members.ts';
import { type CheckPolicy, FINDING_CODES } from '../../advise/policy.ts';
import { type ApplyReport, type PlanReport, REPORT_VERSION } from '../../advise/report.ts';
import { differences } from '../../handover/differences.ts';
import { Handover } from '../../handover/handover.ts';
import { Journals } from '../../handover/journal.ts';
import { DirectoryDisk } from '../../handover/journal-disk.ts';
import { lockTree } from '../../handover/lock.ts';
import { openTree } from '../../handover/open-tree.ts';
import { stateDirectory } from '../../handover/state-directory.ts';
import type { HandoverTree } from '../../handover/tree.ts';
import { readInputFile, readStandardInput } from '../../host/input.ts';
import { InputError, KernelError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import { managesDma } from '../../machine/drivers.ts';
import type { Call } from '../args.ts';
import { type Context, EXIT } from '../context.ts';
import { applyText } from '../handover-text.ts';
import { policyOf } from './check.ts';

type Outcome = Partial<ApplyReport> & Pick<ApplyReport, 'result'>;

export async function run({ operands, flags, context }: Call): Promise<number> {
  const overridden = overrides(flags.values('override'));
  const policy = await policyOf(flags.value('policy'));
  const plan = readPlanFile(operands[0]!);
  const tree = openTree(context.host);
  const directory = stateDirectory(context.env, process.getuid?.());
  const journals = new Journals(new DirectoryDisk(directory));
  const handover = new Handover(tree, journals);
  const outcome = await lockedOutcome(context, directory, tree, () =>
    carryOut(context, handover, tree, plan, policy, overridden),
  );
  const report: ApplyReport = {
    report: 'apply',
    version: REPORT_VERSION,
    host: context.describer(await context.snapshot('names')).host(),
    tree: tree.root,
    differences: [],
    refusals: [],
    writes: [],
    notes: [],
    ...outcome,
  };
  context.print(report, applyText);
  return EXITS[report.result];
}

/** With `--json`, a lock that cannot be had is an outcome too: nothing was written. */
async function lockedOutcome(
  context: Context,
  directory: string,
  tree: HandoverTree,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  let lock: Disposable;
  try {
    lock = lockTree(directory, tree.root);
  } catch (error) {
    if (!context.json || !(error instanceof KernelError)) throw error;
    return { result: 'rolled back', problem: error.message };
  }
  using _ = lock;
  return await work();
}

const EXITS: Record<ApplyReport['result'], number> = {
  applied: EXIT.yes,
  finished: EXIT.yes,
  'nothing to do': EXIT.yes,
  refused: EXIT.no,
  'rolled back': EXIT.failed,
  'not rolled back': EXIT.failed,
};

async function carryOut(
  context: Context,
  handover: Handover,
  tree: HandoverTree,
  plan: PlanReport,
  policy: CheckPolicy,
  overridden: readonly string[],
): Promise<Outcome> {
  const found = handover.recover(plan);
  const { made = [], notes = [], ...recovered } = found ?? {};
  const before = found === undefined ? {} : { recovered: recovered as ApplyReport['recovered'] & object };
  if (found?.how === 'finished') return { result: 'finished', id: found.id, writes: made, notes, ...before };
  if (found?.how === 'not undone')
    return { result: 'not rolled back', id: found.id, writes: made, notes, ...before };

  const done = handover.carriedOut(plan);
  if (done !== undefined) {
    return {
      result: 'nothing to do',
      id: done,
      notes: [...notes, `hand-over ${done} did this already`],
      ...before,
    };
  }
  const changed = differences(tree, plan);
  if (changed.length > 0) return { result: 'refused', differences: changed, notes, ...before };
  if (plan.steps.length === 0) return { result: 'nothing to do', notes, ...before };
  const refusals = await refusalsNow(context, plan, policy);
  const standing = refusals.filter(({ code }) => !overridden.includes(code));
  if (standing.length > 0) return { result: 'refused', refusals: standing, notes, ...before };

  const codes = refusals.map(({ code }) => code);
  const { result, id, problem, made: writes, notes: more } = handover.apply(plan, codes);
  const failed = problem === undefined ? {} : { problem };
  return { result, id, writes, notes: [...notes, ...more], ...failed, ...before };
}

/** What `check` says now, of all that changes hands; the plan's own word on it counts for nothing. */
async function refusalsNow(
  context: Context,
  plan: PlanReport,
  policy: CheckPolicy,
): Promise<PlanReport['refusals']> {
  const snapshot = await context.snapshot();
  const describer = context.describer(snapshot);
  const machine = boot(snapshot);
  const names = plan.devices.map(({ address }) => address);
  if (managesDma(plan.driver)) return refusalsOf(checkReport(describer, machine, names, policy).findings);
  const groups = groupsOf(describer, machine, names);
  return hostDriverRefusals(groups, groupSource(describer), names, plan.driver);
}

function readPlanFile(file: string): PlanReport {
  return file === '-' ? readPlan(readStandardInput(), 'standard input') : readPlan(readInputFile(file), file);
}

function overrides(codes: string[]): string[] {
  const unknown = codes.find((code) => !(FINDING_CODES as string[]).includes(code));
  if (unknown === undefined) return codes;
  throw new InputError(
    '--override',
    `there is no refusal '${unknown}'; \`ringfence check\` names those there are`,
  );
}

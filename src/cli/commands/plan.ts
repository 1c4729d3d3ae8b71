/** `ringfence plan` */

import { checkReport } from '../../advise/check.ts';
import { persistFiles } from '../../advise/persist.ts';
import { type Draft, draftPlan, planReport, refusalsOf } from '../../advise/plan.ts';
import type { PlanReport } from '../../advise/report.ts';
import { selectDevices } from '../../advise/select.ts';
import { InputError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import type { Call } from '../args.ts';
import { type Context, EXIT } from '../context.ts';
import { writePersistFiles } from '../persist-folder.ts';
import { planText } from '../plan-text.ts';
import { policyOf } from './check.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const policy = await policyOf(flags.value('policy'));
  const snapshot = await context.snapshot();
  const machine = boot(snapshot);
  const describer = context.describer(snapshot);
  const names = operands.flatMap((word) => selectDevices(snapshot, word, (name) => machine.parentOf(name)));
  const driver = flags.value('driver');
  const draft = draftPlan(describer, machine, names, {
    ...(driver !== undefined && { driver }),
    only: flags.on('only'),
  });
  const consented = await consents(context, draft, flags.on('yes'));
  const plan = planReport(
    describer,
    draft,
    (device) => consented.has(device),
    (devices) => refusalsOf(checkReport(describer, machine, devices, policy).findings),
  );
  const directory = flags.value('persist');
  if (directory !== undefined) writePersistFiles(directory, persistFiles(describer, plan));
  context.print(plan, (report, out) => planText(report, out, (name) => describer.shortTitle(name)));
  if (directory !== undefined) context.note(`files to review are in ${directory}; begin with README.txt`);
  return exitCode(plan);
}

/** @throws InputError naming the questions, where nobody can be asked */
async function consents(context: Context, { questions }: Draft, yes: boolean): Promise<Set<string>> {
  if (yes) return new Set(questions.map(({ device }) => device));
  const consented = new Set<string>();
  if (questions.length === 0) return consented;
  using terminal = context.terminal();
  for (const { device, text } of questions) {
    const answer = await terminal?.ask(`${text} [y/N] `);
    if (answer === undefined) {
      const open = questions.map((question) => question.text).join(' ');
      throw new InputError('plan', `${open} --yes answers yes to all, --only leaves them with the host`);
    }
    if (/^\s*y(es)?\s*$/i.test(answer)) consented.add(device);
  }
  return consented;
}

function exitCode({ unknown, refusals }: PlanReport): number {
  if (refusals.some(({ severity }) => severity === 'refusal')) return EXIT.no;
  return unknown.length > 0 || refusals.length > 0 ? EXIT.cannotTell : EXIT.yes;
}

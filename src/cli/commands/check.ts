/** `ringfence check` */

import { checkReport } from '../../advise/check.ts';
import { type CheckPolicy, DEFAULT_CHECK_POLICY } from '../../advise/policy.ts';
import { selectDevices } from '../../advise/select.ts';
import { shortener } from '../../advise/shorten.ts';
import { boot } from '../../machine/boot.ts';
import type { Call } from '../args.ts';
import { checkText, compactText } from '../check-text.ts';
import { EXIT } from '../context.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const policy = await policyOf(flags.value('policy'));
  const snapshot = await context.snapshot();
  const machine = boot(snapshot);
  const names = operands.flatMap((word) => selectDevices(snapshot, word, (name) => machine.parentOf(name)));
  const describer = context.describer(snapshot);
  const report = checkReport(describer, machine, [...new Set(names)], policy);
  context.print(report, (shown, out) =>
    flags.on('compact')
      ? compactText(shown)
      : checkText(shown, out, (name) => describer.shortTitle(name), shortener(snapshot)),
  );
  return { yes: EXIT.yes, no: EXIT.no, 'cannot tell': EXIT.cannotTell }[report.verdict];
}

/** The policy of `--policy`, or the default. */
export async function policyOf(file: string | undefined): Promise<CheckPolicy> {
  if (file === undefined) return DEFAULT_CHECK_POLICY;
  const [{ readInputFile }, { readPolicy }] = await Promise.all([
    import('../../host/input.ts'),
    import('../../advise/policy-file.ts'),
  ]);
  return readPolicy(readInputFile(file), file);
}

/** `ringfence verify` */

import { shortener } from '../../advise/shorten.ts';
import { verifyReport } from '../../advise/verify.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { verifyText } from '../verify-text.ts';

export async function run({ flags, context }: Call): Promise<number> {
  const snapshot = await context.snapshot();
  const policy = flags.value('policy');
  const report = verifyReport(context.describer(snapshot), policy === undefined ? {} : { policy });
  context.print(report, (shown, out) => verifyText(shown, out, shortener(snapshot)));
  return { equal: EXIT.yes, different: EXIT.no, 'cannot tell': EXIT.cannotTell }[report.verdict];
}

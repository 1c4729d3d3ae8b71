/** `ringfence abi moves` */

import { compareTrees } from '../../abi/moves.ts';
import { type AbiMovesReport, REPORT_VERSION } from '../../advise/report.ts';
import { documentsOf } from '../abi-documents.ts';
import { movesText } from '../abi-lint-text.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { readMonth, thisMonth } from '../month.ts';

export function run({ operands, flags, context }: Call): number {
  const date = flags.value('date');
  const now = date === undefined ? undefined : readMonth(date, '--date');
  const [before, after] = [documentsOf(operands[0]!, context), documentsOf(operands[1]!, context)];
  if (before === undefined || after === undefined) return EXIT.cannotTell;
  const moves = compareTrees(before, after, { latest: thisMonth(), ...(now !== undefined && { now }) });
  const onlyBreaks = flags.on('breaks');
  const report: AbiMovesReport = {
    report: 'abi-moves',
    version: REPORT_VERSION,
    old: before.root,
    new: after.root,
    ...moves,
  };
  context.print(report, (shown, out) => movesText(shown, out, onlyBreaks));
  return moves.breaks.some(({ severity }) => severity === 'error') ? EXIT.no : EXIT.yes;
}

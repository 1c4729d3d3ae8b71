/** `ringfence diff` */

import { diffReport } from '../../advise/diff.ts';
import type { DiffReport } from '../../advise/report.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import type { Output } from '../output.ts';

export async function run({ operands, context }: Call): Promise<number> {
  const before = await context.read(operands[0]!);
  const after = operands[1] === undefined ? await context.snapshot() : await context.read(operands[1]);
  const report = diffReport(context.describer(before), context.describer(after));
  context.print(report, diffText);
  return report.same ? EXIT.yes : EXIT.no;
}

function diffText(report: DiffReport, out: Output): string {
  if (report.same) return 'The same.\n';
  const { red, green, bold } = out.colors;
  return report.changes
    .map(({ kind, where, before, after }) => {
      const lines = [`${bold(kind)} ${where}\n`];
      if (before !== undefined) lines.push(red(`  - ${before}`) + '\n');
      if (after !== undefined) lines.push(green(`  + ${after}`) + '\n');
      return lines.join('');
    })
    .join('');
}

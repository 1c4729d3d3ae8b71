/** `ringfence list` */

import { kernelList, predictedList } from '../../advise/list.ts';
import { hasGroups } from '../../host/formed.ts';
import { InputError } from '../../kernel/errors.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { listText } from '../list-text.ts';

export async function run({ flags, context }: Call): Promise<number> {
  const { policy, columns } = { policy: flags.value('policy'), columns: flags.value('columns') };
  const tree = flags.on('tree');
  const other = context.json ? '--json' : '--columns';
  if (tree && (context.json || columns !== undefined))
    throw new InputError('--tree', `does not go with ${other}: the tree is text and has columns of its own`);
  const predict = flags.on('predict') || policy !== undefined;

  // Reading a configuration space is slow on some machines: no more of it than is shown or decides.
  const whole = context.json || columns !== undefined;
  if (!predict && !tree) {
    // What most people run most often: the kernel's groups need no model and few files.
    const snapshot = await context.snapshot(whole ? 'all' : 'names');
    if (hasGroups(snapshot)) {
      context.print(kernelList(context.describer(snapshot)), (report, out) => listText(report, out, columns));
      return EXIT.yes;
    }
  }
  const snapshot = await context.snapshot(whole ? 'all' : 'grouping');
  const describer = context.describer(snapshot);
  const { boot } = await import('../../machine/boot.ts');
  const machine = boot(snapshot, policy === undefined ? {} : { policy });
  const report = predict || !hasGroups(snapshot) ? predictedList(describer, machine) : kernelList(describer);
  if (tree) {
    const { treeText } = await import('../tree-text.ts');
    context.print(report, (shown, out) => treeText(shown, machine, describer, out));
  } else {
    context.print(report, (shown, out) => listText(shown, out, columns));
  }
  return EXIT.yes;
}

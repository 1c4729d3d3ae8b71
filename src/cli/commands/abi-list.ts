/** `ringfence abi list` */

import { entriesOf } from '../../abi/entry.ts';
import { entryLine } from '../../advise/abi-lines.ts';
import { atLevels } from '../abi-levels.ts';
import { formatOf, listText, writeDocument } from '../abi-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';

export function run(call: Call): number {
  const { flags, context } = call;
  const format = formatOf(flags);
  const wanted = atLevels(flags);
  const tree = abiTree(call);
  if (tree === undefined) return EXIT.cannotTell;
  const entries = [...entriesOf(tree)].filter(wanted);
  if (format === 'plain') context.print(entries.map(entryLine), listText);
  else writeDocument(entries, format, context);
  return EXIT.yes;
}

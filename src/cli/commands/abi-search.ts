/** `ringfence abi search` */

import { type AbiEntry, entriesOf, type FieldName } from '../../abi/entry.ts';
import { entryLine } from '../../advise/abi-lines.ts';
import { type AbiSearchReport, REPORT_VERSION } from '../../advise/report.ts';
import { InputError } from '../../kernel/errors.ts';
import { atLevels } from '../abi-levels.ts';
import { entryText, formatOf, writeDocument } from '../abi-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { readPattern } from '../pattern.ts';

type Condition = (entry: AbiEntry) => boolean;

export function run(call: Call): number {
  const { flags, context } = call;
  const format = formatOf(flags);
  const wanted = [...conditions(call), atLevels(flags)];
  if (wanted.length === 1)
    throw new InputError('abi search', 'expects PATTERN, --text, --contact or --users');
  const tree = abiTree(call);
  if (tree === undefined) return EXIT.cannotTell;
  const entries = [...entriesOf(tree)].filter((entry) => wanted.every((holds) => holds(entry)));
  const report: AbiSearchReport = {
    report: 'abi-search',
    version: REPORT_VERSION,
    tree: tree.root,
    entries: entries.map(entryLine),
  };
  if (format === 'plain') {
    context.print(report, (shown, out) =>
      shown.entries.map((entry, at) => entryText(entry, report.entries[at]?.description, out)).join('\n'),
    );
  } else writeDocument(entries, format, context);
  return entries.length > 0 ? EXIT.yes : EXIT.no;
}

const FIELDS: readonly (readonly [option: string, field: FieldName])[] = [
  ['text', 'description'],
  ['contact', 'contact'],
  ['users', 'users'],
];

function conditions({ operands, flags }: Call): Condition[] {
  const found: Condition[] = [];
  if (operands[0] !== undefined) {
    const pattern = readPattern(operands[0], 'PATTERN', flags.on('ignore-case') ? 'i' : '');
    found.push(({ what }) => what.some(({ text }) => pattern.test(text)));
  }
  for (const [option, field] of FIELDS) {
    const value = flags.value(option);
    if (value === undefined) continue;
    const pattern = readPattern(value, `--${option}`, 'i');
    found.push(({ fields }) => fields.some(({ name, text }) => name === field && pattern.test(text)));
  }
  return found;
}

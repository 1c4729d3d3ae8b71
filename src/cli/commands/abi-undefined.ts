/** `ringfence abi undefined` */

import { AbiIndex } from '../../abi/index.ts';
import { findUndefined } from '../../abi/undefined.ts';
import { abiPlace } from '../../advise/abi-lines.ts';
import { type AbiUndefinedReport, REPORT_VERSION } from '../../advise/report.ts';
import { InputError } from '../../kernel/errors.ts';
import { sysfsTree, viewOf } from '../abi-sysfs.ts';
import { undefinedText } from '../abi-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { type Context, EXIT } from '../context.ts';
import { readPattern } from '../pattern.ts';

export async function run(call: Call): Promise<number> {
  const { flags, context } = call;
  const pattern = readPattern(flags.value('search') ?? '', '--search');
  const limit = limitOf(flags.value('limit'));
  const tree = abiTree(call);
  if (tree === undefined) return EXIT.cannotTell;
  const view = viewOf(await sysfsTree(context.host));
  const found = findUndefined(view, new AbiIndex(tree), {
    ...(limit !== undefined && { limit }),
    progress: progressOn(context),
  });
  const report: AbiUndefinedReport = {
    report: 'abi-undefined',
    version: REPORT_VERSION,
    tree: tree.root,
    files: found.files,
    undefined: found.undefined.filter((path) => pattern.test(path)),
    gone: found.gone
      .filter(({ path }) => pattern.test(path))
      .map(({ path, entry, what }) => ({ path, ...abiPlace({ entry, what }) })),
    complete: found.complete,
  };
  context.print(report, undefinedText);
  if (!report.complete) return EXIT.cannotTell;
  return report.undefined.length > 0 ? EXIT.no : EXIT.yes;
}

const BETWEEN_NOTES = 2000;

/** A line on standard error every two seconds: who sees the list at once sees none. */
function progressOn(context: Context): (count: number, path: string) => void {
  let last = Date.now();
  return (count, path) => {
    if (Date.now() - last < BETWEEN_NOTES) return;
    last = Date.now();
    context.note(`${count} names so far, at ${path}`);
  };
}

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1)
    throw new InputError('--limit', `expects a number from 1, not '${text}'`);
  return limit;
}

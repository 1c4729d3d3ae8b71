/** `ringfence abi check` */

import { accessSync, constants, existsSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { AbiIndex } from '../../abi/index.ts';
import { findUses } from '../../abi/uses.ts';
import { abiPlace } from '../../advise/abi-lines.ts';
import { dependsWords } from '../../advise/abi-words.ts';
import { type AbiCheckReport, type AbiProgram, REPORT_VERSION } from '../../advise/report.ts';
import { readInputFile } from '../../host/input.ts';
import { InputError } from '../../kernel/errors.ts';
import { checkText } from '../abi-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';

export function run(call: Call): number {
  const { operands, context } = call;
  const files = operands.map((word) => ({ word, file: fileOf(word, context.env.PATH) }));
  const tree = abiTree(call);
  if (tree === undefined) return EXIT.cannotTell;
  const index = new AbiIndex(tree);
  const programs = files.map(({ word, file }) => programOf(word, file, index));
  const bad = programs.some(({ uses }) => uses.some(isBad));
  const report: AbiCheckReport = {
    report: 'abi-check',
    version: REPORT_VERSION,
    tree: tree.root,
    verdict: bad ? 'no' : 'yes',
    programs,
  };
  context.print(report, checkText);
  return bad ? EXIT.no : EXIT.yes;
}

function programOf(word: string, file: string, index: AbiIndex): AbiProgram {
  const bytes = Buffer.from(readInputFile(file));
  const binary = bytes.includes(0);
  const uses = findUses(bytes.toString(binary ? 'latin1' : 'utf8'), index).map(
    ({ path, lines, kind, ends }): AbiProgram['uses'][number] => ({
      path,
      ...(!binary && { lines }),
      kind,
      documents: ends.map(abiPlace),
    }),
  );
  return { file, summary: dependsWords(basename(word), uses), uses };
}

function isBad({ kind, documents: [first] }: AbiProgram['uses'][number]): boolean {
  return kind === 'nowhere' || first?.level === 'obsolete' || first?.level === 'removed';
}

/** A name without a slash that is no file here is looked for as the shell does it. */
function fileOf(word: string, path = ''): string {
  if (word.includes('/') || existsSync(word)) return word;
  const found = path.split(delimiter).find((folder) => folder !== '' && isExecutable(join(folder, word)));
  if (found === undefined) throw new InputError(`'${word}'`, 'is no file, and no program on PATH');
  return join(found, word);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

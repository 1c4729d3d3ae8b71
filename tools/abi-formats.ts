/**
 * Our formats and the digests of their shapes, as Documentation/ABI records them:
 * `node scripts/run-ts.mjs tools/abi-formats.ts [--write]`. With `--write`, digests that differ are put into their
 * entries, whose descriptions want an eye then.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entriesOf, fieldOf } from '../src/abi/entry.ts';
import { readAbiTree } from '../src/abi/tree.ts';
import { ourFormats } from '../test/support/our-formats.ts';

const root = process.cwd();
const tree = readAbiTree(join(root, 'Documentation/ABI'));
const recorded = new Map(
  [...entriesOf(tree)].map((entry) => [
    entry.what[0]!.text,
    { file: entry.file, digest: /Format: (sha256:\w+)/.exec(fieldOf(entry, 'description')?.text ?? '')?.[1] },
  ]),
);
for (const [what, digest] of ourFormats(root)) {
  const entry = recorded.get(what);
  const state = entry === undefined ? 'no entry' : entry.digest === digest ? '' : `changed, in ${entry.file}`;
  console.log(`${digest}  ${what}${state === '' ? '' : `  (${state})`}`);
  if (!process.argv.includes('--write') || entry?.digest === undefined || state === '') continue;
  const file = join(root, 'Documentation/ABI', entry.file);
  // Digests may be equal before they are made; the entry is the one below its What.
  const text = readFileSync(file, 'utf8');
  const at = text.indexOf(entry.digest, text.indexOf(`${what}\n`));
  writeFileSync(file, text.slice(0, at) + digest + text.slice(at + entry.digest.length));
}

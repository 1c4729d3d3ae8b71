/** Our own Documentation/ABI: well written, complete, and true. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { entriesOf, fieldOf } from '../src/abi/entry.ts';
import { lint, readSwitches } from '../src/abi/lint/lint.ts';
import { readAbiTree } from '../src/abi/tree.ts';
import { ourFormats } from './support/our-formats.ts';
import { typeShape } from './support/type-shape.ts';

const root = join(import.meta.dirname, '..');
const tree = readAbiTree(join(root, 'Documentation/ABI'));
const formats = ourFormats(root);
const recorded = new Map(
  [...entriesOf(tree)].flatMap((entry) => {
    const digest = /^Format: (sha256:\w+)$/m.exec(fieldOf(entry, 'description')?.text ?? '')?.[1];
    return entry.what.map(({ text, line }) => [
      text,
      { digest, place: `${entry.file}:${line}`, level: entry.level },
    ]);
  }),
);

describe('our promises', () => {
  it('have nothing that abi lint finds, habits included', () => {
    const now = { year: new Date().getUTCFullYear(), month: new Date().getUTCMonth() + 1 };
    // They are no paths of sysfs, and there is one place to write to.
    const switches = readSwitches(['all', 'no-path=off', 'odd-contact=off']);
    expect(lint({ tree, now }, switches)).toEqual([]);
  });

  it.each([...formats])('say what %s looks like', (what, digest) => {
    const entry = recorded.get(what);
    expect(
      entry,
      `${what} is a format of ours without an entry: add one to Documentation/ABI/testing`,
    ).toBeDefined();
    expect(
      entry!.digest === digest ? [] : [digest],
      `${what} changed its shape (${entry!.digest} is recorded in Documentation/ABI/${entry!.place}, it has ${digest}).
If something was added: write 'Format: ${digest}' there, and say in the Description what is new.
If something was removed, renamed or means something else: give it a new version with an entry of its own, and move
this entry to obsolete/ with why and when. See Documentation/ABI/README.`,
    ).toEqual([]);
  });

  it('are of nothing that is not there, but in removed/', () => {
    const gone = [...recorded].filter(([what, { level }]) => level !== 'removed' && !formats.has(what));
    expect(gone).toEqual([]);
  });

  it('cover every schema file, every kind of report, exit codes and the command line', () => {
    for (const what of [
      'snapshot file, version 1',
      'policy file, version 1',
      'plan file, version 1',
      'report list, version 1',
      'report hand-overs, version 1',
      'exit codes',
      'command line',
    ])
      expect(formats.has(what), what).toBe(true);
  });
});

describe('the shape of a type', () => {
  const shapes = (...texts: string[]) => {
    const folder = mkdtempSync(join(tmpdir(), 'ringfence-shape-'));
    try {
      return texts.map((text, at) => {
        writeFileSync(join(folder, 'below.ts'), "export type Below = 'a' | 'b';\n");
        writeFileSync(join(folder, `${at}.ts`), text);
        return typeShape(join(folder, `${at}.ts`), 'Top').replaceAll(`${at}.ts`, '');
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const top = "import type { Below } from './below.ts';\nexport interface Top {\n  a: Below[];\n}\n";

  it('takes no notice of comments and blanks', () => {
    const [one, other] = shapes(top, top.replace('  a:', '  /** Says { something. */\n  // more\n      a:'));
    expect(other).toBe(one);
    expect(one).toBe("interface Top { a: Below[]; }\ntype Below = 'a' | 'b';");
  });

  it('changes with a field, a type and a type below it', () => {
    const all = shapes(
      top,
      top.replace('a:', 'a?:'),
      top.replace('Below[]', 'string'),
      top.replace(';\n}', ';\n  b: 1;\n}'),
      `${top.replace(/import.*\n/, '')}type Below = 'a';\n`,
    );
    expect(new Set(all).size).toBe(all.length);
  });
});

/** `abi lint` and `abi moves` as they are called: exit codes, forms of output, what cannot be used. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entryText } from '../src/abi/testing.ts';
import { run } from '../src/cli/run.ts';

let top: string;
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'ringfence-abi-lint-'));
  tree('clean', { 'stable/a': entryText({ What: '/sys/a' }) });
  tree('source/Documentation/ABI', { 'testing/a': entryText({ What: '/sys/a' }) });
  tree('wrong', { 'stable/a': entryText({ What: '/sys/a', Date: 'Mai 2012' }) });
  tree('warned', { 'obsolete/a': entryText({ What: '/sys/a' }) });
  tree('gone', { 'removed/a': entryText({ What: '/sys/o2cb' }) });
  tree('machine/sys', { 'bus/pci/devices/.keep': '', o2cb: '' });
  tree('strange', { 'notes/a': 'Words.\n' });
  tree('hostile', { 'stable/a': `What: /sys/a\nDate: \u001b[2Jsoon\nDescription: x\n` });
});
afterAll(() => rmSync(top, { recursive: true }));

function tree(name: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, name, file)), { recursive: true });
    writeFileSync(join(top, name, file), text);
  }
}

/** Words that begin with `@` are trees of this test. */
async function call(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await run(
    words.map((word) => (word.startsWith('@') ? join(top, word.slice(1)) : word)),
    {
      env: {},
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
    },
  );
  return { code, out: out.replaceAll(top, ''), err: err.replaceAll(top, '') };
}

describe('abi lint', () => {
  it.each([
    ['@clean', 0],
    ['@source', 0],
    ['@wrong', 1],
    ['@warned', 0],
    ['@strange', 3],
    ['@nowhere', 2],
  ])('of %s ends with %i', async (name, code) => {
    expect((await call('abi', 'lint', name)).code).toBe(code);
    expect((await call('abi', 'lint', '--tree', name)).code).toBe(code);
  });

  it('prints a line a finding as compilers do, and how much was looked at', async () => {
    const { out } = await call('abi', 'lint', '@wrong');
    expect(out).toBe(
      "/wrong/stable/a:2: error: 'Mai' is no month; write May 2012 [malformed-date]\n" +
        '1 error found in 1 entry of 1 document\n',
    );
  });

  it('prints a report, and SARIF', async () => {
    const report = JSON.parse((await call('abi', 'lint', '@wrong', '--json')).out);
    expect(report).toMatchObject({ report: 'abi-lint', version: 1, documents: 1, entries: 1 });
    expect(report.findings).toEqual([
      {
        rule: 'malformed-date',
        severity: 'error',
        file: 'stable/a',
        line: 2,
        message: "'Mai' is no month",
        fix: 'write May 2012',
      },
    ]);
    const { out, code } = await call('abi', 'lint', '@wrong', '--format', 'sarif');
    expect([JSON.parse(out).version, code]).toEqual(['2.1.0', 1]);
  });

  it('takes rules as they are switched', async () => {
    expect((await call('abi', 'lint', '@wrong', '--rule', 'malformed-date=warning')).code).toBe(0);
    expect((await call('abi', 'lint', '@warned', '-r', 'obsolete-without-why=error')).code).toBe(1);
    expect((await call('abi', 'lint', '@wrong', '--rule', 'all=off')).out).toMatch(/^nothing found/);
    expect(await call('abi', 'lint', '@wrong', '--rule', 'x')).toMatchObject({ code: 2 });
    expect((await call('abi', 'lint', '--rules')).out).toMatch(/^malformed-date +error /m);
  });

  it('holds removed/ against the machine of --host', async () => {
    const { code, out } = await call('abi', 'lint', '@gone', '--host', '@machine');
    expect([code, out.split('\n')[0]]).toEqual([
      1,
      "/gone/removed/a:1: error: '/sys/o2cb' is said to be removed, and is there; move the entry to obsolete/, or remove the interface [removed-but-present]",
    ]);
  });

  it('lets no escape sequence of a document reach the terminal', async () => {
    const { out } = await call('abi', 'lint', '@hostile');
    expect(out).toContain("'?[2Jsoon' is no date");
    expect(out).not.toContain('\u001b');
  });
});

describe('abi moves', () => {
  it('of a tree and itself ends with 0', async () => {
    expect(await call('abi', 'moves', '@clean', '@clean')).toMatchObject({
      code: 0,
      out: '0 added, 0 moved, 0 changed, 0 removed; 0 breaks of the rules\n',
    });
  });

  it('tells of moves, and ends with 1 where one breaks the rules', async () => {
    expect((await call('abi', 'moves', '@source', '@clean')).code).toBe(0);
    const { code, out } = await call('abi', 'moves', '@clean', '@source', '--date', '2026-11');
    expect(code).toBe(1);
    expect(out).toBe(
      'moved    stable to testing  /sys/a  testing/a:1\n' +
        '/source/Documentation/ABI/testing/a:1: error: /sys/a: it was in stable/, and it is in testing/, without notice; ' +
        'move it to obsolete/ first, and say why and when it goes away [stable-without-notice]\n' +
        '0 added, 1 moved, 0 changed, 0 removed; 1 break of the rules\n',
    );
    expect((await call('abi', 'moves', '@clean', '@source', '--breaks')).out).not.toMatch(/^moved /m);
  });

  it('prints a report', async () => {
    const report = JSON.parse((await call('abi', 'moves', '@clean', '@source', '--json')).out);
    expect(report).toMatchObject({ report: 'abi-moves', version: 1, added: [], removed: [], changed: [] });
    expect(report.breaks[0]).toMatchObject({
      rule: 'stable-without-notice',
      tree: 'new',
      file: 'testing/a',
      line: 1,
    });
  });

  it('wants two trees with documents, and a month', async () => {
    expect(await call('abi', 'moves', '@clean', '@strange')).toMatchObject({ code: 3 });
    expect(await call('abi', 'moves', '@clean', '@nowhere')).toMatchObject({ code: 2 });
    expect(await call('abi', 'moves', '@clean')).toMatchObject({ code: 2 });
    expect((await call('abi', 'moves', '@clean', '@clean', '--date', '2026-13')).err).toMatch(
      /--date: expects/,
    );
  });
});

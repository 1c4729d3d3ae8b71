/** What the README shows is what the program prints, names of devices aside: they differ with the pci.ids. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format } from 'node:util';
import { transformWithOxc } from 'vite';
import { expect, test } from 'vitest';
import { run } from '../src/cli/run.ts';
import { readHost } from '../src/host/read-host.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { boot, type Snapshot } from '../src/index.ts';

const root = new URL('..', import.meta.url).pathname;
const desktop = join(root, 'examples/desktop.json');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

const nameless = (text: string): string =>
  text.replace(/^( *(?:[0-9a-f]{2}:){1,2}[0-9a-f]{2}\.[0-7]) [A-Z].*$/gm, '$1').trim();

/** The indented block that begins with `$ ringfence WORDS`, without that line. */
function shown(words: string): string {
  const lines = readme.split('\n');
  const start = lines.indexOf(`    $ ringfence ${words}`);
  expect(start, `the README shows ringfence ${words}`).toBeGreaterThan(0);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex(
    (line) => (line !== '' && !line.startsWith('    ')) || line.startsWith('    $ '),
  );
  return rest
    .slice(0, end)
    .map((line) => line.slice(4))
    .join('\n');
}

/** The indented blocks of a section, in order. */
function blocks(heading: string): string[] {
  const section = readme.split(`${heading}\n`)[1]?.split(/^#/m)[0] ?? '';
  const texts = section.split(/^(?=\S)/m).map((text) => text.replace(/^.*\n/, ''));
  return texts.filter((text) => text.includes('    ')).map((text) => text.replace(/^ {4}/gm, ''));
}

/** Runs a program that imports ringfence, from the root of the repository; what it prints. */
async function output(program: string): Promise<string> {
  const { code } = await transformWithOxc(program, 'readme.ts');
  const lines: string[] = [];
  const load = (name: string) => (name === 'ringfence' ? import('../src/index.ts') : import(name));
  const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => Run;
  const body = code.replace(/^import (\{.*?\}) from (".*?")/gms, 'const $1 = await load($2)');
  await new AsyncFunction('load', 'console', body)(load, {
    log: (...words) => lines.push(format(...words)),
  });
  return lines.join('\n');
}

type Run = (load: (name: string) => Promise<unknown>, console: Pick<Console, 'log'>) => Promise<void>;

async function printed(words: string[], env: Record<string, string> = {}): Promise<string> {
  let out = '';
  const write = (text: string): void => {
    out += text;
  };
  await run(words, { env, stdout: { write }, stderr: { write } });
  return out;
}

test('why', async () => {
  expect(nameless(await printed(['why', '07:00.0', '--host', desktop]))).toBe(nameless(shown('why 07:00.0')));
});

test('verify, of a kernel with the override', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-readme-'));
  try {
    const claimed: Snapshot = await readHost(desktop);
    claimed.kernel.cmdline += ' pcie_acs_override=downstream';
    claimed.groups = boot(claimed).groups();
    const file = join(folder, 'claimed.json');
    writeFileSync(file, writeSnapshot(claimed));
    const text = await printed(['verify', '--host', file]);
    expect(nameless(text)).toBe(nameless(shown('verify --host claimed.json')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a hand-over, from question to undo', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-readme-'));
  try {
    const copy = join(folder, 'copy');
    mkdirSync(copy);
    execFileSync('tar', ['xzf', join(root, 'test/fixtures/machines/amd.tar.gz'), '-C', copy]);
    const env = { XDG_STATE_HOME: join(folder, 'state') };
    const plan = join(folder, 'plan.json');
    const at = (words: string): string[] =>
      words.split(' ').map((word) => ({ copy, 'plan.json': plan })[word] ?? word);
    for (const words of [
      'check 05:00.0 --host copy',
      'plan 05:00.0 --host copy',
      'apply plan.json --override usage-unread --host copy',
      'undo --host copy',
    ]) {
      if (words.startsWith('apply'))
        writeFileSync(plan, await printed(at('plan 05:00.0 --json --host copy'), env));
      expect(nameless(await printed(at(words), env)), words).toBe(nameless(shown(words)));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the library, on a recorded machine', async () => {
  const [program] = blocks('## As a library');
  expect(await output(program!)).toContain('0000:08:00.0');
});

test('the library, handed over in-process', async () => {
  const [program, prints] = blocks('### Handed over, in-process');
  const words = (text: string): string[] => text.trim().split(/\s+/);
  expect(words(await output(program!))).toEqual(words(prints!));
});

test('every option and file it names is there', () => {
  for (const [, file] of readme.matchAll(/\]\(([\w/.-]+)\)/g)) readFileSync(join(root, file!));
});

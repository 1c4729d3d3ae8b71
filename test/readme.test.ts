/** What the README shows is what the program prints, names of devices aside: they differ with the pci.ids. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const end = rest.findIndex((line) => line !== '' && !line.startsWith('    '));
  return rest
    .slice(0, end)
    .map((line) => line.slice(4))
    .join('\n');
}

async function printed(words: string[]): Promise<string> {
  let out = '';
  const write = (text: string): void => {
    out += text;
  };
  await run(words, { env: {}, stdout: { write }, stderr: { write } });
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

test('every option and file it names is there', () => {
  for (const [, file] of readme.matchAll(/\]\(([\w/.-]+)\)/g)) readFileSync(join(root, file!));
});

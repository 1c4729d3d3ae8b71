/** Calls that are wrong, odd or unlucky: each gets one line that says what to do, and the right exit code. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { errorText, run } from '../src/cli/run.ts';
import { readHost } from '../src/host/read-host.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { InputError, KernelError } from '../src/kernel/errors.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const VFIO = join(ROOT, 'test/fixtures/machines/vfio.tar.gz');

async function ringfence(words: string[], write?: (text: string) => void) {
  const said = { code: -1, out: '', err: '' };
  said.code = await run(words, {
    env: {},
    stdout: { write: write ?? ((text: string) => (said.out += text)) },
    stderr: { write: (text: string) => (said.err += text) },
  });
  return said;
}

describe('wrong calls', () => {
  test.each([
    [['list', '-o'], 'ringfence: list: --columns needs a value\n'],
    [['list', '--host'], 'ringfence: list: --host needs a value\n'],
    [['list', '--host', '--json'], 'ringfence: list: --host needs a value\n'],
    [['list', '--json=yes'], 'ringfence: list: --json takes no value\n'],
    [['list', '--jsn'], "ringfence: list: unknown option '--jsn'\n"],
    [
      ['list', '--host', ''],
      "ringfence: '': an empty name; expects a file, a folder or - (standard input)\n",
    ],
    [['lisst'], "ringfence: 'lisst': there is no command of that name; did you mean list?\n"],
    [['why'], 'ringfence: why: expects DEVICE [DEVICE]\n'],
    [
      ['list', '--tree', '--json'],
      'ringfence: --tree: does not go with --json: the tree is text and has columns of its own\n',
    ],
    [
      ['list', '-t', '-o', 'group'],
      'ringfence: --tree: does not go with --columns: the tree is text and has columns of its own\n',
    ],
    [['completion', '__proto__'], "ringfence: completion: knows bash, zsh and fish, not '__proto__'\n"],
    [['completion', 'constructor'], "ringfence: completion: knows bash, zsh and fish, not 'constructor'\n"],
    [['completion', 'toString'], "ringfence: completion: knows bash, zsh and fish, not 'toString'\n"],
    [['completion', 'bash', '--json'], "ringfence: completion: unknown option '--json'\n"],
    [['capture', '--json'], "ringfence: capture: unknown option '--json'\n"],
  ])('%j', async (words, err) => expect(await ringfence(words)).toEqual({ code: 2, out: '', err }));
});

test('as many devices as one likes', async () => {
  const { code, err } = await ringfence(['show', ...Array<string>(300).fill('01:00.0'), '--host', VFIO]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

describe('help', () => {
  test('of help is that of everything', async () => {
    expect(await ringfence(['help', 'help'])).toEqual(await ringfence(['--help']));
  });

  test.each([
    ['completion', /--(?:host|json)/],
    ['capture', /--json/],
  ])('of %s offers nothing that means nothing there', async (name, pattern) => {
    expect((await ringfence([name, '--help'])).out).not.toMatch(pattern);
    const { out } = await ringfence(['completion', 'bash']);
    expect(out.split('\n').find((line) => line.startsWith(`    ${name})`))).not.toMatch(pattern);
  });

  test('of --host says what happens with a pipe', async () => {
    expect((await ringfence(['list', '--help'])).out.replace(/\s+/g, ' ')).toContain('a pipe is waited for');
  });
});

describe('what nobody foresaw', () => {
  test('is one line and exit code 4', async () => {
    const failing = () => {
      throw new RangeError('Invalid string\nlength');
    };
    expect(await ringfence(['list', '--host', VFIO], failing)).toEqual({
      code: 4,
      out: '',
      err: 'ringfence: internal error: Invalid string length; please report\n',
    });
  });

  test('shows where it happened with RINGFENCE_DEBUG=1, and only then', () => {
    const error = new TypeError('oops');
    expect(errorText(error, { RINGFENCE_DEBUG: '1' })).toMatch(/please report\nTypeError: oops\n +at /);
    expect(errorText(error, { RINGFENCE_DEBUG: '0' })).not.toContain(' at ');
    expect(errorText('a string', {})).toBe('ringfence: internal error: a string; please report\n');
  });

  test('and is not what we say on purpose', () => {
    const env = { RINGFENCE_DEBUG: '1' };
    expect(errorText(new InputError('f', 'bad'), env)).toBe('ringfence: f: bad\n');
    expect(errorText(new KernelError('EBUSY', 'group 1', 'is busy'), env)).toMatch(
      /^ringfence: group 1: .*\n$/,
    );
  });

  test.runIf(process.platform === 'linux')('a full disk is one line and exit code 4', () => {
    const script = join(ROOT, 'scripts/run-ts.mjs');
    const call = `exec node '${script}' src/cli/main.ts list --host '${VFIO}' > /dev/full`;
    const { status, stderr } = spawnSync('sh', ['-c', call], { cwd: ROOT, encoding: 'utf8' });
    expect(stderr).toMatch(/^(?:npm warn.*\n)?ringfence: standard output: cannot be written \(ENOSPC\)\n$/);
    expect(status).toBe(4);
  });
});

describe('a command line that names a disk, a network and a password', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ringfence-words-'));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const planted =
    'root=UUID=deadbeef-1111-2222-3333-444444444444 BOOTIF=01-de-ad-be-ef-00-02 inst.ks=http://user:dead@h/ks';
  const [whole, copy] = [join(scratch, 'whole.json'), join(scratch, 'copy.json')];

  test('is not in a capture, and every report is the same for the machine and its capture', async () => {
    const machine = await readHost(join(ROOT, 'test/fixtures/machines/disable-acs-redir.tar.gz'));
    machine.kernel.cmdline = `${planted} ${machine.kernel.cmdline}`;
    writeFileSync(whole, writeSnapshot(machine, { keepSerials: true }));
    expect((await ringfence(['capture', copy, '--host', whole])).code).toBe(0);
    expect((await ringfence(['capture', '--host', whole])).out).not.toMatch(/dead|de-ad/);
    for (const call of [
      'list --json',
      'list --json --predict',
      'list',
      'verify --json',
      'show 01:00.0 --json',
      'why 01:00.0 --json',
      'check 01:00.0 --json',
    ]) {
      const [original, again] = [
        await ringfence([...call.split(' '), '--host', whole]),
        await ringfence([...call.split(' '), '--host', copy]),
      ];
      expect(again, call).toEqual(original);
      expect(original.out, call).not.toMatch(/dead|de-ad/);
    }
    expect(await ringfence(['diff', whole, copy])).toEqual({ code: 0, out: 'The same.\n', err: '' });
  });
});

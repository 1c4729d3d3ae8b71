/** Hostile programs: whatever they do, and whoever is killed meanwhile, the door goes on serving and nothing is left. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Command, isRunning, noSessions, until } from './support/command.ts';
import { compile, noCompiler } from './support/compile.ts';

const LONG = process.env.RINGFENCE_LONG === '1';
/** Another beginning finds other things: `RINGFENCE_SEED=7`. */
const SEED = Number(process.env.RINGFENCE_SEED ?? 1);
const SEEDS = Array.from({ length: LONG ? 10 : 5 }, (_, index) => SEED + index);
const CALLS = LONG ? 100_000 : 10_000;
const KILLS = LONG ? 50 : 2;
const THREADS = 8;
const FOR_EVER = 1_000_000_000;

const lack = noSessions ?? noCompiler;

describe.skipIf(lack !== undefined)(`hostile programs${lack === undefined ? '' : ` (${lack})`}`, () => {
  let command: Command;
  let program: string;
  const scratch = mkdtempSync(join(tmpdir(), 'ringfence-hostile-'));
  beforeAll(async () => {
    command = await Command.bundled();
    program = compile('hostile', ['-pthread']);
  });
  afterAll(() => {
    command?.remove();
    rmSync(scratch, { recursive: true, force: true });
  });

  const hostile = (seed: number, calls: number) => [program, `${seed}`, `${calls}`, `${THREADS}`];

  test.each(SEEDS)(
    'get errnos, and leave nothing: seed %i',
    async (seed) => {
      const words = ['--selftest', '--check-leaks', '--', ...hostile(seed, CALLS)];
      const { code, out, err } = await command.run(words);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain(`\ndone ${CALLS}\n`);
      // It is not always the same check that refuses, and not every call is refused.
      const met = new Set(out.match(/\w+(?==)/g));
      for (const code of ['ok', 'EFAULT', 'EINVAL', 'ENOENT', 'ENOTTY', 'E2BIG', 'EBUSY', 'EADDRINUSE'])
        expect(met.has(code), code).toBe(true);
    },
    600_000,
  );

  test('likewise without the selftest’s devices, and traced', async () => {
    const { code, err } = await command.run([
      '--check-leaks',
      '--trace=/dev/null',
      '--',
      ...hostile(SEED, CALLS / 4),
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  }, 600_000);

  test('killed one after the other, they take nothing with them that others need', async () => {
    const kills = Array.from({ length: KILLS * 3 }, (_, at) => (0.01 + random(at) * 0.3).toFixed(3));
    const script = kills.map(
      (seconds, at) =>
        `${hostile(SEED + at, FOR_EVER).join(' ')} >/dev/null & sleep ${seconds}; kill -KILL $!; wait $! 2>/dev/null
         ${hostile(SEED + at, 100).join(' ')} >/dev/null || echo refused`,
    );
    const { code, out, err } = await command.shell(script.join('\n'), '--selftest');
    expect({ code, out, err: err.replace(/^.*Killed.*\n/gm, '') }).toEqual({ code: 0, out: '', err: '' });
  }, 600_000);

  describe.each(['program', 'launcher', 'session', 'command'] as const)('when the %s is killed', (victim) => {
    test.each(Array.from({ length: KILLS }, (_, at) => at))(
      'at some moment, nothing is left: %i',
      async (at) => {
        const running = command.start(['--selftest', '--', ...hostile(SEED + at, FOR_EVER)], {
          TMPDIR: scratch,
        });
        await running.printed('begun');
        await new Promise((resolve) => setTimeout(resolve, random(at) * 400));
        const { session, launcher, inside } = running.processes();
        process.kill(
          { program: inside[0]!, launcher, session, command: running.child.pid! }[victim],
          'SIGKILL',
        );
        const { code } = await running.ended;
        expect(code).toBe({ program: 137, launcher: 137, session: 4, command: null }[victim]);
        await until(() => ![session, launcher, ...inside].some(isRunning));
        expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(' ringfence ');
        expect(readdirSync(scratch)).toEqual([]);
      },
    );
  });
});

/** 0 to 1, by the seed. */
function random(at: number): number {
  return (Math.imul(SEED + at + 1, 0x9e37_79b1) >>> 0) / 2 ** 32;
}

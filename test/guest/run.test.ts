/** `ringfence run` from outside: what a program sees, how it ends, and that nothing is left. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Command, isRunning, MACHINE, noSessions, until } from './support/command.ts';
import { compile, compileStatic, noCompiler } from './support/compile.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-run-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A file in the scratch folder. */
function file(name: string, content = ''): string {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
}

describe.skipIf(noSessions !== undefined)(
  `a session${noSessions === undefined ? '' : ` (${noSessions})`}`,
  () => {
    let command: Command;
    beforeAll(async () => {
      command = await Command.bundled();
    });
    afterAll(() => command?.remove());

    describe('what the program sees', () => {
      test('the machine of --host in /sys, and the rest of /sys as it is', async () => {
        const { code, out, err } = await command.shell(`
        cat /sys/bus/pci/devices/0000:01:00.0/vendor
        find /sys/kernel/iommu_groups -type l | sort
        readlink -f /sys/bus/pci/devices/0000:01:00.0/iommu_group
        ls /sys/bus/pci/devices | wc -l
        test -r /sys/kernel/mm/transparent_hugepage/enabled -o -d /sys/kernel/mm && echo real`);
        expect(err).toBe('');
        expect(out.split('\n')).toEqual([
          '0x8086',
          ...out
            .split('\n')
            .filter((line) => line.startsWith('/sys/kernel/iommu_groups/') && line.includes('devices')),
          '/sys/kernel/iommu_groups/3',
          '7',
          'real',
          '',
        ]);
        expect(out).toContain('/sys/kernel/iommu_groups/3/devices/0000:01:00.0\n');
        expect(code).toBe(0);
      });

      test('its nodes in /dev, and all others as they are', async () => {
        const { code, out, err } = await command.shell(`
        ls /dev/iommu /dev/vfio/vfio /dev/vfio/3
        echo gone > /dev/null && head -c 3 /dev/zero | od -An -tx1
        test -d /dev/shm && echo shm
        { echo via stdout > /dev/stdout; } | cat`);
        expect({ code, err }).toEqual({ code: 0, err: '' });
        expect(out).toBe('/dev/iommu\n/dev/vfio/3\n/dev/vfio/vfio\n 00 00 00\nshm\nvia stdout\n');
      });

      test('drivers let go and bind by shell, and groups follow', async () => {
        const { code, out } = await command.shell(`
        cd /sys/bus/pci/devices/0000:01:00.0
        echo 0000:01:00.0 > driver/unbind
        test -e /dev/vfio/3 || echo no group
        echo vfio-pci > driver_override
        echo 0000:01:00.0 > /sys/bus/pci/drivers_probe
        readlink driver; ls /dev/vfio; ls vfio-dev`);
        expect(out).toBe('no group\n../../../../bus/pci/drivers/vfio-pci\n3\ndevices\nvfio\nvfio0\n');
        expect(code).toBe(0);
      });

      test('refusals are those of sysfs, for root too', async () => {
        const { out } = await command.shell(`
        cd /sys/bus/pci/devices/0000:01:00.0
        (echo 1 > vendor) 2>&1 | sed 's/.*: //'
        (: > unknown) 2>&1 | sed 's/.*: //'
        mkdir x 2>&1 | sed 's/.*: //'
        rm vendor 2>&1 | sed 's/.*: //'
        cat remove 2>&1 | sed 's/.*: //'`);
        const words = out.trim().split('\n');
        expect(words).toEqual([
          'Permission denied',
          'Permission denied',
          'Operation not permitted',
          'Operation not permitted',
          'Permission denied',
        ]);
      });

      test('a group can be given to somebody, and keeps its owner while it lives', async () => {
        const { out } = await command.shell(`
        chown 1234:5678 /dev/vfio/3 && chmod 640 /dev/vfio/3
        stat -c '%u %g %a' /dev/vfio/3
        echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind
        echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/bind
        stat -c '%u %g %a' /dev/vfio/3`);
        expect(out).toBe('1234 5678 640\n0 0 600\n');
      });

      test('many at once', async () => {
        const { code, out } = await command.shell(`
        for i in 1 2 3 4 5 6; do find /sys/bus/pci/ /sys/kernel/iommu_groups | wc -l & done | sort -u | wc -l
        wait`);
        expect(out).toBe('1\n');
        expect(code).toBe(0);
      });
    });

    describe('streams, signals and exit codes', () => {
      test('standard input, output and error are its own', async () => {
        const { code, out, err } = await command.run(['--', 'sh', '-c', 'tr a-z A-Z; echo err >&2'], 'text');
        expect({ code, out, err }).toEqual({ code: 0, out: 'TEXT', err: 'err\n' });
      });

      test('the exit code is the program’s', async () => {
        expect((await command.shell('exit 42')).code).toBe(42);
      });

      test('128 and the signal that ended it', async () => {
        expect((await command.shell('kill -KILL $$')).code).toBe(137);
        expect((await command.shell('kill -TERM $$')).code).toBe(143);
      });

      test('127 for one that is not there, 126 for one that cannot be executed', async () => {
        const gone = await command.run(['/nonexistent/program']);
        expect({ code: gone.code, err: gone.err }).toEqual({
          code: 127,
          err: 'ringfence: /nonexistent/program: No such file or directory\n',
        });
        expect((await command.run([file('no-program')])).code).toBe(126);
      });

      test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)(
        '%s goes on to the program',
        async (signal) => {
          const script = `trap 'echo got; exit 7' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
          const running = command.start(['--', 'sh', '-c', script]);
          await running.printed('ready');
          running.child.kill(signal);
          const { code, out } = await running.ended;
          expect({ code, out }).toEqual({ code: 7, out: 'ready\ngot\n' });
        },
      );

      test('options of the program are not ours', async () => {
        const { code, out } = await command.run(['echo', '--host', '-n', '--help']);
        expect({ code, out }).toEqual({ code: 0, out: '--host -n --help\n' });
      });
    });

    describe('what is wrong is said in a line', () => {
      test.each([
        [['--host', '/nonexistent', 'true'], 2, 'ringfence: /nonexistent: no such file or directory\n'],
        [['--policy', 'none', 'true'], 2, /^ringfence: --policy: there is no policy 'none'; /],
        [
          ['--trace=/nonexistent/x', 'true'],
          2,
          'ringfence: --trace: /nonexistent/x cannot be written (ENOENT)\n',
        ],
        [
          ['--script', '/nonexistent', 'true'],
          2,
          'ringfence: --script: /nonexistent cannot be read (ENOENT)\n',
        ],
        [['--host', '-', 'true'], 2, /standard input belongs to the program/],
        [[], 2, 'ringfence: run: expects PROGRAM [ARGUMENT…]\n'],
      ])('%j', async (words, code, message) => {
        const result = await command.run(words);
        expect(result.code).toBe(code);
        if (typeof message === 'string') expect(result.err).toBe(message);
        else expect(result.err).toMatch(message);
      });

      test('what the script’s lines are wrong in', async () => {
        const script = file('wrong.jsonl', '# a comment\n{"unplug": 7}\n');
        const { code, err } = await command.run(['--script', script, 'true']);
        expect({ code, err }).toEqual({
          code: 2,
          err: `ringfence: ${script}:2: unplug: expects text in quotes\n`,
        });
      });
    });

    describe('nothing is left', () => {
      const busy = ['--', 'sh', '-c', 'setsid sleep 1000 & exec 3<>/dev/iommu; echo ready; sleep 1000'];

      test.each(['session', 'launcher', 'program'] as const)('when the %s is killed', async (victim) => {
        const running = command.start(busy);
        await running.printed('ready');
        const { session, launcher, inside } = running.processes();
        expect(inside.length).toBeGreaterThanOrEqual(2);
        process.kill({ session, launcher, program: inside[0]! }[victim], 'SIGKILL');
        const { code } = await running.ended;
        expect(code).toBe(victim === 'session' ? 4 : 137);
        await until(() => ![session, launcher, ...inside].some(isRunning));
      });

      test('when the command itself is killed', async () => {
        const running = command.start(busy);
        await running.printed('ready');
        const { session, launcher, inside } = running.processes();
        running.child.kill('SIGKILL');
        await until(() => ![session, launcher, ...inside].some(isRunning));
      });

      test('when the program ends and leaves others running', async () => {
        const { code, out } = await command.shell('sleep 1000 & echo $!');
        expect(code).toBe(0);
        expect(isRunning(Number(out))).toBe(false);
      });

      test('no mount outside', async () => {
        await command.shell('true');
        expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(' ringfence ');
      });

      test('what is open when the program is killed is closed: no leak', async () => {
        const { code, err } = await command.shell('exec 3<>/dev/iommu 4<>/dev/vfio/3; kill -KILL $$');
        expect({ code, err }).toEqual({ code: 137, err: '' });
      });
    });

    describe('trace and script', () => {
      test('every call is told, with the reason of a refusal', async () => {
        const trace = join(scratch, 'trace.log');
        await command.shell(
          'exec 3<>/dev/iommu; echo bogus > /sys/bus/pci/drivers_probe; cat /dev/vfio/vfio',
          `--trace=${trace}`,
        );
        const lines = readFileSync(trace, 'utf8').replace(/^\[\d+\] /gm, '');
        expect(lines).toContain('open(/dev/iommu) = 0\n');
        expect(lines).toMatch(/^write\(\/sys\/bus\/pci\/drivers_probe, "bogus\\n"\) = -1 E[A-Z]+ \(.+\)$/m);
        expect(lines).toMatch(/^read\(\/dev\/vfio\/vfio, \d+, 0\) = -1 EINVAL \(.+\)$/m);
        expect(lines).toContain('close(/dev/iommu) = 0\n');
      });

      test('lines without a moment are done before the program starts', async () => {
        const script = file('before.jsonl', '{"unplug": "0000:01:00.1"}\n{"unplug": "0000:01:00.0"}\n');
        const { out } = await command.shell('ls /sys/bus/pci/devices | grep -c ^0000:01', '--script', script);
        expect(out).toBe('0\n');
      });

      test('others at their time, or after a call', async () => {
        const script = file(
          'moments.jsonl',
          [
            '{"at": 0.05, "unplug": "0000:01:00.1"}',
            `{"plug": "0000:01:00.1", "from": ${JSON.stringify(MACHINE)}}`,
            '{"after": "open", "count": 2, "unbind": "vfio-pci", "device": "0000:01:00.0"}',
            '{"after": "open", "end": true}',
          ].join('\n'),
        );
        const trace = join(scratch, 'moments.log');
        const { code } = await command.shell(
          `ls /dev/vfio/3 && sleep 0.3
         while test -e /dev/vfio/3; do : < /dev/iommu; done
         : < /dev/iommu; sleep 1000`,
          '--script',
          script,
          `--trace=${trace}`,
        );
        expect(code).toBe(143);
        const done = readFileSync(trace, 'utf8').match(/^-- .*jsonl:\d: .*$/gm);
        expect(done?.map((line) => line.replace(/^.*jsonl:/, ''))).toEqual([
          '1: unplugged 0000:01:00.1',
          '2: plugged 0000:01:00.1',
          '3: wrote "0000:01:00.0" to /sys/bus/pci/drivers/vfio-pci/unbind',
          '4: sent SIGTERM',
        ]);
      });

      test('a step that is made to fail', async () => {
        const script = file('fail.jsonl', '{"fail": 1, "errno": "ENOMEM"}\n');
        const { out } = await command.shell(
          '(: < /dev/iommu) 2>&1 | sed "s/.*: //"; : < /dev/iommu && echo then it works',
          '--script',
          script,
        );
        expect(out).toMatch(/^Cannot allocate memory\nthen it works\n$/);
      });
    });

    describe.skipIf(noCompiler !== undefined)(
      `programs in C${noCompiler === undefined ? '' : ` (${noCompiler})`}`,
      () => {
        test('descriptors come back from calls, to threads and children, and closing them is done at once', async () => {
          const program = compile('descriptors', ['-pthread']);
          const { code, out, err } = await command.run(['--check-leaks', program]);
          expect({ code, out, err }).toEqual({ code: 0, out: 'done\n', err: '' });
        });

        test('likewise in a static program', async ({ skip }) => {
          const program = compileStatic('descriptors');
          if (program === undefined) return skip('no static C library');
          const { code, out, err } = await command.run(['--check-leaks', program]);
          expect({ code, out, err }).toEqual({ code: 0, out: 'done\n', err: '' });
        });
      },
    );

    test('without a compiler everything else works, and the lack is told', async () => {
      const env = { XDG_CACHE_HOME: join(scratch, 'cache'), PATH: `${withoutCompiler()}` };
      const { code, out, err } = await command.run(
        ['--', 'sh', '-c', 'exec 3<>/dev/iommu && echo open'],
        '',
        env,
      );
      expect({ code, out }).toEqual({ code: 0, out: 'open\n' });
      expect(err).toBe(
        'ringfence: calls that return a descriptor will fail: no C compiler (cc, gcc, clang); install one\n',
      );
    });

    /** A folder with nothing but what a session needs. */
    function withoutCompiler(): string {
      const folder = mkdtempSync(join(scratch, 'bin-'));
      for (const name of ['unshare', 'mount', 'sh', 'true', 'sleep']) {
        writeFileSync(
          join(folder, name),
          `#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec ${name} "$@"\n`,
          {
            mode: 0o755,
          },
        );
      }
      return folder;
    }
  },
);

/** plan, apply and undo from outside, on copies of recorded machines. Nothing here goes near the machine's own /sys. */

import { execFile } from 'node:child_process';
import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../src/cli/run.ts';
import { lockTree } from '../src/handover/lock.ts';
import { contents, giveTo, Scratch } from '../src/handover/testing.ts';

const scratch = new Scratch();
afterAll(() => scratch.clear());

const A = '0000:01:00.0';
const B = '0000:01:00.1';

interface Result {
  code: number;
  out: string;
  err: string;
}

/** The host uses none of the devices; recordings made elsewhere do not tell. */
function nothingInUse(dir: string): void {
  for (const folder of ['proc/self', 'proc/net', 'sys/class/drm', 'sys/class/input'])
    mkdirSync(join(dir, folder), { recursive: true });
  writeFileSync(join(dir, 'proc/self/mountinfo'), '22 1 0:20 / / rw - tmpfs tmpfs rw\n');
  writeFileSync(join(dir, 'proc/swaps'), 'Filename Type Size Used Priority\n');
  writeFileSync(join(dir, 'proc/net/route'), '');
}

/** One machine with its own state folder. */
class Bench {
  readonly dir: string;
  readonly state: string = scratch.folder();

  constructor(name = 'vfio', drivers: Record<string, string> = { [A]: 'e1000e', [B]: 'e1000e' }) {
    this.dir = scratch.machine(name);
    nothingInUse(this.dir);
    for (const [device, driver] of Object.entries(drivers)) {
      giveTo(this.dir, device, driver);
      writeFileSync(join(this.dir, 'sys/bus/pci/devices', device, 'driver_override'), '(null)\n');
    }
  }

  async ringfence(words: string[], terminal?: { answers: string; columns?: number }): Promise<Result> {
    const result: Result = { code: -1, out: '', err: '' };
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(terminal?.answers ?? '');
    result.code = await run([...words, '--host', this.dir], {
      env: { XDG_STATE_HOME: this.state },
      stdout: {
        write: (text: string) => {
          result.out += text;
        },
      },
      stderr: {
        ...(terminal !== undefined && { isTTY: true }),
        write: (text: string) => {
          result.err += text;
        },
      },
      ...(terminal !== undefined && { stdin }),
    });
    return result;
  }

  /** A plan file; every question answered yes. */
  async plan(...words: string[]): Promise<string> {
    const { out } = await this.ringfence(['plan', ...words, '--yes', '--json']);
    const file = join(this.state, `plan-${readdirSync(this.state).length}.json`);
    writeFileSync(file, out);
    return file;
  }

  driver(device: string): string | undefined {
    const uevent = readFileSync(join(this.dir, 'sys/bus/pci/devices', device, 'uevent'), 'utf8');
    return /^DRIVER=(.*)$/m.exec(uevent)?.[1];
  }
}

describe('plan', () => {
  test('every write with the state before; nothing is done', async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const { code, out } = await bench.ringfence(['plan', '01:00.0', '--yes']);
    expect(code).toBe(0);
    expect(out.replace(/ Ethernet.*/g, '')).toMatchInlineSnapshot(`
      "2 devices go to vfio-pci
        01:00.0
          e1000e
        01:00.1
          e1000e, shares the group

      To run before
        modprobe vfio-pci
           no device has vfio-pci yet, so its module may not be loaded; harmless if it
           is

      Writes, in order
        1. /sys/bus/pci/devices/0000:01:00.0/driver_override
           write vfio-pci, now none: vfio-pci alone may take it, whatever its ids
        2. /sys/bus/pci/drivers/e1000e/unbind
           write 0000:01:00.0, now e1000e: e1000e lets go of it
        3. /sys/bus/pci/drivers/vfio-pci/bind
           write 0000:01:00.0, now none: vfio-pci takes it
        4. /sys/bus/pci/devices/0000:01:00.1/driver_override
           write vfio-pci, now none: vfio-pci alone may take it, whatever its ids
        5. /sys/bus/pci/drivers/e1000e/unbind
           write 0000:01:00.1, now e1000e: e1000e lets go of it
        6. /sys/bus/pci/drivers/vfio-pci/bind
           write 0000:01:00.1, now none: vfio-pci takes it

      Nothing was done. To do it: the same with --json > plan.json, then \`ringfence
      apply plan.json\`.
      "
    `);
    expect(contents(bench.dir)).toEqual(before);
    expect(existsSync(join(bench.state, 'ringfence'))).toBe(false);
  });

  test('asks for each sibling, naming it and its driver; the answer decides', async () => {
    const bench = new Bench();
    const yes = await bench.ringfence(['plan', '01:00.0', '--json'], { answers: 'y\n' });
    expect(yes.err).toMatch(/^Hand 0000:01:00\.1 .*\(driver e1000e\) to vfio-pci too\?.* \[y\/N\] $/);
    expect(JSON.parse(yes.out).devices.map((d: { address: string }) => d.address)).toEqual([A, B]);
    for (const answers of ['n\n', '\n', 'maybe\n']) {
      const no = await bench.ringfence(['plan', '01:00.0', '--json'], { answers });
      expect(no.code).toBe(1);
      expect(JSON.parse(no.out)).toMatchObject({
        devices: [{ address: A }],
        refusals: [{ code: 'member-in-use', device: B }],
      });
    }
  });

  test('what a hostile tree calls a driver reaches no terminal as it is, and no write', async () => {
    const bench = new Bench('vfio', { [A]: 'e1000e', [B]: 'evil\u001b[2J' });
    const asked = await bench.ringfence(['plan', '01:00.0'], { answers: 'y\n' });
    expect(asked.err + asked.out).not.toContain('\u001b');
    const { code, err } = await bench.ringfence(['apply', await bench.plan('01:00.0')]);
    expect(code).toBe(2);
    expect(err).toMatch(/before\.driver/);
  });

  test('several questions, several answers', async () => {
    const bench = new Bench('sriov-igb', {});
    const { out, err } = await bench.ringfence(['plan', '02:10.0', '--json'], { answers: 'n\ny\nn\n' });
    expect(err.match(/\[y\/N\]/g)).toHaveLength(3);
    const { questions } = JSON.parse(out);
    expect(questions.map((q: { device: string; answer: boolean }) => [q.device, q.answer])).toEqual([
      ['0000:02:00.0', false],
      ['0000:02:10.2', true],
      ['0000:02:10.4', false],
    ]);
  });

  test('without a terminal and without --yes: 2, naming the questions; the same when the terminal closes', async () => {
    const bench = new Bench();
    for (const result of [
      await bench.ringfence(['plan', '01:00.0']),
      await bench.ringfence(['plan', '01:00.0'], { answers: '' }),
    ]) {
      expect(result).toMatchObject({ code: 2, out: '' });
      expect(result.err).toMatch(
        /ringfence: plan: Hand 0000:01:00\.1 .*\(driver e1000e\).*--yes.*--only[^\n]*\n$/,
      );
    }
    expect((await bench.ringfence(['plan', '01:00.0', '01:00.1'])).code).toBe(0);
  });

  test('a recording can be planned on, wherever it comes from', async () => {
    const bench = new Bench();
    const copy = join(bench.state, 'copy.json');
    await bench.ringfence(['capture', copy]);
    const live = await bench.ringfence(['plan', '01:00', '--json']);
    const result: Result = { code: -1, out: '', err: '' };
    result.code = await run(['plan', '01:00', '--json', '--host', copy], {
      env: {},
      stdout: { write: (text: string) => (result.out += text) },
      stderr: { write: (text: string) => (result.err += text) },
    });
    expect(JSON.parse(result.out).steps).toEqual(JSON.parse(live.out).steps);
  });

  test('--persist writes files to review, and only there', async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const files = join(bench.state, 'files');
    const { code, err } = await bench.ringfence(['plan', '01:00', '--persist', files]);
    expect(code).toBe(0);
    expect(err).toContain(files);
    expect(readdirSync(files).sort()).toEqual([
      '05-ringfence.rules',
      'README.txt',
      'driverctl.sh',
      'kernel-parameters.txt',
      'ringfence.conf',
    ]);
    const again = await bench.ringfence(['plan', '01:00', '--persist', files]);
    expect(again).toMatchObject({ code: 2, out: '' });
    symlinkSync('/etc', join(bench.state, 'link'));
    for (const place of [
      '/etc',
      '/etc/modprobe.d',
      '/',
      join(bench.state, 'link/ringfence'),
      '/etc/../etc/x',
    ]) {
      const refused = await bench.ringfence(['plan', '01:00', '--persist', place]);
      expect(refused, place).toMatchObject({ code: 2, out: '' });
      expect(refused.err).toMatch(/where the system reads its files/);
    }
    expect(contents(bench.dir)).toEqual(before);
  });
});

describe('apply and undo', () => {
  test('there and back: the tree byte for byte as it was', async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const applied = await bench.ringfence(['apply', await bench.plan('01:00.0')]);
    expect(applied).toMatchObject({ code: 0, err: '' });
    expect(applied.out).toMatch(/^Done: hand-over 1\. `ringfence undo 1` takes it back\.\n/);
    expect([bench.driver(A), bench.driver(B)]).toEqual(['vfio-pci', 'vfio-pci']);
    expect((await bench.ringfence(['show', '01:00.0'])).out).toMatch(
      /driver +vfio-pci \(driver_override vfio-pci\)/,
    );
    expect((await bench.ringfence(['undo', '--list'])).out).toMatch(
      /1 {2}applied .* vfio-pci .*0000:01:00\.0 0000:01:00\.1/,
    );

    const undone = await bench.ringfence(['undo']);
    expect(undone).toMatchObject({ code: 0, err: '' });
    expect(undone.out).toMatch(/0000:01:00\.1 back with e1000e, from vfio-pci/);
    expect(contents(bench.dir)).toEqual(before);
    const again = await bench.ringfence(['undo']);
    expect(again).toMatchObject({ code: 0, out: 'Nothing to undo: no hand-over on this tree stands.\n' });
  });

  test('reports as JSON', async () => {
    const bench = new Bench();
    const applied = JSON.parse((await bench.ringfence(['apply', await bench.plan('01:00'), '--json'])).out);
    expect(applied).toMatchObject({
      report: 'apply',
      version: 1,
      result: 'applied',
      id: 1,
      differences: [],
      refusals: [],
    });
    expect(applied.writes).toHaveLength(6);
    const list = JSON.parse((await bench.ringfence(['undo', '--list', '--json'])).out);
    expect(list).toMatchObject({
      report: 'hand-overs',
      handovers: [{ id: 1, state: 'applied', devices: [A, B] }],
    });
    const undone = JSON.parse((await bench.ringfence(['undo', '1', '--json'])).out);
    expect(undone).toMatchObject({
      report: 'undo',
      result: 'undone',
      id: 1,
      devices: [
        { device: B, outcome: 'returned', to: { driver: 'e1000e', override: null } },
        { device: A, outcome: 'returned' },
      ],
    });
  });

  test('the same plan twice: nothing to do the second time', async () => {
    const bench = new Bench();
    const file = await bench.plan('01:00');
    await bench.ringfence(['apply', file]);
    const now = contents(bench.dir);
    const again = await bench.ringfence(['apply', file]);
    expect(again.code).toBe(0);
    expect(again.out).toMatch(/^Nothing to do\.\n.*hand-over 1 did this already/);
    expect(contents(bench.dir)).toEqual(now);
  });

  test('by number: the later one first', async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    await bench.ringfence(['apply', await bench.plan('01:00')]);
    await bench.ringfence(['apply', await bench.plan('01:00', '--driver', 'pci-stub')]);
    const early = await bench.ringfence(['undo', '1']);
    expect(early).toMatchObject({ code: 2, out: '' });
    expect(early.err).toMatch(/hand-over 2 came after it/);
    expect((await bench.ringfence(['undo', '2'])).code).toBe(0);
    expect(bench.driver(A)).toBe('vfio-pci');
    expect((await bench.ringfence(['undo', '1'])).code).toBe(0);
    expect(contents(bench.dir)).toEqual(before);
    expect((await bench.ringfence(['undo', '1'])).out).toMatch(/Nothing to undo: it has been undone/);
    expect((await bench.ringfence(['undo', '7'])).code).toBe(2);
  });

  describe('refuses when the machine is not as the plan assumes, naming the difference', () => {
    test.each<[string, (bench: Bench) => void, RegExp]>([
      ['another driver', (b) => giveTo(b.dir, A, 'igb'), /0000:01:00\.0 has igb, the plan assumes e1000e/],
      ['no driver', (b) => giveTo(b.dir, B, null), /0000:01:00\.1 has no driver, the plan assumes e1000e/],
      [
        'an override',
        (b) => writeFileSync(join(b.dir, 'sys/bus/pci/devices', A, 'driver_override'), 'nvidia\n'),
        /0000:01:00\.0 has e1000e \(driver_override nvidia\), the plan assumes e1000e/,
      ],
      [
        'another card',
        (b) => writeFileSync(join(b.dir, 'sys/bus/pci/devices', A, 'device'), '0x1533\n'),
        /0000:01:00\.0 is 8086:1533 .*the plan is\s+for 8086:10d3/,
      ],
      [
        'a device more in the group',
        (b) =>
          symlinkSync(
            '../../../../devices/pci0000:00/0000:00:1f.3',
            join(b.dir, 'sys/kernel/iommu_groups/3/devices/0000:00:1f.3'),
          ),
        /0000:00:1f\.3 is in group 3 too, which the\s+plan does not know/,
      ],
    ])('%s', async (_, change, message) => {
      const bench = new Bench();
      const file = await bench.plan('01:00');
      change(bench);
      const now = contents(bench.dir);
      const { code, out } = await bench.ringfence(['apply', file]);
      expect(code).toBe(1);
      expect(out).toMatch(/^Refused; nothing was written\. The machine is not as the plan assumes/);
      expect(out).toMatch(message);
      expect(contents(bench.dir)).toEqual(now);
      expect(readdirSync(join(bench.state, 'ringfence'))).toEqual([]);
    });
  });

  test('a driver of the host comes to no group that vfio still has a member of, unless overridden', async () => {
    const bench = new Bench('vfio', { [A]: 'e1000e', [B]: 'vfio-pci' });
    const before = contents(bench.dir);
    const { code, out } = await bench.ringfence(['plan', '01:00.0', '--driver', 'igb']);
    expect(code).toBe(1);
    expect(out).toMatch(/member-in-use: 0000:01:00\.1 of group 3 is with vfio-pci/);
    const file = await bench.plan('01:00.0', '--driver', 'igb');
    expect(await bench.ringfence(['apply', file])).toMatchObject({
      code: 1,
      out: expect.stringContaining('member-in-use'),
    });
    expect(contents(bench.dir)).toEqual(before);
    expect((await bench.ringfence(['apply', file, '--override', 'member-in-use'])).code).toBe(0);
  });

  test('queries create nothing', async () => {
    const bench = new Bench();
    expect((await bench.ringfence(['undo', '--list'])).out).toBe('No hand-over is on record.\n');
    expect((await bench.ringfence(['undo'])).out).toMatch(/^Nothing to undo/);
    expect((await bench.ringfence(['undo', '7'])).code).toBe(2);
    await bench.ringfence(['plan', '01:00', '--yes']);
    expect(readdirSync(bench.state)).toEqual([]);
  });

  test('while another run has the lock: 4, on standard error, and with --json in the report', async () => {
    const bench = new Bench();
    const file = await bench.plan('01:00');
    expect((await bench.ringfence(['apply', file])).code).toBe(0);
    const now = contents(bench.dir);
    using _ = lockTree(join(bench.state, 'ringfence'), join(bench.dir, 'sys'));
    const busy = /another ringfence \(process \d+\) is at work on it/;
    for (const words of [['apply', file], ['undo']]) {
      expect(await bench.ringfence(words)).toMatchObject({
        code: 4,
        out: '',
        err: expect.stringMatching(busy),
      });
      const { code, out, err } = await bench.ringfence([...words, '--json']);
      const { problem, why, writes } = JSON.parse(out);
      expect({ code, err, writes }).toEqual({ code: 4, err: '', writes: [] });
      expect(problem ?? why).toMatch(busy);
    }
    expect(contents(bench.dir)).toEqual(now);
  });

  test('where no lock can be made, undo names the folder and touches nothing', async () => {
    const bench = new Bench();
    await bench.ringfence(['apply', await bench.plan('01:00')]);
    const now = contents(bench.dir);
    const full = vi.spyOn(fs, 'writeFileSync').mockImplementation(() => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
    syncBuiltinESMExports();
    const { code, err } = await bench.ringfence(['undo']);
    full.mockRestore();
    syncBuiltinESMExports();
    expect(code).toBe(4);
    expect(err).toContain(join(bench.state, 'ringfence'));
    expect(err).toContain('free some space there, then run it again');
    expect(contents(bench.dir)).toEqual(now);
    expect((await bench.ringfence(['undo'])).code).toBe(0);
  });

  test('refuses what the check refuses, unless it is overridden by name', async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const file = await bench.plan('01:00.0', '--only');
    const refused = await bench.ringfence(['apply', file]);
    expect(refused.code).toBe(1);
    expect(refused.out).toMatch(/member-in-use: .*01:00\.1/);
    expect(contents(bench.dir)).toEqual(before);
    const other = await bench.ringfence(['apply', file, '--override', 'no-iommu']);
    expect(other.code).toBe(1);
    const unknown = await bench.ringfence(['apply', file, '--override', 'everything']);
    expect(unknown).toMatchObject({ code: 2, out: '' });
    const both = ['--override', 'no-iommu', '--override', 'member-in-use'];
    expect((await bench.ringfence(['apply', file, ...both])).code).toBe(0);
    expect([bench.driver(A), bench.driver(B)]).toEqual(['vfio-pci', 'e1000e']);
    expect((await bench.ringfence(['undo'])).code).toBe(0);
    expect(contents(bench.dir)).toEqual(before);
  });

  test('what the plan says of refusals counts for nothing', async () => {
    const bench = new Bench();
    const file = await bench.plan('01:00.0', '--only');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), refusals: [] }));
    expect((await bench.ringfence(['apply', file])).code).toBe(1);
  });

  test('what the host uses is not recorded: refused, unless that is overridden', async () => {
    const bench = new Bench();
    rmSync(join(bench.dir, 'proc/self/mountinfo'));
    const plan = await bench.plan('01:00');
    const refused = await bench.ringfence(['apply', plan]);
    expect(refused.out).toContain('usage-unread');
    expect(bench.driver(A)).toBe('e1000e');
    expect((await bench.ringfence(['apply', plan, '--override', 'usage-unread'])).code).toBe(0);
    expect(bench.driver(A)).toBe('vfio-pci');
  });

  test('a policy can accept it', async () => {
    const bench = new Bench();
    const policy = join(bench.state, 'policy.json');
    writeFileSync(policy, '{"ringfence": "policy", "version": 1, "findings": {"member-in-use": "warning"}}');
    const file = await bench.plan('01:00.0', '--only');
    expect((await bench.ringfence(['apply', file, '--policy', policy])).code).toBe(0);
  });

  test.each([
    [['apply', '/does/not/exist'], /no such file/],
    [['apply'], /expects FILE/],
    [['undo', 'x'], /no number of a hand-over/],
    [['undo', '1', '2'], /\[ID\]/],
    [['plan'], /DEVICE/],
    [['plan', '00:02.0'], /is a bridge/],
  ])('%j: one line, 2', async (words, message) => {
    const { code, out, err } = await new Bench().ringfence(words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
    expect(err).toMatch(/^ringfence: [^\n]+\n$/);
  });

  test('a recording in one file cannot be written to', async () => {
    const bench = new Bench();
    const file = await bench.plan('01:00');
    const copy = join(bench.state, 'copy.json');
    await bench.ringfence(['capture', copy]);
    let err = '';
    const world = {
      env: { XDG_STATE_HOME: bench.state },
      stdout: { write: () => {} },
      stderr: { write: (text: string) => (err += text) },
    };
    expect(await run(['apply', file, '--host', copy], world)).toBe(2);
    expect(err).toMatch(/no directory: writes go to this machine, or are rehearsed on a folder/);
  });
});

/** The command as a program of its own, which can be killed; and a preload that kills it at a system call. */
describe('a process that is really killed', () => {
  const program = scratch.folder();
  beforeAll(async () => {
    await build({
      configFile: false,
      logLevel: 'silent',
      ssr: { noExternal: true },
      build: {
        ssr: true,
        outDir: program,
        minify: false,
        target: 'node20',
        rolldownOptions: {
          input: new URL('../src/cli/main.ts', import.meta.url).pathname,
          output: { format: 'es', entryFileNames: 'main.mjs', chunkFileNames: '[name]-[hash].mjs' },
        },
      },
    });
    writeFileSync(
      join(program, 'kill.mjs'),
      `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
let left = Number(process.env.KILL_AT);
for (const name of ['writeSync', 'fsyncSync', 'symlinkSync', 'unlinkSync', 'linkSync', 'mkdirSync', 'rmdirSync', 'ftruncateSync', 'writeFileSync']) {
  const call = fs[name];
  fs[name] = (...words) => {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    const result = call(...words);
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    return result;
  };
}
syncBuiltinESMExports();
`,
    );
  });

  function spawn(
    bench: Bench,
    words: string[],
    killAt = -1,
  ): Promise<{ code: number | null; signal: string | null; out: string }> {
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        ['--import', join(program, 'kill.mjs'), join(program, 'main.mjs'), ...words, '--host', bench.dir],
        { env: { XDG_STATE_HOME: bench.state, KILL_AT: String(killAt) } },
        (_, stdout, stderr) =>
          resolve({ code: child.exitCode, signal: child.signalCode, out: stdout + stderr }),
      );
    });
  }

  test('before and after every call that changes a file: undo ends with the tree as it was', {
    timeout: 240_000,
  }, async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const file = await bench.plan('01:00.1', '--only');
    let killed = 0;
    for (let at = 0; ; at++) {
      const { signal, code, out } = await spawn(bench, ['apply', file, '--override', 'member-in-use'], at);
      if (signal === 'SIGKILL') killed++;
      else expect({ code, out }).toMatchObject({ code: 0 });
      const undone = await bench.ringfence(['undo']);
      expect(undone, `call ${at}`).toMatchObject({ code: 0, err: '' });
      expect(contents(bench.dir), `call ${at}`).toEqual(before);
      if (signal === null) break;
    }
    // 3 writes of up to 5 calls, their records of 2, and the lock, twice each.
    expect(killed).toBeGreaterThan(40);
  });

  test('several at once: one does it, none is in its way', { timeout: 60_000 }, async () => {
    const bench = new Bench();
    const before = contents(bench.dir);
    const file = await bench.plan('01:00');
    const results = await Promise.all(Array.from({ length: 4 }, () => spawn(bench, ['apply', file])));
    const done = results.filter(({ out }) => out.startsWith('Done'));
    expect(done).toHaveLength(1);
    for (const { out } of results)
      expect(out).toMatch(/^Done|^Nothing to do|another ringfence \(process \d+\) is at work/);
    await bench.ringfence(['undo']);
    expect(contents(bench.dir)).toEqual(before);
    expect(readdirSync(join(bench.state, 'ringfence'))).toEqual(['hand-over-1.jsonl']);
  });
});

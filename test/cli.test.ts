/** The command from outside: words in, text and exit code out. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';
import { manPage } from '../src/cli/man-page.ts';
import { run } from '../src/cli/run.ts';
import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { boot } from '../src/machine/boot.ts';

const FIXTURES = new URL('fixtures', import.meta.url).pathname;
const machine = (name: string): string => join(FIXTURES, 'machines', `${name}.tar.gz`);
const scratch = mkdtempSync(join(tmpdir(), 'ringfence-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Result {
  code: number;
  out: string;
  err: string;
}

async function ringfence(
  words: string[],
  options: { columns?: number; env?: Record<string, string> } = {},
): Promise<Result> {
  const result: Result = { code: -1, out: '', err: '' };
  result.code = await run(words, {
    env: options.env ?? { LANG: 'C.UTF-8' },
    stdout: {
      ...(options.columns !== undefined && { isTTY: true, columns: options.columns }),
      write: (text: string) => {
        result.out += text;
      },
    },
    stderr: {
      write: (text: string) => {
        result.err += text;
      },
    },
  });
  return result;
}

async function save(name: string, snapshot: Snapshot): Promise<string> {
  const file = join(scratch, name);
  writeFileSync(file, writeSnapshot(snapshot));
  return file;
}

describe('list', () => {
  test('groups in numeric order, one line a device', async () => {
    const { code, out } = await ringfence([
      '--host',
      machine('disable-acs-redir'),
      '-o',
      'group,address,ids,driver',
    ]);
    expect(code).toBe(0);
    expect(out).toBe(`\
GROUP  ADDRESS  IDS        DRIVER
    0  00:00.0  8086:29c0  -
    1  00:02.0  1b36:000c  pcieport
    1  00:02.1  1b36:000c  pcieport
    1  01:00.0  8086:10d3  -
    1  02:00.0  1b36:0010  -
    2  00:1f.0  8086:2918  -
    2  00:1f.2  8086:2922  -
    2  00:1f.3  8086:2930  -
`);
  });

  test('devices in no group stand apart', async () => {
    const { out } = await ringfence(['--host', machine('amd'), '-o', 'group,address']);
    expect(out).toMatch(/\nIn no group.*\n +- {2}00:01\.0\n$/);
  });

  test('without groups it says what is missing and shows those that would form', async () => {
    const { code, out } = await ringfence(['--host', machine('none')]);
    expect(code).toBe(0);
    expect(out).toMatch(/^No IOMMU groups on this machine/);
    expect(out).toMatch(/VT-d in the\s+firmware setup/);
    expect(out).toContain('intel_iommu=on');
    expect(out).toMatch(/Groups that the rules of Linux form with the IOMMU on/);
    expect(out).toMatch(/^ +0 {2}00:00\.0/m);
  });

  test('--json has the documented shape, and --predict forms the same groups as the kernel', async () => {
    const kernel = JSON.parse((await ringfence(['list', '--json', '--host', machine('switch')])).out);
    const rules = JSON.parse(
      (await ringfence(['list', '--json', '--predict', '--host', machine('switch')])).out,
    );
    expect(kernel).toMatchObject({
      report: 'list',
      version: 1,
      source: 'kernel',
      ungrouped: [],
      iommu: { state: 'on' },
    });
    expect(kernel.groups[0]).toMatchObject({
      id: 0,
      type: 'DMA-FQ',
      devices: [{ address: '0000:00:00.0', bus: 'pci', vendor: '8086', class: '0600' }],
    });
    expect(rules).toMatchObject({ source: 'predicted', policy: 'linux-6.12' });
    expect(rules.groups).toEqual(kernel.groups);
  });

  test('--tree marks what each port does', async () => {
    const { out } = await ringfence(['-t', '--host', machine('switch')]);
    expect(out).toMatch(/├─00:02\.0 \[1\] \+/);
    expect(out).toMatch(/│ {3}├─02:00\.0 \[5\] -/);
    expect((await ringfence(['-t', '--host', machine('switch')], { env: {} })).out).toMatch(/\+-00:02\.0/);
  });

  test.each([60, 80])('no line is wider than a terminal of %i columns', async (columns) => {
    for (const words of [['list'], ['-t'], ['verify'], ['show', '02:00.0', '5'], ['why', '02:00.0']]) {
      const { out } = await ringfence([...words, '--no-color', '--host', machine('switch')], { columns });
      // A path is never cut: it is there to be copied.
      const lines = out.split('\n').filter((line) => !line.includes('/sys/'));
      for (const line of lines) expect(line.length, `${words}: ${line}`).toBeLessThanOrEqual(columns);
    }
  });

  test('colours only where they are wanted', async () => {
    const control = '\u001b[';
    const at = ['--host', machine('switch')];
    expect((await ringfence(at)).out).not.toContain(control);
    expect((await ringfence(at, { columns: 80, env: {} })).out).toContain(control);
    expect((await ringfence(at, { columns: 80, env: { NO_COLOR: '1' } })).out).not.toContain(control);
    expect((await ringfence([...at, '--no-color'], { columns: 80, env: {} })).out).not.toContain(control);
  });
});

describe('whatif', () => {
  const desktop = ['--host', new URL('../examples/desktop.json', import.meta.url).pathname];

  test('an override: what splits is claimed', async () => {
    const { code, out } = await ringfence([
      'whatif',
      '--acs-override',
      'downstream,multifunction',
      ...desktop,
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/18 groups before, 31 after/);
    expect(out).toMatch(/Gained, claimed and not real/);
    expect(out).not.toMatch(/really isolated/);
    expect(out).toMatch(/boot with pcie_acs_override=downstream,multifunction\n/);
  });

  test('ACS bits of a port: real, with the parameter to type', async () => {
    const words = ['whatif', '--set-acs', '00:02.0=xx11101', '--host', machine('disable-acs-redir')];
    const { code, out } = await ringfence(words);
    expect(code).toBe(0);
    expect(out).toMatch(/boot with pci=config_acs=xx11101@0000:00:02\.0\n/);
    expect(out).toMatch(/Gained, really isolated/);
  });

  test('a goal: 0 where it can be reached, 1 where not', async () => {
    const reached = await ringfence(['whatif', '--goal', '01:00.0', '--host', machine('disable-acs-redir')]);
    expect(reached.code).toBe(0);
    expect(reached.out).toMatch(/1\. Alone \(real isolation\)/);
    const never = await ringfence(['whatif', '--goal', '07:01.0', '--json', '--host', machine('amd')]);
    expect([never.code, JSON.parse(never.out).reachable]).toEqual([1, 'no']);
  });

  test.each([
    [[], /expects a change/],
    [['--move', '07:00.0'], /move=CARD=PORT/],
    [['--move', '07:00.0=00:03.2'], /has a card already/],
    [['--goal', '07:00.0', '--iommu', 'off'], /--goal: does not go with --iommu/],
  ])('%j is refused in one line', async (words, message) => {
    const { code, err } = await ringfence(['whatif', ...words, ...desktop]);
    expect([code, err.split('\n').length]).toEqual([2, 2]);
    expect(err).toMatch(message);
  });
});

describe('why', () => {
  test('names the bridge, the bits and what would change it', async () => {
    const { code, out } = await ringfence(['why', '01:00.0', '--host', machine('disable-acs-redir')]);
    expect(code).toBe(0);
    expect(out).toMatch(/Group 1, with\n {2}00:02\.0/);
    expect(out).toMatch(
      /00:02\.0 above it does not isolate what is below: its ACS is offered\s+but\s+off:\s+SrcValid, ReqRedir/,
    );
    expect(out).toContain('out of disable_acs_redir=pci:1b36:000c on the');
    expect(out).toMatch(/pci=config_acs=\S*@0000:00:02\.0/);
  });

  test('names the function that may reach it', async () => {
    const { out } = await ringfence(['why', '01:00.1', '--host', machine('vfio')]);
    expect(out).toMatch(/01:00\.1 and 01:00\.0 are functions of one device/);
  });

  test('two devices: 0 and the chain if they share, 1 and what separates them if not', async () => {
    const share = await ringfence(['why', '07:01.0', '07:02.0', '--host', machine('amd')]);
    expect(share.code).toBe(0);
    expect(share.out).toContain('They share a group');
    expect(share.out).toMatch(/07:01\.0: behind 06:00\.0, under whose requester id/);
    const apart = await ringfence(['why', '03:00.0', '06:00.0', '--host', machine('switch')]);
    expect(apart.code).toBe(1);
    expect(apart.out).toContain('do not share a group');
  });

  test('says how the other members came to the group', async () => {
    const { out } = await ringfence(['why', '06:00.0', '--host', machine('amd')]);
    expect(out).toMatch(/How the others came to it\n {2}- 07:01\.0 07:02\.0: behind 06:00\.0/);
  });

  test('a device without a group: why none', async () => {
    const { out } = await ringfence(['why', '00:01.0', '--host', machine('amd')]);
    expect(out).toMatch(/It is in no group/);
  });
});

describe('verify', () => {
  const recorded = readdirSync(join(FIXTURES, 'machines')).map((file) => file.split('.')[0]!);

  test.each(recorded.filter((name) => name !== 'none'))('%s: equal', async (name) => {
    const { code, out } = await ringfence(['verify', '--host', machine(name)]);
    expect(out).toMatch(/^Equal/);
    expect(code).toBe(0);
  });

  test('no groups: cannot tell', async () => {
    expect((await ringfence(['verify', '--host', machine('none')])).code).toBe(3);
  });

  test('functions that came after boot', async () => {
    const { code, out } = await ringfence(['verify', '--host', join(FIXTURES, 'hot-plugged.tar.gz')]);
    expect(code).toBe(1);
    expect(out).toMatch(/hot-plugged after boot \(kernel splits\)/);
  });

  test.each([
    ['with the parameter on the command line', ' pcie_acs_override=downstream'],
    ['with no command line recorded', undefined],
  ])('an ACS override is named, %s', async (_, words) => {
    const snapshot = await readHost(machine('disable-acs-redir'));
    const claimed = boot(snapshot, { extraCommandLine: 'pcie_acs_override=id:1b36:000c' });
    expect(claimed.groups().length, 'the override never speaks for ports that show ACS').toBe(3);
    const bare = structuredClone(snapshot);
    bare.devices = (await readHost(machine('multifunction-mixed-acs'))).devices;
    bare.kernel =
      words === undefined
        ? { release: '6.12.0-override' }
        : { ...snapshot.kernel, cmdline: `intel_iommu=on${words}` };
    bare.groups = boot(bare, { extraCommandLine: 'pcie_acs_override=downstream' }).groups();
    const { code, out } = await ringfence(['verify', '--host', await save('override.json', bare)]);
    expect(code).toBe(1);
    expect(out).toMatch(/ACS override \(kernel splits\)/);
    expect(out).toContain('pcie_acs_override=downstream');
    expect(out.includes('Claimed, not real')).toBe(words !== undefined);
  });

  test('capabilities that were not read: cannot tell, and what to run', async () => {
    const snapshot = await readHost(machine('switch'));
    for (const device of snapshot.devices) {
      if (device.config)
        device.config = { ...device.config, bytes: device.config.bytes.slice(0, 128), read: 64 };
    }
    const { code, out } = await ringfence(['verify', '--host', await save('unprivileged.json', snapshot)]);
    expect(code).toBe(3);
    expect(out).toMatch(/unreadable capabilities/);
    expect(out).toMatch(/Run as root/);
  });
});

describe('capture', () => {
  const reports = [
    ['list', '--json'],
    ['list', '--predict', '--json'],
    ['list'],
    ['-t'],
    ['verify', '--json'],
    ['verify'],
  ];

  test.each(readdirSync(join(FIXTURES, 'machines')))(
    '%s: read back, every report is the same',
    async (file) => {
      const source = join(FIXTURES, 'machines', file);
      const copy = join(scratch, `${file}.json.gz`);
      expect(await ringfence(['capture', copy, '--host', source])).toMatchObject({ code: 0, err: '' });
      for (const words of reports) {
        const [original, again] = [
          await ringfence([...words, '--host', source]),
          await ringfence([...words, '--host', copy]),
        ];
        expect(again, words.join(' ')).toEqual(original);
      }
    },
  );

  test('a device and its group as well', async () => {
    const copy = join(scratch, 'vfio.json');
    await ringfence(['capture', copy, '--host', machine('vfio')]);
    for (const words of [
      ['show', '01:00.0', '3', '--json'],
      ['why', '01:00.0', '00:1f.0', '--json'],
    ]) {
      expect(await ringfence([...words, '--host', copy])).toEqual(
        await ringfence([...words, '--host', machine('vfio')]),
      );
    }
  });

  test('an existing file is not overwritten unless told', async () => {
    const file = join(scratch, 'kept.json');
    writeFileSync(file, 'mine');
    const refused = await ringfence(['capture', file, '--host', machine('vfio')]);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toMatch(/--force/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect((await ringfence(['capture', file, '--force', '--host', machine('vfio')])).code).toBe(0);
  });
});

describe('diff', () => {
  test('the same machine: 0', async () => {
    expect(await ringfence(['diff', machine('vfio'), machine('vfio')])).toMatchObject({
      code: 0,
      out: 'The same.\n',
    });
  });

  test('what changed, device by device: 1', async () => {
    const before = await readHost(machine('vfio'));
    const after = structuredClone(before);
    after.devices.find((device) => device.address === '0000:01:00.1')!.driver = 'e1000e';
    after.groups = after.groups!.filter((group) => group.id !== 3);
    const { code, out } = await ringfence([
      'diff',
      await save('before.json', before),
      await save('after.json', after),
    ]);
    expect(code).toBe(1);
    expect(out).toMatch(/driver 0000:01:00\.1\n {2}- no driver\n {2}\+ e1000e/);
    expect(out).toMatch(/group 0000:01:00\.0\n {2}- 0000:01:00\.0 0000:01:00\.1\n {2}\+ no group/);
  });
});

describe('show', () => {
  test('every way to name a device leads to the same', async () => {
    const plain = await ringfence(['show', '0000:01:00.0', '--host', machine('vfio')]);
    expect(plain.code).toBe(0);
    for (const word of ['01:00.0', 'pci_0000_01_00_0', '00:02.0/00.0', '00:02.0/01:00.0']) {
      expect(await ringfence(['show', word, '--host', machine('vfio')])).toEqual(plain);
    }
    const both = await ringfence(['show', '8086:10d3', '--host', machine('vfio')]);
    expect(both).toEqual(await ringfence(['show', '01:00', '--host', machine('vfio')]));
    expect(both.out).toContain('0000:01:00.1');
  });

  test('a group with its reserved regions', async () => {
    const { out } = await ringfence(['show', '2', '--host', machine('vfio')]);
    expect(out).toMatch(/^Group 2\n {2}type +DMA\n/);
    expect(out).toContain('0x0000000000000000-0x0000000000ffffff direct-relaxable');
  });
});

describe('wrong calls get one line and 2', () => {
  test.each([
    [['lisst'], /did you mean list/],
    [['list', '--colour'], /--colour/],
    [['list', 'extra'], /extra/],
    [['list', '-o', 'groop'], /groop.*group, /],
    [['list', '--policy', 'mine', '--host', machine('vfio')], /linux-6\.12/],
    [['why'], /DEVICE/],
    [['why', '09:00.0', '--host', machine('vfio')], /09:00\.0/],
    [['why', '01:00', '--host', machine('vfio')], /names 2 devices/],
    [['show', '99', '--host', machine('vfio')], /no group of that number/],
    [['list', '--host', '/does/not/exist'], /does\/not\/exist/],
    [['completion', 'tcsh'], /tcsh/],
  ])('%j', async (words, message) => {
    const { code, out, err } = await ringfence(words);
    expect(err).toMatch(message);
    expect(err).toMatch(/^ringfence: [^\n]+\n$/);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });
});

describe('help', () => {
  test.each(COMMANDS.map((command) => command.name))(
    '%s: says what it does, with examples, within 80 columns',
    async (name) => {
      const { code, out } = await ringfence([name, '--help'], { columns: 80, env: { NO_COLOR: '1' } });
      expect(code).toBe(0);
      expect(out).toContain('Examples');
      for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
      expect((await ringfence(['help', name], { columns: 80, env: { NO_COLOR: '1' } })).out).toBe(out);
    },
  );

  test('the man page is that of the command table', () => {
    const root = new URL('..', import.meta.url).pathname;
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(readFileSync(join(root, 'man/ringfence.1'), 'utf8')).toBe(manPage(COMMANDS, version));
  });

  test.each(['bash', 'zsh', 'fish'])('completion for %s knows every command', async (shell) => {
    const { out } = await ringfence(['completion', shell]);
    for (const { name } of COMMANDS) expect(out).toContain(name);
  });
});

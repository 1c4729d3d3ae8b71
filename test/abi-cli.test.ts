/** `ringfence abi` from outside, on a small tree of documents and recorded machines. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ABI } from '../src/cli/abi-commands.ts';
import { run } from '../src/cli/run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-abi-cli-'));
const tree = join(scratch, 'ABI');
const VFIO = new URL('fixtures/machines/vfio.tar.gz', import.meta.url).pathname;

const DOCUMENTS: Readonly<Record<string, string>> = {
  'stable/power': 'What: /sys/power/state\nDate: May 2006\nContact: Ann\nDescription: sleeps\n',
  'testing/groups': `What:		/sys/kernel/iommu_groups/<grp_id>/type
Date:		November 2020
KernelVersion:	v5.11
Contact:	Ben <ben@example.org>
Users:		libvirt
Description:	The type.
		  Indented.

What:		/sys/kernel/iommu_groups/reserved_regions
Date:		January 2017
Description:	Regions.
`,
  'testing/pci': 'What: /sys/bus/pci/devices/.../vendor\nDescription: vendor \u001b[31m\n',
  'obsolete/old': 'What: /sys/kernel/old\nDate: May 2001\nDescription: goes in 2030\n',
};

beforeAll(() => {
  for (const [file, text] of Object.entries(DOCUMENTS)) {
    mkdirSync(join(tree, file, '..'), { recursive: true });
    writeFileSync(join(tree, file), text);
  }
});
afterAll(() => rmSync(scratch, { recursive: true }));

async function abi(words: string[], env: Record<string, string> = {}) {
  const said = { code: -1, out: '', err: '' };
  said.code = await run(words, {
    env,
    stdout: { write: (text: string) => (said.out += text) },
    stderr: { write: (text: string) => (said.err += text) },
  });
  return said;
}

const at = (...words: string[]) => abi(['abi', ...words, '--tree', tree]);

describe('the subcommands', () => {
  test('without one: which there are', async () => {
    const { code, err } = await abi(['abi']);
    expect({ code, err }).toEqual({
      code: 2,
      err: 'ringfence: abi: expects one of list, search, show, lint, moves, undefined, check\n',
    });
    expect((await abi(['abi', 'serach', 'x'])).err).toContain('did you mean abi search?');
    expect((await abi(['abi', '--help'])).out).toContain('abi undefined');
  });

  test.each(ABI.subcommands!.map(({ name }) => name))('%s --help, as help of it', async (name) => {
    const { code, out } = await abi([...name.split(' '), '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`ringfence ${name} `);
    expect((await abi(['help', ...name.split(' ')])).out).toBe(out);
    expect((await abi(['completion', 'bash'])).out).toContain(`"${name}") words="`);
  });

  test.each([['list'], ['search', 'x'], ['show', '/sys/x'], ['undefined'], ['check', '/dev/null']])(
    'a tree that is none is a wrong call: %s',
    async (...words) => {
      const { code, err } = await abi(['abi', ...words, '--tree', join(scratch, 'nowhere')]);
      expect(code).toBe(2);
      expect(err).toMatch(/^ringfence: .*nowhere/);
    },
  );

  test.each([
    [['search'], /expects PATTERN/],
    [['search', '('], /PATTERN: Invalid regular expression/],
    [['list', '--level', 'maybe'], /knows stable, testing, obsolete, removed/],
    [['list', '--format', 'pdf'], /knows plain, markdown and html/],
    [['list', '--format', 'html', '--json'], /does not go with --json/],
    [['show', 'power/state'], /no path from the root/],
    [['undefined', '--limit', 'many'], /expects a number/],
    [['check', 'no-such-program'], /no program on PATH/],
  ])('wrong: %j', async (words, message) => {
    const { code, err } = await at(...words);
    expect({ code, out: '' }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
  });
});

describe('list', () => {
  test('level, file and line of every interface', async () => {
    expect((await at('list')).out).toBe(`\
obsolete  obsolete/old:1    /sys/kernel/old
stable    stable/power:1    /sys/power/state
testing   testing/groups:1  /sys/kernel/iommu_groups/<grp_id>/type
testing   testing/groups:9  /sys/kernel/iommu_groups/reserved_regions
testing   testing/pci:1     /sys/bus/pci/devices/.../vendor
`);
  });

  test('--json is one array, --level chooses', async () => {
    const entries = JSON.parse((await at('list', '--json', '--level', 'testing')).out);
    expect(entries).toHaveLength(3);
    expect(entries[0]).toEqual({
      what: ['/sys/kernel/iommu_groups/<grp_id>/type'],
      level: 'testing',
      file: 'testing/groups',
      line: 1,
      date: 'November 2020',
      kernelVersion: 'v5.11',
      contact: 'Ben <ben@example.org>',
      users: 'libvirt',
      description: 'The type.\n  Indented.',
    });
  });

  test('as Markdown and as HTML', async () => {
    expect((await at('list', '-f', 'markdown')).out).toContain('## `/sys/power/state`');
    const { out } = await at('list', '-f', 'html');
    expect(out).toContain('<h2><code>/sys/power/state</code></h2>');
    expect(out).not.toContain('\u001b');
  });
});

describe('search', () => {
  test.each([
    [['iommu_groups'], ['testing/groups', 'testing/groups']],
    [['IOMMU_groups', '-i', '--users', 'LIBVIRT'], ['testing/groups']],
    [['--text', 'the TYPE'], ['testing/groups']],
    [['--contact', 'ann'], ['stable/power']],
    [['.', '--level', 'obsolete'], ['obsolete/old']],
  ])('%j', async (words, files) => {
    const { code, out } = await at('search', ...words, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).entries.map(({ file }: { file: string }) => file)).toEqual(files);
  });

  test('nothing found is exit code 1', async () => {
    expect(await at('search', 'nothing')).toEqual({ code: 1, out: '', err: '' });
  });

  test('a description keeps its lines, and loses what a terminal obeys', async () => {
    expect((await at('search', 'type')).out).toBe(`\
/sys/kernel/iommu_groups/<grp_id>/type
  level          testing
  document       testing/groups:1
  kernel version v5.11
  date           November 2020
  contact        Ben <ben@example.org>
  users          libvirt

    The type.
      Indented.
`);
    expect((await at('search', 'vendor')).out).not.toContain('\u001b');
  });
});

describe('show', () => {
  test('finds the entry, and the one that leaves out a part', async () => {
    const { code, out } = await at(
      'show',
      '/sys/kernel/iommu_groups/7/type',
      '/sys/kernel/iommu_groups/7/reserved_regions',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(out).paths).toMatchObject([
      { entries: [{ by: '/sys/kernel/iommu_groups/<grp_id>/type', level: 'testing' }] },
      { entries: [{ by: '/sys/kernel/iommu_groups/reserved_regions', loose: true }] },
    ]);
  });

  test('through the links of a recorded machine', async () => {
    const path = '/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/vendor';
    const { out } = await at('show', path, '--host', VFIO);
    expect(out).toContain('/sys/bus/pci/devices/.../vendor');
  });

  test('nothing documents it: exit code 1, and what is documented above', async () => {
    const { code, out } = await at('show', '/sys/kernel/old/new');
    expect(code).toBe(1);
    expect(out.replace(/\s+/g, ' ')).toBe(
      '/sys/kernel/old/new nothing documents it. Above it, /sys/kernel/old is: obsolete, since May 2001, obsolete/old:1. ',
    );
  });
});

describe('undefined', () => {
  test('files of a recorded machine that no document covers, and documented ones it has not', async () => {
    const { code, out } = await at('undefined', '--host', VFIO, '--json');
    const report = JSON.parse(out);
    expect(code).toBe(1);
    expect(report.complete).toBe(true);
    expect(report.undefined).toContain('/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/device');
    expect(report.undefined).not.toContain('/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/vendor');
    expect(report.gone.map(({ path }: { path: string }) => path)).toEqual([
      '/sys/kernel/old',
      '/sys/kernel/iommu_groups/reserved_regions',
    ]);
  });

  test('--search chooses, --limit ends', async () => {
    expect((await at('undefined', '--host', VFIO, '--search', 'no such')).out).toContain('0 of ');
    expect((await at('undefined', '--host', VFIO, '--limit', '5')).code).toBe(3);
  });

  test('what holds no sysfs is refused', async () => {
    const { code, err } = await at(
      'undefined',
      '--host',
      new URL('../examples/desktop.json', import.meta.url).pathname,
    );
    expect(code).toBe(2);
    expect(err).toContain('holds no sysfs files');
  });
});

describe('check', () => {
  const script = join(scratch, 'run.sh');

  test('a sentence, and exit code 1 for what is documented nowhere', async () => {
    writeFileSync(
      script,
      'for g in /sys/kernel/iommu_groups/*; do cat $g/type $g/reserved_regions; done\ncat /sys/bus/pci/nothing\n',
    );
    const { code, out } = await at('check', script);
    expect(code).toBe(1);
    expect(out).toBe(`\
testing  since 5.11          /sys/kernel/iommu_groups/*/type (line 1)
testing  since January 2017  /sys/kernel/iommu_groups/*/reserved_regions (line 1)
nowhere                      /sys/bus/pci/nothing (line 2)

run.sh depends on two testing interfaces, and one path that is documented
nowhere.
`);
  });

  test('stable and testing alone are fine; obsolete is not', async () => {
    writeFileSync(script, 'cat /sys/power/state');
    expect(await at('check', script)).toMatchObject({
      code: 0,
      out: expect.stringContaining('run.sh depends on one stable interface.'),
    });
    writeFileSync(script, 'cat /sys/kernel/old');
    expect((await at('check', script)).code).toBe(1);
    writeFileSync(script, 'true');
    expect((await at('check', script)).out).toContain('depends on no interface');
  });

  test('a program on PATH, by its strings', async () => {
    writeFileSync(join(scratch, 'prog'), '\0\0/sys/power/state\0', { mode: 0o755 });
    const { code, out } = await abi(['abi', 'check', 'prog', '--tree', tree, '--json'], { PATH: scratch });
    expect(code).toBe(0);
    expect(JSON.parse(out).programs[0].uses).toEqual([
      {
        path: '/sys/power/state',
        kind: 'documented',
        documents: [
          { what: '/sys/power/state', level: 'stable', file: 'stable/power', line: 1, since: 'May 2006' },
        ],
      },
    ]);
  });
});

describe('show of a device or group', () => {
  test('links what it shows to documents', async () => {
    const { out } = await abi(['show', '01:00.0', '0', '--host', VFIO, '--tree', tree]);
    expect(out).toMatch(/documented in +vendor: testing, testing\/pci:1/);
    expect(out).toMatch(/documented in +type: testing, since 5\.11, testing\/groups:1/);
    const report = JSON.parse((await abi(['show', '01:00.0', '--host', VFIO, '--tree', tree, '--json'])).out);
    expect(report.devices[0].abi).toContainEqual({
      attribute: 'vendor',
      what: '/sys/bus/pci/devices/.../vendor',
      level: 'testing',
      file: 'testing/pci',
      line: 1,
    });
  });

  test('without a document nothing is added', async () => {
    const { out } = await abi(['show', '01:00.0', '--host', VFIO]);
    expect(out).not.toContain('documented in');
  });
});

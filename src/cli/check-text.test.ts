import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CheckReport } from '../advise/report.ts';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { writeSnapshot } from '../host/writer.ts';
import { compactText } from './check-text.ts';
import { run } from './run.ts';

const at = (path: string): string => new URL(`../../${path}`, import.meta.url).pathname;
const machine = (name: string): string => at(`test/fixtures/machines/${name}.tar.gz`);
const scratch = mkdtempSync(join(tmpdir(), 'ringfence-check-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function check(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const result = { code: -1, out: '', err: '' };
  result.code = await run(['check', ...words], {
    env: { LANG: 'C.UTF-8' },
    stdout: { write: (text: string) => (result.out += text) },
    stderr: { write: (text: string) => (result.err += text) },
  });
  return result;
}

function save(name: string, content: string | Uint8Array): string {
  const file = join(scratch, name);
  writeFileSync(file, content);
  return file;
}

async function changed(name: string, change: (snapshot: Snapshot) => void): Promise<string> {
  const snapshot = await readHost(machine(name));
  change(snapshot);
  return save(`${name}.json`, writeSnapshot(snapshot));
}

const bound = (): Promise<string> =>
  changed('vfio', (snapshot) => {
    for (const device of snapshot.devices) if (device.address === '0000:01:00.1') device.driver = 'e1000e';
  });

describe('for reading', () => {
  test('who is in the way, what to do, and who is not', async () => {
    const { code, out } = await check('01:00.0', '--host', await bound());
    expect(code).toBe(1);
    expect(out).toContain('\nNo: one thing is in the way.\n\nIn the way\n  - 01:00.1');
    expect(out).toContain('bound to e1000e. [member-in-use]');
    expect(out).toContain('Group 3: asked for 01:00.0; in the way 01:00.1 (e1000e).');
    expect(out).toContain('`ringfence why 01:00.0 01:00.1` tells why they share.');
  });

  test('prose fits 80 columns', async () => {
    const devices = ['07:00.0', '01:00', '0a:00.3', '00:01.0'];
    const { out } = await check(...devices, '--host', at('examples/desktop.json'));
    const prose = out.split('\n').filter((line) => line.startsWith('    ') || line.startsWith('  -'));
    expect(Math.max(...prose.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('no IOMMU: no', async () => {
    const { code, out } = await check('01:00.0', '--host', machine('none'));
    expect(code).toBe(1);
    expect(out).toContain('No IOMMU is in use');
  });

  test('several devices have a verdict each, and one together', async () => {
    const { code, out } = await check('02:00.0', '00:02.0', '--host', machine('root-ports'));
    expect(code).toBe(1);
    expect(out).toMatch(/^02:00\.0 .*\n {2}yes: no driver, group 7, reset flr bus\n00:02\.0 .*\n {2}no: /);
  });

  test('lspci text lacks what decides: cannot tell', async () => {
    const snapshot = await readHost(machine('root-ports'));
    const file = save(
      'dump.json',
      writeSnapshot({
        ...snapshot,
        form: 'lspci',
        acpi: {},
        kernel: {},
        groups: snapshot.groups!.map(({ id, devices }) => ({ id, devices })),
      }),
    );
    const { code, out } = await check('02:00.0', '--host', file);
    expect(code).toBe(3);
    expect(out).toContain('Cannot tell: 2 facts are missing');
    expect(out).toContain('Not known, and it matters\n');
  });
});

describe('for scripts', () => {
  test('one line a device', async () => {
    const file = await bound();
    expect(await check('01:00.0', '--compact', '--host', file)).toMatchObject({
      code: 1,
      out: '0000:01:00.0 no member-in-use:0000:01:00.1(e1000e)\n',
    });
    expect((await check('01:00', '00:02.0', '--compact', '--host', file)).out).toBe(
      '0000:01:00.0 yes\n0000:01:00.1 cannot-tell usage-unread?\n0000:00:02.0 no bridge\n',
    );
  });

  test('the unknown has a mark, a mount point with blanks stays one word', () => {
    const about = { severity: 'unknown', concerns: ['0000:01:00.0'], what: '' } as const;
    const report = {
      devices: [{ address: '0000:01:00.0', verdict: 'cannot tell' }],
      findings: [
        { ...about, code: 'interrupts' },
        { ...about, code: 'in-use', device: '0000:01:00.0', detail: '/my (old) 5% files' },
        { ...about, code: 'no-reset', severity: 'warning' },
      ],
    };
    expect(compactText(report as unknown as CheckReport)).toBe(
      '0000:01:00.0 cannot-tell interrupts? in-use?(/my%20%28old%29%205%25%20files)\n',
    );
  });

  test('--json prints the report', async () => {
    const { out } = await check('01:00.0', '--json', '--host', await bound());
    expect(JSON.parse(out)).toMatchObject({
      report: 'check',
      version: 1,
      policy: 'default',
      verdict: 'no',
      devices: [{ address: '0000:01:00.0', verdict: 'no', group: 3, reset: { methods: ['pm'] } }],
      groups: [{ id: 3, source: 'kernel', members: [{ role: 'asked' }, { role: 'in use' }] }],
    });
  });

  test('a captured machine gets the same verdict as the tree it was captured from', async () => {
    for (const name of ['vfio', 'amd', 'sriov-igb']) {
      const file = await changed(name, () => {});
      const words = ['00:1f.2', '00:1f.3', '--json', '--host'];
      expect((await check(...words, file)).out).toBe((await check(...words, machine(name))).out);
    }
  });
});

describe('--policy', () => {
  test('the file decides', async () => {
    const file = save(
      'lab.json',
      '{"ringfence": "policy", "version": 1, "findings": {"member-in-use": "warning"}} // ours',
    );
    const { code, out } = await check('01:00.0', '--policy', file, '--json', '--host', await bound());
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ verdict: 'yes', policy: file });
  });

  test.each([
    ['{"ringfence": "policy"', 2, /^ringfence: .*lab\.json.*broken JSON.*\n$/],
    [
      '{"ringfence": "policy", "version": 1, "findings": {"no-group": "note"}}',
      2,
      /findings\.no-group: .*\n$/,
    ],
  ])('what is wrong with it is one line: %s', async (text, expected, message) => {
    const { code, err } = await check(
      '01:00.0',
      '--policy',
      save('lab.json', text),
      '--host',
      machine('vfio'),
    );
    expect(code).toBe(expected);
    expect(err).toMatch(message);
    expect(err.split('\n').length).toBe(2);
  });

  test('a file that is not there', async () => {
    const { code, err } = await check(
      '01:00.0',
      '--policy',
      join(scratch, 'none'),
      '--host',
      machine('vfio'),
    );
    expect(code).toBe(2);
    expect(err).toContain('no such file');
  });
});

/** Text that strangers put into dumps and copies of sysfs never reaches a terminal as more than text. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../src/cli/run.ts';
import type { Snapshot } from '../src/host/snapshot.ts';

const EVIL = '\u001b]0;pwn\u0007\u009b2J\u202eevil\r\n\nline\u007f';
/** Controls other than the line ends that we write ourselves, and marks of direction. */
const UNFIT = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;

const machine: Snapshot = {
  ringfence: 'snapshot',
  version: 1,
  form: 'sysfs',
  board: `board ${EVIL}`,
  kernel: {
    release: EVIL,
    version: EVIL,
    cmdline: `quiet ${EVIL} pci=config_acs=${EVIL} pcie_acs_override=${EVIL}`,
  },
  devices: ['0000:00:00.0', '0000:00:00.1', '0000:01:00.0'].map((address) => ({
    address,
    path: `pci0000:00/${address}`,
    vendor: 0x8086,
    device: 0x10d3,
    class: 0x020000,
    driver: EVIL,
    driverOverride: EVIL,
    modules: [EVIL],
    iommu: EVIL,
    label: EVIL,
    removable: EVIL,
    resetMethods: [EVIL, 'flr'],
    powerState: EVIL,
  })),
  others: [{ name: `serial${EVIL}`, bus: EVIL, driver: EVIL }],
  groups: [
    {
      id: 0,
      type: EVIL,
      name: EVIL,
      devices: ['0000:00:00.0', '0000:00:00.1', `serial${EVIL}`],
      reservedRegions: [{ start: '0x0', end: '0xfff', type: EVIL }],
    },
  ],
  iommus: [{ name: EVIL, registers: { cap: EVIL } }],
  acpi: {},
  usage: [{ device: '0000:00:00.0', kind: 'mount', detail: EVIL, through: EVIL }],
  notes: [EVIL],
};

const LSPCI = `00:00.0 Host bridge [0600]: Intel ${EVIL.replace(/[\r\n]/g, '')} [8086:a700] (rev 01)
\tIOMMU group: 1
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\tKernel driver in use: ${EVIL.replace(/[\r\n ]/g, '')}
\tKernel modules: ${EVIL.replace(/[\r\n]/g, '')}
`;

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-hostile-'));
const sources = {
  snapshot: join(scratch, 'machine.json'),
  predicted: join(scratch, 'no-groups.json'),
  lspci: join(scratch, 'dump.txt'),
};
beforeAll(() => {
  const { groups: _, ...rest } = machine;
  writeFileSync(sources.snapshot, JSON.stringify(machine));
  writeFileSync(sources.predicted, JSON.stringify(rest));
  writeFileSync(sources.lspci, LSPCI);
});
afterAll(() => rmSync(scratch, { recursive: true }));

async function ringfence(words: string[], env = {}): Promise<{ out: string; err: string }> {
  const said = { out: '', err: '' };
  await run(words, {
    env: { LANG: 'C.UTF-8', ...env },
    stdout: { write: (text: string) => (said.out += text) },
    stderr: { write: (text: string) => (said.err += text) },
  });
  return said;
}

const CALLS = [
  'list',
  'list --predict',
  'list --policy acs-2025',
  'list -o group,type,address,class,classname,ids,subsystem,rev,driver,iommu,numa,vendor,device,name',
  'list --tree',
  'show 00:00.0',
  'show 0',
  'why 00:00.0',
  'why 00:00.0 00:00.1',
  'verify',
  'check 00:00.0',
  'check --compact 00:00.0',
  'plan --yes 00:00.0',
  'export -f svg',
  'export -f dot',
  'export -f prometheus',
  'export -f qemu 00:00.0',
];

describe.each(Object.entries(sources))('%s', (_, source) => {
  test.each(CALLS)('%s', async (call) => {
    const { out, err } = await ringfence([...call.split(' '), '--host', source]);
    expect(out + err).not.toBe('');
    expect(out).not.toMatch(UNFIT);
    expect(err).not.toMatch(UNFIT);
  });
});

test('one device, one line, also where its driver has several', async () => {
  const { out } = await ringfence(['list', '-o', 'address,driver', '--host', sources.snapshot]);
  expect(out.split('\n').filter((line) => line.startsWith('00:00.'))).toHaveLength(2);
});

test('our own colours stay', async () => {
  const { out } = await ringfence(['list', '--host', sources.snapshot], { FORCE_COLOR: '1' });
  expect(out).toContain('\u001b[36m00:00.0');
  expect(out.replaceAll('\u001b[', '')).not.toMatch(UNFIT);
});

test('messages on standard error are one line', async () => {
  const { err } = await ringfence(['show', `a${EVIL}`, '--host', sources.snapshot]);
  expect(err).toMatch(/^ringfence: [^\n]+\n$/);
  expect(err).not.toMatch(UNFIT);
});

test('JSON has every character, escaped as JSON does', async () => {
  const { out } = await ringfence(['list', '--json', '--host', sources.snapshot]);
  expect(JSON.parse(out).groups[0].devices[0].driver).toBe(EVIL);
  expect(out).toContain('\\u001b]0;pwn');
});

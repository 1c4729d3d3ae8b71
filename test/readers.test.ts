/**
 * One contract for every reader: the same machine in any form tells the same facts. Each form names what it
 * cannot tell; everything else must be equal to what the directory tells.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { factsOf } from '../src/host/facts.ts';
import { readHost } from '../src/host/read-host.ts';
import type { PciFacts, Snapshot } from '../src/host/snapshot.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { boot } from '../src/machine/boot.ts';

const MACHINES = new URL('./fixtures/machines/', import.meta.url);
const names = readdirSync(MACHINES)
  .filter((name) => name.endsWith('.tar.gz'))
  .map((name) => name.slice(0, -'.tar.gz'.length));

interface Form {
  name: string;
  /** Makes the form from a machine's directory and answers where it lies. */
  make(directory: string, machine: string): string | Promise<string>;
  /** Facts that the form does not have. */
  lacks: ReadonlySet<string>;
  /** Why a machine cannot be had in this form. */
  skips?: (machine: string) => string | undefined;
}

const lspciThere = spawnSync('lspci', ['--version']).status === 0;
const noLspci = () => (lspciThere ? undefined : 'lspci is not installed');

function lspci(directory: string, ...options: string[]): string {
  const from = ['-A', 'linux-sysfs', '-O', `sysfs.path=${directory}/sys/bus/pci`];
  return execFileSync('lspci', [...from, ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
}

let scratch: string;
const scratchFile = (name: string) => join(scratch, name);

function written(name: string, content: string | Uint8Array): string {
  writeFileSync(scratchFile(name), content);
  return scratchFile(name);
}

/** Words do not tell: the multifunction bit, offsets, Intel's wide ACS words, hidden ids. */
const WORDS = new Set([
  'multifunctionBit',
  'acs.at',
  'acs.wide',
  'idsHidden',
  'iommuCapability',
  'iommu',
  'physfn',
  'path',
  'groupDetails',
]);
const BYTES = new Set(['iommu', 'physfn', 'path', 'groups', 'groupDetails', 'driver']);
const NOTHING: ReadonlySet<string> = new Set();

const forms: Form[] = [
  { name: 'tar.gz', lacks: NOTHING, make: (_, machine) => new URL(`${machine}.tar.gz`, MACHINES).pathname },
  {
    name: 'tar',
    lacks: NOTHING,
    make: (_, machine) => written('m.tar', gunzipSync(readFileSync(new URL(`${machine}.tar.gz`, MACHINES)))),
  },
  {
    name: 'tar with a top folder, as GNU tar writes it',
    lacks: NOTHING,
    make: (directory) => {
      execFileSync('tar', [
        '-C',
        join(directory, '..'),
        '-czf',
        scratchFile('top.tgz'),
        `./${directory.split('/').at(-1)}`,
      ]);
      return scratchFile('top.tgz');
    },
  },
  {
    name: 'directory that is the sysfs itself',
    lacks: new Set(['kernel']),
    make: (directory) => `${directory}/sys`,
  },
  {
    name: 'snapshot',
    lacks: NOTHING,
    make: async (directory) => written('m.json', writeSnapshot(await readHost(directory))),
  },
  {
    name: 'snapshot.gz',
    lacks: NOTHING,
    make: async (directory) => written('m.json.gz', writeSnapshot(await readHost(directory), { gzip: true })),
  },
  { name: 'lspci -vvnn', lacks: WORDS, skips: noLspci, make: (d) => written('vv', lspci(d, '-vvnn')) },
  {
    name: 'lspci -vvvnnk -D',
    lacks: WORDS,
    skips: noLspci,
    make: (d) => written('vvD', lspci(d, '-vvvnnkD')),
  },
  { name: 'lspci -vvn', lacks: WORDS, skips: noLspci, make: (d) => written('vvn', lspci(d, '-vvn')) },
  { name: 'lspci -vvnn -P', lacks: WORDS, skips: noLspci, make: (d) => written('vvP', lspci(d, '-vvnnP')) },
  {
    name: 'lspci -vvnn -PP',
    lacks: WORDS,
    skips: noLspci,
    make: (d) => written('vvPP', lspci(d, '-vvnnPP')),
  },
  {
    name: 'lspci -vvnn quoted in a forum, CRLF',
    lacks: WORDS,
    skips: noLspci,
    make: (d) => {
      const lines = lspci(d, '-vvnn').split('\n');
      return written(
        'quoted',
        ['Here is mine:', '```', '$ lspci -vvnn', ...lines, '```'].map((l) => `> ${l}\r\n`).join(''),
      );
    },
  },
  {
    name: 'lspci -vvnn without indentation, behind timestamps',
    lacks: WORDS,
    skips: noLspci,
    make: (d) => {
      const lines = lspci(d, '-vvnn').split('\n');
      return written('stamped', lines.map((l, i) => `[  ${i}.000123] ${l.trim()}\n`).join(''));
    },
  },
  {
    name: 'lspci -vvnn with error messages in the middle of lines',
    lacks: WORDS,
    skips: noLspci,
    make: (d) => written('strays', withErrorMessages(lspci(d, '-vvnn'))),
  },
  {
    name: 'lspci -xxxx -nn',
    lacks: BYTES,
    skips: noLspci,
    make: (d) => written('x4', lspci(d, '-xxxx', '-nn')),
  },
  {
    name: 'lspci -vvnn -xxxx',
    lacks: new Set(['iommu', 'physfn', 'path', 'groupDetails']),
    skips: noLspci,
    make: (d) => written('vvx4', lspci(d, '-vvnn', '-xxxx')),
  },
];

/** As pciutils' unbuffered error output falls into its buffered one: every few hundred characters. */
function withErrorMessages(text: string): string {
  let mixed = '';
  for (let at = 0; at < text.length; at += 457) {
    mixed += `${text.slice(at, at + 457)}pcilib: sysfs_read_vpd: read failed: Input/output error\n`;
  }
  return mixed;
}

/** Where a form lacks what a machine's groups depend on, and what that is. */
function cannotFormGroups(form: Form, machine: Snapshot): string | undefined {
  if (!form.name.startsWith('lspci')) return undefined;
  const amdSouthbridge = machine.devices.some(({ vendor, device }) => vendor === 0x1022 && device === 0x780f);
  if (amdSouthbridge) return 'AMD southbridges count on the IVRS table, of which lspci knows nothing';
  if (form.name !== 'lspci -xxxx -nn') return undefined;
  if (machine.kernel.cmdline?.includes('pci='))
    return 'nothing in bytes says that parameters changed ACS control';
  if ('VIOT' in machine.acpi) return 'virtio-iommu groups follow the drivers bound, which bytes do not tell';
  return undefined;
}

/** Groups that the model forms, whatever the kernel's were. */
function partition(snapshot: Snapshot): string[] {
  return boot(snapshot)
    .groups()
    .map((group) => [...group.devices].sort().join(' '))
    .sort();
}

/** What matters for grouping, without what `lacks` names. */
function essence(snapshot: Snapshot, lacks: ReadonlySet<string>): unknown {
  return {
    devices: snapshot.devices.map((device) => deviceEssence(device, lacks)),
    groups: lacks.has('groups') ? undefined : groupEssence(snapshot, lacks.has('groupDetails')),
    kernel:
      lacks.has('kernel') || lacks.has('path') || lacks.has('multifunctionBit') ? undefined : snapshot.kernel,
  };
}

function groupEssence(snapshot: Snapshot, membersOnly: boolean): unknown {
  // lspci has no words for "no groups": without any line it is unknown.
  if (membersOnly) return snapshot.groups?.map(({ id, devices }) => ({ id, devices })) ?? [];
  return { groups: snapshot.groups, iommus: snapshot.iommus, acpi: snapshot.acpi, others: snapshot.others };
}

function deviceEssence(device: PciFacts, lacks: ReadonlySet<string>): unknown {
  const facts = structuredClone(factsOf(device)) as unknown as Record<string, unknown>;
  if (lacks.has('acs.at')) {
    for (const name of ['at', 'wide']) delete (facts.acs as Record<string, unknown> | null)?.[name];
    // lspci prints FLReset and ARIFwd for the port types that have them.
    facts.pcie = facts.pcie && { type: (facts.pcie as { type: number }).type };
  }
  for (const name of lacks) delete facts[name];
  return {
    address: device.address,
    // A virtual function's own registers read ffff; only sysfs has its ids.
    ids: [device.vendor, device.device, device.class, device.revision],
    // A dump in which no device has a driver does not say whether lspci could see drivers at all.
    driver: lacks.has('driver')
      ? undefined
      : lacks.has('path')
        ? (device.driver ?? undefined)
        : device.driver,
    iommu: lacks.has('iommu') ? undefined : device.iommu,
    physfn: lacks.has('physfn') ? undefined : device.physfn,
    path: lacks.has('path') ? undefined : device.path,
    facts,
  };
}

beforeAll(() => {
  // Twenty thousand small files: memory takes them in a second, some disks in half a minute.
  scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringfence-readers-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(names)('%s', (machine) => {
  let directory: string;
  let expected: Snapshot;

  beforeAll(async () => {
    directory = scratchFile(machine);
    mkdirSync(directory);
    execFileSync('tar', ['-C', directory, '-xzf', new URL(`${machine}.tar.gz`, MACHINES).pathname]);
    expected = await readHost(directory);
  }, 60_000);

  for (const form of forms) {
    const reason = form.skips?.(machine);
    const title = `${form.name} tells what the directory tells`;
    test.skipIf(reason !== undefined)(
      reason === undefined ? title : `${title} (skipped: ${reason})`,
      async () => {
        const snapshot = await readHost(await form.make(directory, machine));
        expect(essence(snapshot, form.lacks)).toEqual(essence(expected, form.lacks));
        if (cannotFormGroups(form, expected) === undefined) {
          expect(partition(snapshot)).toEqual(partition(expected));
        }
      },
    );
  }

  test.skipIf(!lspciThere)(
    'what lspci says of ports (FLR, ARI forwarding) is what their bytes say',
    async () => {
      const said = await readHost(written('ports', lspci(directory, '-vvnn')));
      for (const [at, device] of said.devices.entries()) {
        const bytes = factsOf(expected.devices[at]!).pcie;
        if (device.said?.pcie) expect(bytes, device.address).toMatchObject(device.said.pcie);
      }
    },
  );

  test('a capture read back is written to the same bytes', async () => {
    const first = writeSnapshot(expected);
    const again = await readHost(written('again.json', first));
    expect(writeSnapshot(again).equals(first)).toBe(true);
    expect(writeSnapshot(expected, { gzip: true }).equals(writeSnapshot(again, { gzip: true }))).toBe(true);
  });
});

/**
 * The same answers as the kernel's own tool, scripts/get_abi.pl of Linux 6.12, from `linux-source-6.12` of Debian: in
 * /usr/src, or where RINGFENCE_LINUX_SOURCE says. Skipped where the source, perl or the right to mount is missing.
 * Where the two differ in what is undefined, `DIFFERENCES` says why. In a search, get_abi.pl prints no fields of an
 * entry with several Whats: it looks them up under the list as printed.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fieldOf } from '../src/abi/entry.ts';
import { AbiIndex } from '../src/abi/index.ts';
import { readAbiTree } from '../src/abi/tree.ts';
import { findUndefined } from '../src/abi/undefined.ts';
import { viewOf } from '../src/cli/abi-sysfs.ts';
import { directoryTree } from '../src/host/disk-tree.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const source = [
  process.env.RINGFENCE_LINUX_SOURCE,
  '/usr/src/linux-source-6.12',
  '/tmp/kst/linux-source-6.12',
].find((folder) => folder !== undefined && existsSync(join(folder, 'scripts/get_abi.pl')));
const perl = spawnSync('perl', ['-e', '1']).status === 0;
const missing = source === undefined ? 'no linux-source-6.12' : perl ? undefined : 'no perl';
const canMount = spawnSync('unshare', ['-m', 'true']).status === 0;

// biome-ignore format: a list of names
const SEARCHED = [
  'iommu_groups', 'reset_method', 'sriov', 'power/control', 'driver_override', 'numa', 'hwmon', 'in_voltage', 'bmof',
  'usb', 'cpufreq', 'vulnerabilities', 'zram', 'nvme', 'dax_region', 'thermal', 'leds', 'backlight', 'mtdX', 'ubi',
  'f2fs', 'ext4', 'ocfs2', 'xfs', 'gpio', 'pwm', 'rtc', 'ptp', 'infiniband', 'net/', 'queues', 'scsi', 'ata',
  'firmware', 'efi', 'tpm', 'coresight', 'cxl', 'fpga', 'accel/', 'mei', 'typec', 'thunderbolt', 'wmi', 'vfio',
  'mdev', 'block/.*stat', '^/config', '^/proc', 'vDSO|devfs',
];

const getAbi = (...words: string[]) =>
  spawnSync(
    'perl',
    [join(source!, 'scripts/get_abi.pl'), '--dir', join(source!, 'Documentation/ABI'), ...words],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  );

/** What its `search` prints of an entry, but for the description. */
function entriesOf(text: string): string[] {
  return text
    .split(/^(?=.*\n-{3,}\n\n)/m)
    .filter((part) => part.includes('Defined on file(s):'))
    .map((part) => {
      const field = (name: string): string =>
        new RegExp(`^${name}:\\t+(.*)$`, 'm').exec(part)?.[1]?.trim() ?? '';
      return [
        part.split('\n')[0],
        field('Defined on file\\(s\\)').split('Documentation/ABI/').at(-1),
        field('Date'),
        field('Kernel version'),
      ].join(' | ');
    })
    .sort();
}

const firstLine = (text: string | undefined): string => text?.split('\n')[0]?.trim() ?? '';

describe.skipIf(missing !== undefined)(
  `as get_abi.pl${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const scratch = mkdtempSync(join(tmpdir(), 'ringfence-abi-'));
    afterAll(() => rmSync(scratch, { recursive: true }));
    const tree =
      missing === undefined ? readAbiTree(join(source!, 'Documentation/ABI')) : { root: '', files: [] };
    const index = new AbiIndex(tree);

    test('fifty names are searched', () => expect(new Set(SEARCHED).size).toBe(50));

    test.each(SEARCHED)('search %s', (name) => {
      const pattern = new RegExp(name);
      const theirs = entriesOf(getAbi('search', name).stdout);
      const ours = index
        .search(pattern)
        // Theirs does not know the lines that continue a What.
        .filter(({ what }) => what.some(({ text }) => pattern.test(firstLine(text))))
        .map((entry) =>
          [
            entry.what.map(({ text }) => firstLine(text)).join(', '),
            entry.file,
            ...(entry.what.length > 1
              ? ['', '']
              : [fieldOf(entry, 'date'), fieldOf(entry, 'kernelversion')]
            ).map((field) => (typeof field === 'string' ? field : firstLine(field?.text))),
          ].join(' | '),
        )
        .sort();
      expect(theirs.length).toBeGreaterThan(0);
      expect(ours).toEqual(theirs);
    });

    test('validate: nothing to say of this tree', () => {
      const { status, stdout, stderr } = getAbi('validate');
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
      // Its warnings are these kinds; a word with a colon outside of a description is one it takes for a tag at times.
      const found = tree.files.flatMap(({ malformations }) => malformations.map(({ kind }) => kind));
      expect(found.filter((kind) => kind === 'where' || kind === 'no-what' || kind === 'unreadable')).toEqual(
        [],
      );
      for (const { entries } of tree.files) {
        for (const entry of entries) expect(fieldOf(entry, 'description'), entry.file).toBeDefined();
      }
    });

    test.skipIf(!canMount)(
      'undefined, of a recorded tree',
      () => {
        execFileSync('tar', ['xzf', join(ROOT, 'test/fixtures/machines/random-30.tar.gz'), '-C', scratch]);
        const found = findUndefined(viewOf(directoryTree(scratch)), index);
        expect(found.undefined.length).toBeGreaterThan(10_000);
        expect(found.undefined).toEqual(undefinedByGetAbi(join(scratch, 'sys')));
      },
      120_000,
    );

    test.skipIf(!canMount)('undefined, where the two differ', () => {
      const made = join(scratch, 'made');
      for (const { file } of DIFFERENCES) put(join(made, file));
      // Without a file, a directory behind a link ends get_abi.pl.
      for (const directory of ['accel', 'accel/accel0'])
        put(join(made, 'sys/devices/pci0/d', directory, 'x'));
      for (const [path, target] of LINKS) {
        mkdirSync(dirname(join(made, path)), { recursive: true });
        symlinkSync(target, join(made, path));
      }
      const ours = new Set(findUndefined(viewOf(directoryTree(made)), index).undefined);
      const theirs = new Set(undefinedByGetAbi(join(made, 'sys')));
      const says = DIFFERENCES.map(({ file }) => ({
        file,
        here: ours.has(`/${file}`),
        there: theirs.has(`/${file}`),
      }));
      expect(says).toEqual(DIFFERENCES.map(({ file, here }) => ({ file, here, there: !here })));
    });
  },
);

/** Whether a file is undefined here, and the opposite there. */
const DIFFERENCES: readonly { file: string; here: boolean; why: string }[] = [
  {
    file: 'sys/devices/system/cpu/vulnerabilities/mds',
    here: false,
    why: 'its path is on a line that continues a What, which get_abi.pl does not read',
  },
  {
    file: 'sys/kernel/mm/mempolicy/weighted_interleave/node0',
    here: false,
    why: 'nodeN: get_abi.pl knows X, Y and Z',
  },
  {
    file: 'sys/devices/pci0/d/status',
    here: false,
    why: '/sys/class/accel/accel<n>/device/status leads through two links; get_abi.pl follows one',
  },
  {
    file: 'sys/devices/system/node/node0/hugepages/hugepages-2048kB/demote',
    here: true,
    why: '/sys/devices/system/node/nodeX is a directory; the X of get_abi.pl is any number of names',
  },
  {
    file: 'sys/bus/virtio/drivers/x/bind',
    here: true,
    why: '/sys/devices/pciX/.../bind: `...` of get_abi.pl goes on through the link to the driver, which is of another bus',
  },
];

const LINKS: readonly (readonly [path: string, target: string])[] = [
  ['sys/devices/pci0/d/accel/accel0/device', '../..'],
  ['sys/class/accel/accel0', '../../devices/pci0/d/accel/accel0'],
  ['sys/devices/pci0/d/driver', '../../../bus/virtio/drivers/x'],
];

function put(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
}

/** It walks /sys and nothing else, so the tree is mounted there, for it alone. */
function undefinedByGetAbi(sysfs: string): string[] {
  const script = 'mount --bind "$1" /sys && shift && exec perl "$@"';
  const words = [
    join(source!, 'scripts/get_abi.pl'),
    '--dir',
    join(source!, 'Documentation/ABI'),
    'undefined',
  ];
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', sysfs, ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  expect(stderr).toContain('processing sysfs files... done');
  return notFound(stdout);
}

function notFound(stdout: string): string[] {
  return stdout
    .split('\n')
    .filter((line) => line.endsWith(' not found.'))
    .map((line) => line.slice(0, -' not found.'.length))
    .sort();
}

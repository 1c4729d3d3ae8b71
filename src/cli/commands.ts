/** Every command: what help, the man page and completion say of it, and the module that does it. */

import { InputError } from '../kernel/errors.ts';
import type { Command } from './args.ts';

const POLICY = {
  name: 'policy',
  value: 'NAME',
  help: 'grouping rules: linux-6.12 (default), vtd-2012, amd-2012, acs-2025, generic, single',
};

export const COMMANDS: readonly Command[] = [
  {
    name: 'list',
    operands: '',
    min: 0,
    max: 0,
    summary: 'groups and their devices, in numeric order (the default command)',
    description:
      'Lists the IOMMU groups as the kernel formed them, with the devices of each. Where the kernel formed none, says what is missing and lists the groups that would form.',
    options: [
      { name: 'predict', help: 'the groups that the rules form, whatever the kernel formed' },
      { name: 'tree', short: 't', help: 'the PCI tree, with group numbers and how each port isolates' },
      {
        name: 'columns',
        short: 'o',
        value: 'LIST',
        help: 'columns, separated by commas: group, type, address, class, classname, ids, subsystem, rev, driver, iommu, numa, vendor, device, name',
      },
      POLICY,
    ],
    examples: [
      ['ringfence', 'groups of this machine'],
      ['ringfence list --tree', 'the same as a tree; `+` isolates, `-` does not, `?` is not known'],
      ['ringfence list -o group,address,driver', 'three columns'],
      [
        'ringfence list --host dump.txt --predict',
        'groups that the rules form on the machine of an lspci dump',
      ],
    ],
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'show',
    operands: 'DEVICE|GROUP…',
    min: 1,
    max: 64,
    summary: 'everything known of a device or group',
    description:
      'Shows ids, group, isolation, requester ids, reset, virtual functions, reserved regions and driver. DEVICE is an address (0000:01:00.0, 01:00.0, 01:00 for all functions), ids (10de:1b80), a libvirt name (pci_0000_01_00_0) or a path that survives renumbering (00:01.0/00.0). GROUP is a group number.',
    options: [POLICY],
    examples: [
      ['ringfence show 01:00.0', 'one function'],
      ['ringfence show 14', 'group 14, with its reserved regions'],
    ],
    load: () => import('./commands/show.ts'),
  },
  {
    name: 'why',
    operands: 'DEVICE [DEVICE]',
    min: 1,
    max: 2,
    summary: 'why a device is in its group; or why two do, or do not, share one',
    description:
      'Shows the chain of decisions that put a device into its group: bridges, functions, ACS bits and quirks by name, and what would change it. With two devices, why they share a group or what keeps them apart.',
    options: [POLICY],
    examples: [
      ['ringfence why 01:00.0', 'the chain for one device'],
      ['ringfence why 01:00.0 02:00.0', 'what joins or separates two'],
    ],
    exits: [
      [0, 'the reason is shown; with two devices: they share a group'],
      [1, 'the two do not share a group'],
      [3, 'facts are missing, the reason is not certain'],
    ],
    load: () => import('./commands/why.ts'),
  },
  {
    name: 'verify',
    operands: '',
    min: 0,
    max: 0,
    summary: "the kernel's groups against the rules; names overrides and patches",
    description:
      'Compares the groups that the kernel formed with those the rules form, and names the likely cause of each difference: an ACS override, a patched kernel, hot-plugged devices, an IOMMU that groups when drivers bind, capabilities that could not be read.',
    options: [POLICY],
    examples: [
      ['sudo ringfence verify', 'this machine'],
      ['ringfence verify --host snapshot.json --json', 'a recorded machine, for scripts'],
    ],
    exits: [
      [0, 'equal'],
      [1, 'different'],
      [3, 'cannot tell: groups or capabilities are missing from the data'],
    ],
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'capture',
    operands: '[FILE]',
    min: 0,
    max: 1,
    summary: 'record the machine in a snapshot',
    description:
      'Writes everything the other commands need to a snapshot: to FILE (gzip if it ends in .gz) or to standard output. Serial numbers and MAC addresses are left out. Run it as root: without privilege most capabilities cannot be read.',
    options: [
      { name: 'keep-serials', help: 'keep device serial numbers, which often contain MAC addresses' },
      { name: 'force', short: 'f', help: 'overwrite FILE' },
    ],
    examples: [
      ['sudo ringfence capture desktop.json.gz', 'this machine, compressed'],
      ['ringfence capture --host dump.txt', "somebody's lspci text as a snapshot"],
    ],
    load: () => import('./commands/capture.ts'),
  },
  {
    name: 'diff',
    operands: 'BEFORE [AFTER]',
    min: 1,
    max: 2,
    summary: 'what changed between two snapshots, or since one',
    description:
      'Compares two recordings of a machine: devices, drivers, ACS, groups, kernel. Without AFTER, BEFORE is compared with this machine (or --host).',
    options: [],
    examples: [
      ['ringfence diff before.json after.json', 'two snapshots'],
      ['sudo ringfence diff before-upgrade.json', 'a snapshot and this machine now'],
    ],
    exits: [
      [0, 'the same'],
      [1, 'different'],
    ],
    load: () => import('./commands/diff.ts'),
  },
  {
    name: 'completion',
    operands: 'bash|zsh|fish',
    min: 1,
    max: 1,
    summary: 'a completion script for your shell',
    description: 'Prints a completion script.',
    options: [],
    examples: [['source <(ringfence completion bash)', 'completion in this shell']],
    load: () => import('./commands/completion.ts'),
  },
];

/**
 * @throws InputError for a name that is no command, with the nearest one
 */
export function findCommand(name: string): Command {
  const found = COMMANDS.find((command) => command.name === name);
  if (found !== undefined) return found;
  const near = COMMANDS.map((command) => command.name).filter((other) => distance(name, other) <= 2);
  throw new InputError(
    'ringfence',
    `there is no command '${name}'${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : '; see ringfence --help'}`,
  );
}

/** Edit distance, for names of a few letters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    row = next;
  }
  return row[b.length]!;
}

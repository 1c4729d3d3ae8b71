/** Every command: what help, the man page and completion say of it, and the module that does it. */

import { InputError } from '../kernel/errors.ts';
import { ABI, TREE } from './abi-commands.ts';
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
    max: Number.POSITIVE_INFINITY,
    summary: 'everything known of a device or group',
    description:
      "Shows ids, group, isolation, requester ids, reset, virtual functions, reserved regions and driver. DEVICE is an address (0000:01:00.0, 01:00.0, 01:00 for all functions), ids (10de:1b80), a libvirt name (pci_0000_01_00_0) or a path that survives renumbering (00:01.0/00.0). GROUP is a group number. Where the kernel's ABI documents are at hand, says which of them speak of the attributes shown.",
    options: [POLICY, TREE],
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
    name: 'whatif',
    operands: '',
    min: 0,
    max: 0,
    summary: 'groups as they would be with something changed; or what would give a device its own',
    description:
      'Boots the model of the machine as it is and as it would be, and shows what each device gained or lost, whether a gain is real isolation or only claimed, and the kernel parameters to type. Changes can be combined; devices are named as they are today, whatever becomes of their addresses. A card is everything in one slot, with what is below it.\nWith --goal, searches for the single changes, or pairs of them where none is enough, that give DEVICE a group of its own or with nothing but functions of its own card, and tries each on the model. Honest ways come first, then easy ones.',
    options: [
      {
        name: 'acs-override',
        value: 'WORDS',
        help: 'pcie_acs_override=WORDS: downstream, multifunction, id:VVVV:DDDD, separated by commas',
      },
      {
        name: 'set-acs',
        value: 'DEVICE=BITS',
        many: true,
        help: 'ACS bits as pci=config_acs= takes them: 1, 0 or x, rightmost is SrcValid; xx11101 is all that grouping asks for',
      },
      { name: 'move', value: 'CARD=PORT', many: true, help: 'the card in the slot of another port' },
      { name: 'remove', value: 'CARD', many: true, help: 'the card, or a whole switch, taken out' },
      {
        name: 'add',
        value: 'PORT=WHAT',
        many: true,
        help: 'another card in a slot: card, acs-card, switch, plain-switch or pci-bridge, with :2 and the like for how many functions, slots or cards; or a DEVICE, for a second one',
      },
      { name: 'vfs', value: 'DEVICE=COUNT', many: true, help: 'so many virtual functions' },
      { name: 'policy', value: 'NAME', help: `another kernel: ${POLICY.help}` },
      { name: 'iommu', value: 'on|off', help: 'the IOMMU on or off' },
      {
        name: 'without-quirk',
        value: 'NAME',
        many: true,
        help: 'a kernel without that quirk, named as by `show`',
      },
      { name: 'firmware-acs', value: 'PORT', many: true, help: 'firmware that shows ACS on the port' },
      {
        name: 'drop-parameter',
        value: 'NAME',
        many: true,
        help: 'the command line without config_acs, disable_acs_redir, pcie_acs_override or another',
      },
      {
        name: 'goal',
        value: 'DEVICE',
        help: 'what would give DEVICE a group of its own; with --policy, under those rules',
      },
    ],
    examples: [
      ['ringfence whatif --acs-override downstream,multifunction', 'what the override would split'],
      ['ringfence whatif --set-acs 00:1c.0=xx11101', 'ACS switched on at one port'],
      ['ringfence whatif --move 03:00.0=00:1c.4', 'a card in another slot'],
      ['ringfence whatif --remove 02:00.0 --policy acs-2025', 'without a card, and by newer rules'],
      ['ringfence whatif --goal 01:00.0', 'how that device gets a group of its own'],
    ],
    exits: [
      [0, 'shown; with --goal: it can be reached, or is'],
      [1, 'with --goal: nothing that was tried reaches it'],
      [3, 'facts are missing, the answer is not certain'],
    ],
    load: () => import('./commands/whatif.ts'),
  },
  {
    name: 'check',
    operands: 'DEVICE…',
    min: 1,
    max: Number.POSITIVE_INFINITY,
    summary: 'whether devices can be handed over: yes, no or cannot tell, and every reason',
    description:
      'Says whether the devices can be handed over together, to a virtual machine or another program: who else is in their groups and driven by the host, memory that firmware reserves, interrupts, reset, what the host uses on them right now, virtual functions, identical cards, and isolation that is only claimed. DEVICE is named as for `show`.\nWhat counts as a refusal, a warning or a note is set by a policy file (docs/policy.md). Each reason is followed by the name that the policy knows it by.',
    options: [
      {
        name: 'policy',
        value: 'FILE',
        help: 'what is acceptable: JSON, comments allowed; see docs/policy.md',
      },
      { name: 'compact', help: 'one line a device: address, verdict, reasons' },
    ],
    examples: [
      ['sudo ringfence check 01:00', 'all functions of that card'],
      ['ringfence check 01:00.0 --compact', '0000:01:00.0 no member-in-use:0000:01:00.1(e1000e)'],
      ['ringfence check 10de:1b80 --host desktop.json --policy lab.json', 'a recorded machine, own rules'],
    ],
    exits: [
      [0, 'yes'],
      [1, 'no'],
      [3, 'cannot tell: facts are missing that could be in the way'],
    ],
    load: () => import('./commands/check.ts'),
  },
  {
    name: 'plan',
    operands: 'DEVICE…',
    min: 1,
    max: Number.POSITIVE_INFINITY,
    summary: 'every write that hands devices over, in order, with the state before; does nothing',
    description:
      'Prints the writes to sysfs that give the devices and the rest of their groups to another driver, and what stands there now. Bridges stay with the host. For every other device of the group you are asked; --yes answers yes, --only leaves them out. Nothing is written, and no module is loaded: that is shown as a command to run.\nWith --json the plan is a file that `ringfence apply` takes.',
    options: [
      { name: 'driver', short: 'd', value: 'NAME', help: 'driver that gets the devices; default: vfio-pci' },
      { name: 'only', help: 'the devices named, without the rest of their groups' },
      { name: 'yes', short: 'y', help: 'yes to every question' },
      {
        name: 'persist',
        value: 'DIR',
        help: 'also write files for udev, driverctl, modprobe and the kernel command line to DIR, to be reviewed; they make it outlive a reboot',
      },
      { name: 'policy', value: 'FILE', help: 'what is acceptable, as for `check`' },
    ],
    examples: [
      ['ringfence plan 01:00.0', 'the writes, after asking for each other device of its group'],
      ['ringfence plan 01:00 --yes --json > plan.json', 'the plan as a file'],
      ['ringfence plan 01:00 --yes --persist files', 'and files that make it outlive a reboot'],
    ],
    exits: [
      [0, 'the plan can be applied'],
      [1, 'planned, and `check` refuses it'],
      [2, 'the call is wrong, or a question is open and nobody can be asked'],
      [3, 'facts are missing: the driver of a device, or what `check` needs'],
    ],
    load: () => import('./commands/plan.ts'),
  },
  {
    name: 'apply',
    operands: 'FILE',
    min: 1,
    max: 1,
    summary: 'make the writes of a plan; all of them or none',
    description:
      'Makes the writes of a plan file (- is standard input), looks after each whether the kernel did it, and takes everything back when one fails. Every write is in the journal before it is made. It refuses when the machine is not as the plan assumes, or when `check` refuses and the reason is not overridden by name. A hand-over that was killed is finished first if FILE is its plan, else undone.\nWith --host, DIR holds a copy of a sysfs tree, and the hand-over is rehearsed there.',
    options: [
      {
        name: 'override',
        value: 'NAME',
        many: true,
        help: 'go on although `check` refuses for this reason; may be repeated',
      },
      { name: 'policy', value: 'FILE', help: 'what is acceptable, as for `check`' },
    ],
    examples: [
      ['sudo ringfence apply plan.json', 'hand the devices over'],
      ['ringfence apply plan.json --host copy', 'rehearse it on a copy of sysfs'],
    ],
    exits: [
      [0, 'done, or nothing to do'],
      [1, 'refused; nothing was written'],
      [4, 'failed; everything was taken back, or the report says what was not'],
    ],
    load: () => import('./commands/apply.ts'),
  },
  {
    name: 'undo',
    operands: '[ID]',
    min: 0,
    max: 1,
    summary: 'return every device of a hand-over to the driver it had',
    description:
      'Takes back the last hand-over of this machine (or of --host), or the one of that number, also one that was killed half way. Journals are in $XDG_STATE_HOME/ringfence or ~/.local/state/ringfence, those of root in /var/lib/ringfence.',
    options: [
      { name: 'list', short: 'l', help: 'the hand-overs on record, and what became of them' },
      { name: 'forget', help: 'close the record and touch no device' },
    ],
    examples: [
      ['sudo ringfence undo', 'take back the last hand-over'],
      ['ringfence undo --list', 'all there were'],
    ],
    exits: [
      [0, 'undone, or nothing to undo'],
      [4, 'a device could not be returned; run it again when what was in the way is mended'],
    ],
    load: () => import('./commands/undo.ts'),
  },
  {
    name: 'capture',
    operands: '[FILE]',
    min: 0,
    max: 1,
    summary: 'record the machine in a snapshot',
    description:
      'Writes everything the other commands need to a snapshot: to FILE (gzip if it ends in .gz) or to standard output. Serial numbers and MAC addresses are left out, and values on the kernel command line that may name a disk, a network or a password. Run it as root: without privilege most capabilities cannot be read.',
    options: [
      {
        name: 'keep-serials',
        help: 'keep device serial numbers, which often contain MAC addresses, and the command line',
      },
      { name: 'force', short: 'f', help: 'overwrite FILE' },
    ],
    examples: [
      ['sudo ringfence capture desktop.json.gz', 'this machine, compressed'],
      ['ringfence capture --host dump.txt', "somebody's lspci text as a snapshot"],
    ],
    without: ['json'],
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
    name: 'export',
    operands: '[DEVICE|GROUP…]',
    min: 0,
    max: Number.POSITIVE_INFINITY,
    summary: 'devices in the words of libvirt, QEMU, Proxmox, Kubernetes and others',
    description:
      'Writes what another program takes: libvirt, qemu, proxmox, proxmox-mapping, kubevirt, dra, cdi and modprobe for the devices named, with the rest of their groups and without bridges; prometheus, dot, svg and html for the whole machine, or for the groups of the devices named; html is the explorer of `serve` with the machine in it. What to know about the text goes to standard error.',
    options: [
      {
        name: 'format',
        short: 'f',
        value: 'FORMAT',
        help: 'libvirt, qemu, proxmox, proxmox-mapping, kubevirt, dra, cdi, modprobe, prometheus, dot, svg or html',
      },
      { name: 'iommufd', help: 'through iommufd and not through groups and containers; never both' },
      { name: 'only', help: 'the devices named and nothing else of their groups' },
      { name: 'unmanaged', help: "libvirt: managed='no', for devices that are bound to vfio-pci already" },
      { name: 'node', value: 'NAME', help: 'name of the machine in its cluster (dra, proxmox-mapping)' },
      {
        name: 'domain',
        value: 'DOMAIN',
        help: 'DNS domain for names of resources (kubevirt, dra, cdi); default: ringfence.local',
      },
      POLICY,
    ],
    examples: [
      ['ringfence export -f libvirt 01:00.0', 'hostdev elements for the devices of its group'],
      ['ringfence export -f qemu --iommufd 01:00', 'arguments of QEMU, through iommufd'],
      ['ringfence export -f svg > groups.svg', 'the machine as a picture'],
      ['ringfence export -f html > machine.html', 'the explorer with the machine in it, to send or keep'],
    ],
    exits: [
      [0, 'written'],
      [1, 'the devices cannot be exported: a bridge, no group, not bound'],
      [3, 'facts are missing that the format needs'],
    ],
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'watch',
    operands: '',
    min: 0,
    max: 0,
    summary: 'devices, drivers and groups as they change',
    description:
      'Prints a line for each device that comes or goes, driver that binds or lets go, group that is formed, dissolved or changes its type, and group that goes to vfio or comes back. Listens to the kernel through udevadm where there is one, and looks at sysfs at regular times for what the kernel does not announce. --host takes a directory here. With --json, an object a line.',
    options: [
      {
        name: 'interval',
        short: 'i',
        value: 'SECONDS',
        help: 'time between looks; default 2, and 10 while udevadm announces changes',
      },
      { name: 'count', short: 'n', value: 'NUMBER', help: 'end after so many events' },
      { name: 'for', value: 'SECONDS', help: 'end after this time' },
    ],
    examples: [
      ['ringfence watch', 'until Ctrl-C'],
      ['ringfence watch --json --count 1', 'wait for something to happen'],
    ],
    exits: [[0, 'ended by count, time, Ctrl-C or SIGTERM']],
    load: () => import('./commands/watch.ts'),
  },
  {
    name: 'run',
    operands: 'PROGRAM [ARGUMENT…]',
    min: 1,
    max: Number.POSITIVE_INFINITY,
    summary: 'run a program inside the simulated machine: its /sys, /dev/iommu and /dev/vfio',
    description:
      'Runs an unmodified program, also a static one, that sees the machine of --host where it would see this one: PCI and IOMMU groups in /sys, /dev/iommu, /dev/vfio. What it binds, maps and attaches happens in the model of the kernel. Its other files, devices and standard streams are the real ones. Mounts are private to it and what it starts, and everything goes away when it ends.\nNeeds Linux with /dev/fuse, and root or user namespaces; a C compiler once, for calls that return a descriptor.',
    options: [
      {
        name: 'trace',
        value: 'FILE',
        otherwise: '-',
        help: 'log every call in words, with the reason of each refusal; without =FILE on standard error',
      },
      {
        name: 'script',
        value: 'FILE',
        help: 'what happens meanwhile: devices come and go, page faults, failures; see docs/run.md',
      },
      { name: 'selftest', help: "also the mock devices of the kernel's own test of iommufd" },
      { name: 'check-leaks', help: 'fail if anything is left open, pinned or owned when all has ended' },
      POLICY,
    ],
    examples: [
      ['ringfence run --host desktop.json lspci -nnk', 'the PCI devices of a recorded machine'],
      ['ringfence run --trace ./my-vfio-program', 'every VFIO and iommufd call it makes'],
    ],
    exits: [
      [2, 'the call is wrong, before the program was started'],
      [3, 'something is missing on this machine; the message says what would help'],
      [4, 'the session failed'],
      [126, 'the program cannot be executed; 127: it was not found'],
      [128, 'and more: the program was ended by signal N - 128; anything else is its own'],
    ],
    without: ['json'],
    ownOptionsFirst: true,
    load: () => import('./commands/run.ts'),
  },
  ABI,
  {
    name: 'serve',
    operands: '[SNAPSHOT…]',
    min: 0,
    max: 16,
    summary: 'the explorer: the machine as a picture in your browser',
    description:
      'Opens a page on 127.0.0.1 and prints its address: the PCI tree with groups as outlines, why a device is where it is, its verdict, plan and exports, what-if, live changes. Snapshots named are shown beside it; more can be dropped on the page, which opens them without sending them anywhere. The page shows and computes; nothing it does changes the machine, and no other machine can reach it.',
    options: [
      {
        name: 'port',
        short: 'p',
        value: 'NUMBER',
        help: 'port to listen on; default 7420, 0 for any that is free',
      },
      POLICY,
    ],
    examples: [
      ['ringfence serve', 'this machine'],
      ['ringfence serve --host desktop.json', 'a recorded machine'],
      ['ringfence serve --host before.json after.json', 'two, side by side'],
    ],
    exits: [[0, 'ended by Ctrl-C or SIGTERM']],
    load: () => import('./commands/serve.ts'),
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
    without: ['host', 'json'],
    load: () => import('./commands/completion.ts'),
  },
];

/** All commands, those with subcommands followed by them. */
export const ALL_COMMANDS: readonly Command[] = COMMANDS.flatMap((command) => [
  command,
  ...(command.subcommands ?? []),
]);

/**
 * @throws InputError for a name that is no command, with the nearest one
 */
export function findCommand(name: string): Command {
  return nearest(COMMANDS, name, name, 'ringfence');
}

/** The subcommand of a word; the command itself where it has none, or where help is asked for. @throws InputError */
export function findSubcommand(command: Command, word: string | undefined): Command {
  if (command.subcommands === undefined) return command;
  if (word === undefined || word === '--help' || word === '-h') return command;
  return nearest(command.subcommands, `${command.name} ${word}`, word, `ringfence ${command.name}`);
}

function nearest(commands: readonly Command[], name: string, word: string, program: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const near = commands.map((command) => command.name).filter((other) => distance(name, other) <= 2);
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `see ${program} --help`;
  throw new InputError(`'${word}'`, `there is no command of that name; ${hint}`);
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

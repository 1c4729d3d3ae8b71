/** `ringfence abi` and what stands below it: rows of the command table. */

import type { Command, Option } from './args.ts';

/** Also of `show`, which links attributes to their documents. */
export const TREE: Option = {
  name: 'tree',
  value: 'DIR',
  help: 'Documentation/ABI of a kernel source; default: ./Documentation/ABI, else the one in /usr/src',
};
const FORMAT: Option = {
  name: 'format',
  short: 'f',
  value: 'FORMAT',
  help: 'plain (default), markdown or html',
};
const MOST = Number.POSITIVE_INFINITY;
const LEVEL: Option = {
  name: 'level',
  value: 'LEVEL',
  many: true,
  help: 'only stable, testing, obsolete or removed; may be repeated',
};

const LIST: Command = {
  name: 'abi list',
  operands: '',
  min: 0,
  max: 0,
  summary: 'every documented interface, with level, file and line',
  description: 'Lists every interface of the tree. With --json, one array of entries.',
  options: [TREE, LEVEL, FORMAT],
  examples: [['ringfence abi list --level obsolete', 'what is going to disappear']],
  without: ['host'],
  load: () => import('./commands/abi-list.ts'),
};

const SEARCH: Command = {
  name: 'abi search',
  operands: '[PATTERN]',
  min: 0,
  max: 1,
  summary: 'interfaces by name, text, contact or user',
  description:
    'Finds the entries with a What that the regular expression matches; PATTERN may be left out where another condition is given. All conditions must hold; those on text take no notice of capitals.',
  options: [
    { name: 'text', value: 'PATTERN', help: 'description matches' },
    { name: 'contact', value: 'PATTERN', help: 'contact matches' },
    { name: 'users', value: 'PATTERN', help: 'a user matches' },
    { name: 'ignore-case', short: 'i', help: 'PATTERN takes no notice of capitals' },
    TREE,
    LEVEL,
    FORMAT,
  ],
  examples: [
    ['ringfence abi search iommu_groups', 'by name'],
    ['ringfence abi search --text "reset method" --level testing', 'by what is said about them'],
  ],
  exits: [
    [0, 'something was found'],
    [1, 'nothing was'],
    [3, 'there is no tree of documents'],
  ],
  without: ['host'],
  load: () => import('./commands/abi-search.ts'),
};

const SHOW: Command = {
  name: 'abi show',
  operands: 'PATH…',
  min: 1,
  max: MOST,
  summary: 'the documents of a real path, as /sys/kernel/iommu_groups/7/type',
  description:
    'Finds the entries that speak about a path, whatever place-holders they use. A path has several names in sysfs (/sys/bus/pci/devices/X is below /sys/devices, too); links are resolved on this machine, or in the sysfs tree of --host.',
  options: [TREE, FORMAT],
  examples: [['ringfence abi show /sys/bus/pci/devices/0000:01:00.0/reset_method', 'its entry']],
  exits: [
    [0, 'every path is documented'],
    [1, 'nothing documents one of them'],
    [3, 'there is no tree of documents'],
  ],
  load: () => import('./commands/abi-show.ts'),
};

const LINT: Command = {
  name: 'abi lint',
  operands: '[DIR]',
  min: 0,
  max: 1,
  summary: 'what is wrong with a tree of documents',
  description:
    'Checks form and content of every entry: tags, fields, dates, versions, duplicates, paths, what the levels ask for, and whether this machine, or that of --host, still has what is in removed/. Habits that many documents have are told only when switched on.',
  options: [
    TREE,
    {
      name: 'rule',
      short: 'r',
      value: 'RULE[=SEVERITY]',
      many: true,
      help: 'a rule on, or counted as error, warning or note, or off; `all` for every rule; may be repeated',
    },
    { name: 'rules', help: 'list the rules' },
    { name: 'format', short: 'f', value: 'FORMAT', help: 'plain (default) or sarif' },
  ],
  examples: [
    ['ringfence abi lint Documentation/ABI', 'before a patch is sent'],
    ['ringfence abi lint --rule all --rule no-users=off', 'habits as well, all but one'],
    ['ringfence abi lint --format sarif > abi.sarif', 'for a code host'],
  ],
  exits: [
    [0, 'no errors; there may be warnings'],
    [1, 'errors'],
    [3, 'there is no tree of documents'],
  ],
  load: () => import('./commands/abi-lint.ts'),
};

const MOVES: Command = {
  name: 'abi moves',
  operands: 'OLD NEW',
  min: 2,
  max: 2,
  summary: 'what was added, changed and moved between two trees, and which moves break the rules',
  description:
    'Compares two trees of documents, or the documents of two kernel sources. Errors are: leaving testing/ or stable/ without passing through obsolete/, no notice of why and when, less than two years of stable, and going before the announced time.',
  options: [
    {
      name: 'date',
      value: 'YYYY-MM',
      help: 'month of the new tree, for what is counted in years; else what depends on it is a warning',
    },
    { name: 'breaks', help: 'only the moves that break the rules' },
  ],
  examples: [['ringfence abi moves linux-6.1/Documentation/ABI linux-6.12/Documentation/ABI', 'two kernels']],
  exits: [
    [0, 'every move keeps the rules'],
    [1, 'some do not'],
    [3, 'there are no documents in one of them'],
  ],
  without: ['host'],
  load: () => import('./commands/abi-moves.ts'),
};

const UNDEFINED: Command = {
  name: 'abi undefined',
  operands: '',
  min: 0,
  max: 0,
  summary: 'files of /sys that no document covers',
  description:
    "Walks this machine's /sys, or the sysfs tree of --host, and lists the files that no document covers, and documented ones that are not there although their directory is; in a recorded tree, what was not recorded is not there either. Left out, as by the kernel's own tool: cgroups, firmware, debugfs and tracefs, pstore, bpf and fuse, notes and sections of modules, module parameters. Links are other names of what they lead to.",
  options: [
    TREE,
    { name: 'search', value: 'PATTERN', help: 'only paths that the regular expression matches' },
    { name: 'limit', value: 'NUMBER', help: 'end after so many files of sysfs; default 2000000' },
  ],
  examples: [
    ['ringfence abi undefined', 'this machine'],
    ['ringfence abi undefined --host copy --search iommu', 'a recorded sysfs tree'],
  ],
  exits: [
    [0, 'every file is documented'],
    [1, 'some are not'],
    [3, 'there is no tree of documents, or sysfs was not walked to its end'],
  ],
  load: () => import('./commands/abi-undefined.ts'),
};

const CHECK: Command = {
  name: 'abi check',
  operands: 'PROGRAM|FILE…',
  min: 1,
  max: MOST,
  summary: 'which interfaces a script or program relies on, and what is promised of them',
  description:
    'Looks for paths of /sys, /proc, /dev and configfs in scripts, in the strings of programs and in traces, and says which documents cover them, at which level and since when. A variable ($dev), a pattern (*) or a format (%s) in a path stands for anything. A word without a slash is looked for on PATH.',
  options: [TREE],
  examples: [['ringfence abi check ./passthrough.sh', 'what a script relies on']],
  exits: [
    [0, 'all documented, stable or testing'],
    [1, 'something is documented nowhere, obsolete or removed'],
    [3, 'there is no tree of documents'],
  ],
  without: ['host'],
  load: () => import('./commands/abi-check.ts'),
};

const SUBCOMMANDS: readonly Command[] = [LIST, SEARCH, SHOW, LINT, MOVES, UNDEFINED, CHECK];

export const ABI: Command = {
  name: 'abi',
  operands: 'COMMAND',
  min: 0,
  max: MOST,
  summary: 'what Linux promises of /sys and /proc: look up, check, compare',
  description:
    'Reads Documentation/ABI, where Linux says what it promises to programs, and holds paths, programs, machines and other trees against it.',
  options: [],
  examples: [['ringfence abi search iommu', 'interfaces by name']],
  without: ['host', 'json'],
  subcommands: SUBCOMMANDS,
  load: () => import('./commands/abi.ts'),
};

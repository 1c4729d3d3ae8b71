/** `whatif` for reading. */

import { deviceTitle } from '../advise/describe.ts';
import type { Shorten } from '../advise/reason-words.ts';
import type { GoalReport, TriedChange, Way, WhatIfDevice, WhatIfReport, Worth } from '../advise/report.ts';
import { cut, type Output, type Title, titleLine, wrap } from './output.ts';

export function whatIfText(report: WhatIfReport, out: Output, shorten: Shorten): string {
  const { bold, green, yellow, red } = out.colors;
  const { summary } = report;
  const kinds: [string, (device: WhatIfDevice) => boolean][] = [
    [green('Gained, really isolated'), ({ effect, worth }) => effect === 'gained' && worth === 'real'],
    [
      green('Gained, if firmware shows it'),
      ({ effect, worth }) => effect === 'gained' && worth === 'firmware',
    ],
    [
      yellow("Gained by another kernel's rules"),
      ({ effect, worth }) => effect === 'gained' && worth === 'rules',
    ],
    [yellow('Gained, claimed and not real'), ({ effect, worth }) => effect === 'gained' && worth === 'claim'],
    [red('Lost'), ({ effect }) => effect === 'lost'],
    [bold('Changed company'), ({ effect }) => effect === 'mixed'],
    [bold('New'), ({ effect }) => effect === 'new'],
    [bold('Gone'), ({ effect }) => effect === 'gone'],
    [bold('Only renamed'), ({ effect }) => effect === 'renamed'],
  ];
  const sections = kinds.flatMap(([head, fits]) => {
    const devices = report.devices.filter(fits);
    return devices.length === 0
      ? []
      : ['\n', `${bold(head)}\n`, ...devices.map((one) => deviceText(one, out, shorten))];
  });
  return [
    `${bold('If')}\n`,
    ...changesText(report.changes, out),
    ...typeText(report.parameters, out),
    '\n',
    `${bold(groupsWords(summary.groups))}\n`,
    ...(report.devices.length === 0 ? ['Nothing changes for any device.\n'] : sections),
    ...(report.uncertain.length === 0 ? [] : ['\n', uncertainText(report.uncertain, out, shorten)]),
    ...report.notes.map((note, at) => (at === 0 ? '\n' : '') + wrap(`note: ${note}`, out, '', '  ')),
  ].join('');
}

function groupsWords({ before, after }: WhatIfReport['summary']['groups']): string {
  return `${before} group${before === 1 ? '' : 's'} before, ${after} after`;
}

function changesText(changes: readonly TriedChange[], out: Output, indent = '  '): string[] {
  return changes.flatMap(({ what, how }) => [
    wrap(how === undefined ? what : `${what}: ${how}`, out, indent, `${indent}  `),
  ]);
}

/** Never wrapped: it is to be copied. */
function typeText(parameters: readonly string[], out: Output, indent = '  '): string[] {
  if (parameters.length === 0) return [];
  return [`${indent}${out.colors.bold('boot with')} ${parameters.join(' ')}\n`];
}

function deviceText(one: WhatIfDevice, out: Output, shorten: Shorten): string {
  const name = shorten(one.device.address);
  const moved = one.now !== null && one.now !== one.device.address ? `, now ${shorten(one.now)}` : '';
  const title = `  ${name}${moved} ${deviceTitle(one.device)}`.trimEnd();
  const line = out.width === undefined ? title : cut(title, out.width, out.unicode);
  const words = companyWords(one, shorten);
  return `${line}\n${words === undefined ? '' : wrap(words, out, '    ', '    ')}`;
}

function companyWords(one: WhatIfDevice, shorten: Shorten): string | undefined {
  const now = withWords(one.after, shorten);
  switch (one.effect) {
    case 'new':
      return now;
    case 'gone':
    case 'renamed':
      return undefined;
    default:
      return `was ${withWords(one.before, shorten)}; is ${now}`;
  }
}

/** Of more than a few, how many there are. */
const MOST_NAMED = 12;

function withWords(others: string[] | null | undefined, shorten: Shorten): string {
  if (others === null || others === undefined) return 'in no group';
  if (others.length === 0) return 'alone';
  const more = others.length - MOST_NAMED;
  const named = others.slice(0, MOST_NAMED).map(shorten).join(' ');
  return `with ${named}${more > 0 ? ` and ${more} more` : ''}`;
}

function uncertainText(names: readonly string[], out: Output, shorten: Shorten): string {
  const some = names.slice(0, 8).map(shorten).join(', ') + (names.length > 8 ? ', …' : '');
  return wrap(
    `Not certain: capabilities that decide over ${some} were not read. Run as root, or record with \`sudo ringfence capture\`.`,
    out,
  );
}

const REACHABLE = {
  already: 'It has that already.',
  yes: 'It can have that.',
  claim: "It can have that only by a claim or another kernel's rules, which isolate nothing.",
  no: 'Nothing that was tried gives it that.',
} as const;

export function goalText(
  report: GoalReport,
  out: Output,
  { title, shorten }: { title: Title; shorten: Shorten },
): string {
  const { bold, green, yellow, red } = out.colors;
  const paint = { already: green, yes: green, claim: yellow, no: red }[report.reachable];
  const reason = report.because === undefined ? '' : ` ${sentence(report.because)}`;
  return [
    titleLine(report.device.address, title, out),
    wrap(`${withWords(report.group, shorten)}`, out, '  ', '  '),
    '\n',
    `${bold('A group of its own')}\n`,
    wrap(`${paint(REACHABLE[report.reachable])}${reason}`, out, '  ', '  '),
    ...report.ways.map((way, at) => `\n${wayText(way, at + 1, report, out, shorten)}`),
    ...(report.certain
      ? []
      : [
          '\n',
          wrap(
            'Not certain: capabilities that decide over it were not read. Run as root, or record with `sudo ringfence capture`.',
            out,
          ),
        ]),
    ...report.notes.map((note) => `\n${wrap(`note: ${note}`, out, '', '  ')}`),
  ].join('');
}

function wayText(way: Way, number: number, report: GoalReport, out: Output, shorten: Shorten): string {
  const { bold, green, yellow } = out.colors;
  const paint = way.worth === 'real' || way.worth === 'firmware' ? green : yellow;
  return [
    `${bold(`${number}. ${outcome(way, report, shorten)}`)} ${paint(`(${WORTH[way.worth]})`)}\n`,
    ...changesText(way.changes, out, '   '),
    ...typeText(way.parameters, out, '   '),
  ].join('');
}

const WORTH: Readonly<Record<Worth, string>> = {
  real: 'real isolation',
  firmware: 'real, if firmware shows it',
  rules: "another kernel's rules",
  claim: 'a claim: it isolates nothing',
};

function outcome(way: Way, report: GoalReport, shorten: Shorten): string {
  const others = way.with.map(shorten);
  const named = way.device === report.device.address ? '' : ` as ${shorten(way.device)}`;
  switch (way.reaches) {
    case 'alone':
      return `Alone${named}`;
    case 'card':
      return `With nothing but its own card and port${named}: ${others.join(' ')}`;
    case 'virtual':
      return `Its virtual function ${shorten(way.device)} alone`;
    case 'fewer':
      return `With fewer${named}: ${others.slice(0, MOST_NAMED).join(' ')}${others.length > MOST_NAMED ? ' …' : ''}`;
  }
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

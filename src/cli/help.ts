/** `--help`, from the command table. */

import { COMMON, type Command, type Option, optionsOf } from './args.ts';
import { type Output, wrap } from './output.ts';

export const EXITS: [number, string][] = [
  [0, 'yes, done'],
  [1, 'no: a check failed, a difference was found'],
  [2, 'the call or its input is wrong'],
  [3, 'cannot tell: data or privilege is missing'],
  [4, 'failed'],
];

export function generalHelp(commands: readonly Command[], out: Output): string {
  const { bold } = out.colors;
  return [
    wrap(
      `${bold('ringfence')}: which devices of a Linux machine can be handed over to a virtual machine, which cannot, and why`,
      out,
    ),
    '\n',
    `${bold('Usage')}\n  ringfence [COMMAND] [OPTIONS]\n`,
    ...commandLines(commands, out),
    `\n${bold('Common options')}\n`,
    optionLines(COMMON, out),
    `\n${bold('Exit codes')}\n`,
    ...EXITS.map(([code, meaning]) => `  ${code}  ${meaning}\n`),
    `\n${bold('Examples')}\n`,
    '  ringfence                         groups and devices of this machine\n',
    '  ringfence why 01:00.0             why that device is in its group\n',
    "  sudo ringfence verify             do the kernel's groups follow the rules?\n",
    "  lspci -vvnn | ringfence --host -  somebody else's machine\n",
    '\n`ringfence COMMAND --help` tells more.\n',
  ].join('');
}

function commandLines(commands: readonly Command[], out: Output): string[] {
  if (commands.length === 0) return [];
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    `\n${out.colors.bold('Commands')}\n`,
    ...commands.map((command) =>
      wrap(command.summary, out, `  ${command.name.padEnd(width)}  `, ' '.repeat(width + 4)),
    ),
  ];
}

export function commandHelp(command: Command, out: Output): string {
  const { bold } = out.colors;
  const words = command.ownOptionsFirst ? ['[OPTIONS]', command.operands] : [command.operands, '[OPTIONS]'];
  const call = ['ringfence', command.name, ...words].filter(Boolean).join(' ');
  const sections = [
    `${bold(call)}\n\n`,
    ...command.description.split('\n').map((paragraph) => wrap(paragraph, out)),
    ...commandLines(command.subcommands ?? [], out),
    `\n${bold('Options')}\n`,
    optionLines(optionsOf(command), out),
    `\n${bold('Examples')}\n`,
    ...command.examples.map(([line, shows]) => `  ${line}\n${wrap(shows, out, '      ')}`),
  ];
  if (command.exits !== undefined) {
    sections.push(
      `\n${bold('Exit codes')}\n`,
      ...command.exits.map(([code, meaning]) => wrap(meaning, out, `  ${code}  `, '     ')),
    );
  }
  return sections.join('');
}

/** The left side of an option's line: `-o, --columns LIST`. */
export function optionName(option: Option): string {
  const short = option.short === undefined ? '' : `-${option.short}, `;
  const value = option.otherwise === undefined ? ` ${option.value}` : `[=${option.value}]`;
  return `${short}--${option.name}${option.value === undefined ? '' : value}`;
}

function optionLines(options: readonly Option[], out: Output): string {
  const width = Math.max(...options.map((option) => optionName(option).length));
  const hang = ' '.repeat(width + 4);
  return options
    .map((option) => wrap(option.help, out, `  ${optionName(option).padEnd(width)}  `, hang))
    .join('');
}

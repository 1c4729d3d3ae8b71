/** The man page, from the command table; `npm run build` writes it to man/ringfence.1, a test holds it to the table. */

import { COMMON, type Command, type Option } from './args.ts';
import { EXITS, optionName } from './help.ts';

/** Text for roff: backslashes, hyphens that must stay hyphens, and dots or quotes that would begin a request. */
function roff(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('←', '<-');
  return escaped.replace(/^(?=[.'])/gm, '\\&');
}

const option = (o: Option): string => `.TP\n.B ${roff(optionName(o))}\n${roff(o.help)}\n`;

function command(c: Command): string {
  return [
    `.SS ringfence ${roff([c.name, c.operands].filter(Boolean).join(' '))}\n`,
    `${roff(c.description)}\n`,
    ...c.options.map(option),
    ...(c.exits ?? []).map(([code, meaning]) => `.TP\n.B exit ${code}\n${roff(meaning)}\n`),
    ...(c.subcommands ?? []).map(command),
  ].join('');
}

export function manPage(commands: readonly Command[], version: string): string {
  return [
    `.\\" Made by npm run build from src/cli/commands.ts\n`,
    `.TH RINGFENCE 1 "" "ringfence ${version}" "User Commands"\n`,
    '.SH NAME\nringfence \\- which devices of a Linux machine can be handed over, which cannot, and why\n',
    '.SH SYNOPSIS\n.B ringfence\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n',
    '.SH DESCRIPTION\n',
    'Ringfence reads the PCI devices of a machine, forms IOMMU groups by the rules of the Linux kernel, compares them ',
    'with those the kernel formed, and gives the reason for every one. Nothing is touched unless a plan is applied.\n',
    '.SH COMMANDS\n',
    ...commands.map(command),
    '.SH COMMON OPTIONS\n',
    ...COMMON.map(option),
    '.SH EXIT STATUS\n',
    ...EXITS.map(([code, meaning]) => `.TP\n.B ${code}\n${roff(meaning)}\n`),
    '.SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colours\n.TP\n.B FORCE_COLOR\ncolours even without a terminal\n',
    '.SH FILES\n.TP\n.I /usr/share/misc/pci.ids\nnames of vendors and devices; without it, numbers\n',
    '.SH EXAMPLES\n',
    ...commands
      .flatMap((c) => [c, ...(c.subcommands ?? [])])
      .flatMap((c) => c.examples.map(([line, shows]) => `.TP\n.B ${roff(line)}\n${roff(shows)}\n`)),
    '.SH SEE ALSO\n.BR lspci (8)\n',
  ].join('');
}

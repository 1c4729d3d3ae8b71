/** What `abi` commands print of entries. */

import type { AbiEntry } from '../abi/entry.ts';
import { htmlOf, markdownOf } from '../abi/render.ts';
import type {
  AbiCheckReport,
  AbiEntryLine,
  AbiPlace,
  AbiShownPath,
  AbiUndefinedReport,
} from '../advise/report.ts';
import { InputError } from '../kernel/errors.ts';
import { printableLines } from '../kernel/printable.ts';
import type { Flags } from './args.ts';
import type { Context } from './context.ts';
import { type Output, table, wrap } from './output.ts';

const FORMATS = ['plain', 'markdown', 'html'] as const;
export type Format = (typeof FORMATS)[number];

/** @throws InputError a format it does not know, or one beside --json */
export function formatOf(flags: Flags): Format {
  const name = flags.value('format') ?? 'plain';
  const format = FORMATS.find((known) => known === name);
  if (format === undefined) throw new InputError('--format', `knows plain, markdown and html, not '${name}'`);
  if (format !== 'plain' && flags.on('json')) throw new InputError('--format', 'does not go with --json');
  return format;
}

/** Entries as a document. */
export function writeDocument(
  entries: readonly AbiEntry[],
  format: 'markdown' | 'html',
  context: Context,
): void {
  const text = format === 'html' ? htmlOf(entries, 'Linux ABI') : markdownOf(entries);
  context.out.write(printableLines(text));
}

/** One line for each interface. */
export function listText(entries: readonly AbiEntryLine[], out: Output): string {
  const rows = entries.flatMap(({ what, level, file, line }) =>
    what.map((text) => [level, `${file}:${line}`, oneLine(text)]),
  );
  return table(rows, out);
}

/** All of an entry; its description keeps its lines, so it is made printable here. */
export function entryText(entry: AbiEntryLine, description: string | undefined, out: Output): string {
  return (
    entry.what.map((what) => `${out.colors.bold(oneLine(what))}\n`).join('') + fields(entry, description, out)
  );
}

function fields(entry: AbiEntryLine, description: string | undefined, out: Output): string {
  const field = (name: string, value: string | undefined): string =>
    value ? wrap(oneLine(value), out, `  ${name.padEnd(15)}`, ' '.repeat(17)) : '';
  const lines = description ? printableLines(description).split('\n') : [];
  return [
    field('level', entry.level),
    field('document', `${entry.file}:${entry.line}`),
    field('kernel version', entry.kernelVersion),
    field('date', entry.date),
    field('contact', entry.contact),
    field('users', entry.users),
    ...(lines.length > 0 ? ['\n'] : []),
    ...lines.map((line) => (line === '' ? '\n' : `    ${line}\n`)),
  ].join('');
}

/** @param descriptions of its entries, as they stand */
export function shownText(
  { path, entries, above }: AbiShownPath,
  descriptions: readonly (string | undefined)[],
  out: Output,
): string {
  const heading = `${out.colors.bold(path)}\n`;
  if (entries.length > 0) {
    return entries
      .map((entry, at) => {
        const lacks = entry.loose ? ' (leaves out a part of the path)' : '';
        return `${heading}  ${'what'.padEnd(15)}${oneLine(entry.by)}${lacks}\n${fields(entry, descriptions[at], out)}`;
      })
      .join('\n');
  }
  const near = above === undefined ? '' : ` Above it, ${above.path} is: ${placeWords(above)}.`;
  return heading + wrap(`nothing documents it.${near}`, out, '  ');
}

export function undefinedText(report: AbiUndefinedReport, out: Output): string {
  const { bold } = out.colors;
  const lines = report.undefined.map((path) => `${path}\n`);
  if (report.gone.length > 0) {
    const rows = report.gone.map((gone) => [`  ${gone.path}`, placeWords(gone)]);
    lines.push(`\n${bold('Documented, and not there')}\n`, table(rows, out));
  }
  const count = `${report.undefined.length} of ${report.files} files are documented nowhere`;
  const more = report.complete ? '.' : '; there are more, which were not looked at.';
  return `${lines.join('')}\n${count}${more}\n`;
}

export function checkText({ programs }: AbiCheckReport, out: Output): string {
  return programs.map((program) => programText(program, out)).join('\n');
}

function programText({ uses, summary }: AbiCheckReport['programs'][number], out: Output): string {
  const rows = uses
    .filter(({ kind }) => kind === 'documented' || kind === 'nowhere')
    .map(({ path, lines, documents: [first] }) => [
      first?.level ?? 'nowhere',
      first?.since === undefined ? '' : `since ${oneLine(first.since)}`,
      lines === undefined ? path : `${path} (line ${lines.join(', ')})`,
    ]);
  return `${table(rows, out)}${rows.length > 0 ? '\n' : ''}${wrap(summary, out)}`;
}

/** `testing, since 5.15, testing/sysfs-bus-pci:130` */
export function placeWords({ level, since, file, line }: AbiPlace): string {
  return [level, ...(since === undefined ? [] : [`since ${oneLine(since)}`]), `${file}:${line}`].join(', ');
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ', ');
}

/** `abi lint` and `abi moves` for people: a line for each finding, as compilers write them. */

import type { AbiLintReport, AbiMovesReport } from '../advise/report.ts';
import type { Output } from './output.ts';

export function findingsText({ tree, documents, entries, findings }: AbiLintReport, out: Output): string {
  const lines = findings.map(
    ({ rule, severity, file, line, message, fix }) =>
      `${tree}/${file}:${line}: ${painted(severity, out)}: ${message}${fix === undefined ? '' : `; ${fix}`} [${rule}]\n`,
  );
  const counts = (['error', 'warning', 'note'] as const).flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [many(count, severity)];
  });
  const found = counts.length === 0 ? 'nothing' : counts.join(', ');
  return `${lines.join('')}${found} found in ${many(entries, 'entry', 'entries')} of ${many(documents, 'document')}\n`;
}

export function movesText(report: AbiMovesReport, out: Output, onlyBreaks: boolean): string {
  const lines: string[] = [];
  if (!onlyBreaks) {
    for (const { what, level, file, line } of report.added)
      lines.push(`${out.colors.green('added')}    ${level.padEnd(8)}  ${first(what)}  ${file}:${line}`);
    for (const { what, from, to } of report.moved)
      lines.push(
        `${out.colors.cyan('moved')}    ${from.level} to ${to.level}  ${first(what)}  ${to.file}:${to.line}`,
      );
    for (const { what, level, file, line, fields } of report.changed)
      lines.push(`changed  ${level.padEnd(8)}  ${first(what)}  ${file}:${line}  ${fields.join(', ')}`);
    for (const { what, level, file, line } of report.removed)
      lines.push(
        `${out.colors.yellow('removed')}  ${level.padEnd(8)}  ${first(what)}  ${file}:${line} (old)`,
      );
  }
  for (const { rule, severity, what, tree, file, line, message, fix } of report.breaks) {
    lines.push(
      `${report[tree]}/${file}:${line}: ${painted(severity, out)}: ${first(what)}: ${message}; ${fix} [${rule}]`,
    );
  }
  const { added, moved, changed, removed, breaks } = report;
  const counts = `${added.length} added, ${moved.length} moved, ${changed.length} changed, ${removed.length} removed`;
  return `${lines.map((line) => `${line}\n`).join('')}${counts}; ${many(breaks.length, 'break')} of the rules\n`;
}

function painted(severity: 'error' | 'warning' | 'note', { colors }: Output): string {
  return { error: colors.red, warning: colors.yellow, note: colors.dim }[severity](severity);
}

function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

function first(what: string): string {
  return what.split('\n')[0]!;
}

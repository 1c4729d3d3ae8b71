/** Writing for people: colours where wanted, widths where there is a terminal, tables and wrapped prose. */

import pc from 'picocolors';
import { printable } from '../kernel/printable.ts';

export type Colors = ReturnType<typeof pc.createColors>;

/** Where a command writes, and how. */
export interface Output {
  readonly colors: Colors;
  /** Columns of the terminal; `undefined`: not a terminal, so lines are never cut. */
  readonly width: number | undefined;
  /** Box-drawing characters may be used. */
  readonly unicode: boolean;
  write(text: string): void;
}

export interface OutputOptions {
  noColor: boolean;
  env: Record<string, string | undefined>;
  stream: { isTTY?: boolean; columns?: number };
  write(text: string): void;
}

export function makeOutput({ noColor, env, stream, write }: OutputOptions): Output {
  const terminal = stream.isTTY === true;
  const color = !noColor && !env.NO_COLOR && (terminal ? env.TERM !== 'dumb' : Boolean(env.FORCE_COLOR));
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return {
    colors: pc.createColors(color),
    width: terminal ? Math.max(40, stream.columns ?? 80) : undefined,
    unicode: /utf-?8/i.test(locale),
    write,
  };
}

/** One cell: its text, and how to paint it once it is padded. */
export type Cell = string | { text: string; paint: (text: string) => string };

const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text);

/**
 * Rows in aligned columns, two spaces between. The last column is cut where the terminal ends; cells of `right`
 * columns are right-aligned.
 */
export function table(
  rows: readonly Cell[][],
  output: Output,
  right: ReadonlySet<number> = new Set(),
): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, textOf(cell).length);
    });
  }
  const last = widths.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0);
  const room = output.width === undefined ? Number.POSITIVE_INFINITY : Math.max(16, output.width - before);
  return rows
    .map(
      (row) =>
        row
          .map((cell, column) => pad(cell, column))
          .join('  ')
          .trimEnd() + '\n',
    )
    .join('');

  function pad(cell: Cell, column: number): string {
    let text = textOf(cell);
    if (column === last) text = cut(text, room, output.unicode);
    else text = right.has(column) ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
    return typeof cell === 'string' ? text : cell.paint(text);
  }
}

/** At most `room` characters, the last of them an ellipsis where something was cut. */
export function cut(text: string, room: number, unicode: boolean): string {
  if (text.length <= room) return text;
  const mark = unicode ? '…' : '...';
  return text.slice(0, Math.max(0, room - mark.length)).trimEnd() + mark;
}

/** Prose wrapped at the terminal's width, 100 at most and 80 without a terminal; `hang` indents further lines. */
export function wrap(text: string, output: Output, indent = '', hang = indent): string {
  const width = Math.min(output.width ?? 80, 100);
  const lines: string[] = [];
  let line = indent;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = hang + word;
    } else {
      line += empty ? word : ` ${word}`;
    }
    empty = false;
  }
  lines.push(line);
  return lines.join('\n') + '\n';
}

/** A line for standard error, whatever the message quotes. */
export function messageLine(message: string): string {
  return `ringfence: ${printable(message.replace(/\s*\n\s*/g, ' '))}\n`;
}

/** The name of a device for reading: address and what it is. */
export type Title = (name: string) => string;

/** One line with the name of a device, cut where the terminal ends. */
export function titleLine(name: string, title: Title, out: Output, indent = ''): string {
  const text = indent + title(name);
  return `${out.width === undefined ? text : cut(text, out.width, out.unicode)}\n`;
}

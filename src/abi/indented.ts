/** Lines of a field, without the indentation that its first line of text has. */

const TAB = 8;
const BLANKS = ' '.repeat(TAB);

export class Indented {
  readonly #raw: string[] = [];
  readonly #keep: boolean;
  #lines: string[] | undefined;
  #text: string | undefined;

  /** @param keep how far a line is indented beyond the first one means something */
  constructor(keep: boolean) {
    this.#keep = keep;
  }

  /** @param lines one or more */
  add(lines: string): void {
    this.#raw.push(lines);
  }

  /** How many lines before the text are empty. */
  emptyBefore(): number {
    return Math.max(
      0,
      this.#stripped().findIndex((line) => line !== ''),
    );
  }

  /** Without empty lines at either end. */
  text(): string {
    this.#text ??= this.#stripped()
      .join('\n')
      .replace(/^\n+|\n+$/g, '');
    return this.#text;
  }

  #stripped(): string[] {
    if (this.#lines === undefined) {
      const lines = this.#raw.join('\n').split('\n');
      this.#lines = this.#keep ? unindented(lines) : lines.map((line) => line.trim());
    }
    return this.#lines;
  }
}

function unindented(raw: readonly string[]): string[] {
  let base: number | undefined;
  return raw.map((line) => {
    const expanded = expandTabs(line).trimEnd();
    if (expanded === '') return '';
    const indent = expanded.length - expanded.trimStart().length;
    base ??= indent;
    return expanded.slice(Math.min(indent, base));
  });
}

function expandTabs(line: string): string {
  if (!line.includes('\t')) return line;
  let text = '';
  let from = 0;
  for (let at = line.indexOf('\t'); at >= 0; at = line.indexOf('\t', from)) {
    text += line.slice(from, at);
    text += BLANKS.slice(text.length % TAB);
    from = at + 1;
  }
  return text + line.slice(from);
}

/** Paths of /sys, /proc, /dev and configfs in a script, in the strings of a program, or in a trace. */

export interface TextPath {
  /** As it stands, but for variables whose value stands elsewhere in the text. */
  path: string;
  /** From 1; a binary has one. */
  line: number;
}

/** A character of a path; a format, variable, command or pattern that stands for some. Each is of bounded length. */
const PIECE =
  /[\w./:@+~!-]|%[-0-9.]{0,8}l{0,2}[a-z]|\$\{[^}\s]{0,200}\}|\$\w+|\$\([^()\n]{0,200}\)|[*?]|\[[^\]\s/]{0,40}\]|\{[^{}\s"']{0,200}\}/
    .source;
const WORD = new RegExp(`(?:${PIECE})+`, 'g');
const ASSIGNED = new RegExp(
  `(?:^|[\\s;(&|])([A-Za-z_]\\w{0,60})[ \\t]{0,8}=[ \\t]{0,8}["'\`]?((?:${PIECE})+)`,
  'gm',
);
const LOOP = new RegExp(`\\bfor[ \\t]{1,8}(\\w{1,60})[ \\t]{1,8}in[ \\t]{1,8}["']?((?:${PIECE})+)`, 'g');
const VARIABLE = /^\$(?:\{(\w+)[^}]*\}|(\w+))/;
const ROOT = /(?:^|[:@!}\])]|%s|\$\w+)(\/(?:sys|proc|dev|config)\/.*)$/;

/** Values of one variable, and paths one word can stand for. */
const MOST_VALUES = 16;
const DEEPEST = 4;
/** Paths of a text; a generated one of millions is known by the first of them. */
const MOST_PATHS = 100_000;

export function pathsInText(text: string): TextPath[] {
  const binary = text.includes('\0');
  const plain = binary ? text : withoutQuotes(withoutComments(text));
  const values = binary ? new Map<string, string[]>() : valuesOf(plain);
  const found: TextPath[] = [];
  let line = 1;
  let counted = 0;
  for (const { 0: word, index } of plain.matchAll(WORD)) {
    if (!word.includes('/')) continue;
    for (const whole of expand(word, values, 0)) {
      const path = ROOT.exec(whole)?.[1]
        ?.replace(/[.:,!]+$/, '')
        .replace(/\/+/g, '/');
      if (path === undefined) continue;
      if (!binary) line += newlines(plain, counted, index);
      counted = index;
      found.push({ path, line });
      if (found.length >= MOST_PATHS) return found;
    }
  }
  return found;
}

/** A line that is a comment keeps its place and says nothing. */
function withoutComments(text: string): string {
  return text.replace(/^[ \t]*(?:#|\/\/).*$/gm, '');
}

/** `"$dev"/reset` and `/sys/"$name"` are one word for the shell. */
function withoutQuotes(text: string): string {
  return text.replace(/"(\$\w+|\$\{[^}"\s]{0,200}\})"/g, '$1').replace(/(?<=[$/]\w{1,60}|\})"(?=\/)/g, '');
}

function valuesOf(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const pattern of [ASSIGNED, LOOP]) {
    for (const [, name = '', value = ''] of text.matchAll(pattern)) {
      if (!/^[/$]/.test(value)) continue;
      const known = values.get(name) ?? [];
      if (known.length < MOST_VALUES && !known.includes(value)) known.push(value);
      values.set(name, known);
    }
  }
  return values;
}

/** With the variable at its beginning replaced by what it was given; elsewhere it stands for one name. */
function expand(word: string, values: ReadonlyMap<string, string[]>, depth: number): string[] {
  const [whole, braced, bare] = VARIABLE.exec(word) ?? [];
  const known = whole === undefined ? undefined : values.get(braced ?? bare ?? '');
  if (whole === undefined || known === undefined || depth >= DEEPEST) return [word];
  return known
    .flatMap((value) => expand(value + word.slice(whole.length), values, depth + 1))
    .slice(0, MOST_VALUES);
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** Reads policy files: JSON in which comments and a comma after the last entry are welcome. */

import { InputError } from '../kernel/errors.ts';
import { type CheckPolicy, DEFAULT_CHECK_POLICY, FINDING_CODES, isFixed, type Level } from './policy.ts';
import { lineOf, repeatedName } from './policy-names.ts';
import { issueWords } from './policy-words.ts';

/** A policy that names everything, with a page of comments on each, is far below. */
const LONGEST_POLICY = 1 << 20;

/** @throws InputError naming the file and the field or line, in one line */
export async function readPolicy(bytes: Uint8Array, place: string): Promise<CheckPolicy> {
  if (bytes.length > LONGEST_POLICY) throw new InputError(place, 'longer than 1 MiB: no policy');
  const value = parseCommentedJson(new TextDecoder().decode(bytes), place);
  checkKind(value, place);
  const { policySchema } = await import('./policy-schema.ts');
  const checked = policySchema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    throw new InputError(`${place}: ${fieldName(issue.path)}`, oneLine(issueWords(issue, value)));
  }
  const { findings, unknown, resetMethods } = checked.data;
  return {
    name: place,
    findings: (findings ?? {}) as Record<string, Level>,
    unknown: unknown ?? DEFAULT_CHECK_POLICY.unknown,
    resetMethods: resetMethods ?? [],
  };
}

/** Said in words before the schema says it in its own. */
function checkKind(value: unknown, place: string): void {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new InputError(place, 'is no JSON object');
  const { ringfence, version, findings } = value as Record<string, unknown>;
  if (ringfence !== 'policy')
    throw new InputError(`${place}: ringfence`, 'must be "policy"; this is no policy file');
  if (typeof version === 'number' && version > 1)
    throw new InputError(
      `${place}: version`,
      `${version} is newer than this program knows (1); update ringfence`,
    );
  if (findings === null || typeof findings !== 'object') return;
  for (const code of Object.keys(findings)) {
    const known = FINDING_CODES.find((other) => other === code);
    if (known === undefined)
      throw new InputError(`${place}: findings`, `there is no finding ${quoted(code)}; see docs/policy.md`);
    if (isFixed(known))
      throw new InputError(
        `${place}: findings.${known}`,
        'is what the kernel does, which no policy can change',
      );
  }
}

/** @throws InputError naming file and line */
export function parseCommentedJson(text: string, place: string): unknown {
  const plain = withoutComments(text, place);
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (error) {
    const message = (error as Error).message;
    const at = /position (\d+)/.exec(message)?.[1];
    const line = at === undefined ? undefined : lineOf(plain, Number(at));
    const reason = message.replace(/ in JSON at position.*| \(line.*|, "[\s\S]*$/, '');
    throw new InputError(line === undefined ? place : `${place}:${line}`, `broken JSON: ${oneLine(reason)}`);
  }
  const twice = repeatedName(plain);
  if (twice !== undefined)
    throw new InputError(`${place}:${twice.line}`, `${quoted(twice.name)} is there twice`);
  return value;
}

/**
 * Comments and needless commas become blanks, so that every character keeps its place and messages their line.
 * @throws InputError for a comment that does not end
 */
function withoutComments(text: string, place: string): string {
  const chars = text.split('');
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at++) if (chars[at] !== '\n') chars[at] = ' ';
  };
  if (text.charCodeAt(0) === 0xfeff) blank(0, 1);
  /** The last character that counts, and where it stands. */
  let last = '';
  let lastAt = 0;
  let before = '';
  for (let at = 0, end = 0; at < text.length; at = end) {
    const char = text[at]!;
    end = at + 1;
    if (text.startsWith('//', at)) {
      const stop = text.indexOf('\n', at);
      end = stop < 0 ? text.length : stop;
      blank(at, end);
    } else if (text.startsWith('/*', at)) {
      const stop = text.indexOf('*/', at + 2);
      if (stop < 0) throw new InputError(`${place}:${lineOf(text, at)}`, 'a comment begins and does not end');
      end = stop + 2;
      blank(at, end);
    } else if (!/\s/.test(char)) {
      if (char === '"') end = endOfString(text, at);
      const needless = last === ',' && !'{[,'.includes(before);
      if ((char === '}' || char === ']') && needless) blank(lastAt, lastAt + 1);
      [before, last, lastAt] = [last, char, at];
    }
  }
  return chars.join('');
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, text.length);
}

function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'policy';
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${oneLine(String(part))}`));
  return parts.join('').replace(/^\./, '');
}

function oneLine(text: string): string {
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return clean.length > 160 ? `${clean.slice(0, 160)}…` : clean;
}

function quoted(text: string): string {
  return `"${oneLine(text.length > 40 ? `${text.slice(0, 40)}…` : text)}"`;
}

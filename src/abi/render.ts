/** Entries as documents: Markdown and HTML. Descriptions stay as they are laid out; nothing in them is mark-up here. */

import { type AbiEntry, type FieldName, fieldOf } from './entry.ts';

const SHOWN: readonly (readonly [FieldName, string])[] = [
  ['date', 'Date'],
  ['kernelversion', 'Kernel version'],
  ['contact', 'Contact'],
  ['users', 'Users'],
];

export function markdownOf(entries: readonly AbiEntry[]): string {
  return entries.map(entryMarkdown).join('\n');
}

function entryMarkdown(entry: AbiEntry): string {
  const description = fieldOf(entry, 'description')?.text ?? '';
  const fence = '`'.repeat(Math.max(3, longestRun(description) + 1));
  return [
    ...whatsOf(entry).map((what) => `## ${code(what)}\n`),
    `- Level: ${text(entry.level)}`,
    `- File: ${code(`${entry.file}:${entry.what[0]?.line ?? 1}`)}`,
    ...rows(entry).map(([name, value]) => `- ${name}: ${text(value)}`),
    ...(description === '' ? [] : [`\n${fence}text\n${description}\n${fence}`]),
    '',
  ].join('\n');
}

/** @returns a whole page */
export function htmlOf(entries: readonly AbiEntry[], title: string): string {
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<title>${escaped(title)}</title></head><body>`,
    `<h1>${escaped(title)}</h1>`,
    ...entries.map(entryHtml),
    '</body></html>\n',
  ].join('\n');
}

function entryHtml(entry: AbiEntry): string {
  const description = fieldOf(entry, 'description')?.text ?? '';
  const row = ([name, value]: readonly [string, string]): string =>
    `<dt>${name}</dt><dd>${escaped(value)}</dd>`;
  return [
    `<section>`,
    ...whatsOf(entry).map((what) => `<h2><code>${escaped(what)}</code></h2>`),
    '<dl>',
    row(['Level', entry.level]),
    row(['File', `${entry.file}:${entry.what[0]?.line ?? 1}`]),
    ...rows(entry).map(row),
    '</dl>',
    ...(description === '' ? [] : [`<pre>${escaped(description)}</pre>`]),
    '</section>',
  ].join('\n');
}

function whatsOf(entry: AbiEntry): string[] {
  return entry.what.map(({ text }) => oneLine(text));
}

function rows(entry: AbiEntry): [string, string][] {
  return SHOWN.flatMap(([field, name]): [string, string][] => {
    const value = oneLine(fieldOf(entry, field)?.text ?? '');
    return value === '' ? [] : [[name, value]];
  });
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ', ');
}

function code(text: string): string {
  const fence = '`'.repeat(longestRun(text) + 1);
  const room = text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return `${fence}${room}${text}${room}${fence}`;
}

/** Text in which no character is mark-up. */
function text(plain: string): string {
  return plain.replace(/[\\`*_{}[\]<>&#|~]/g, '\\$&');
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(plain: string): string {
  return plain.replace(/[&<>"']/g, (char) => ENTITIES[char]!);
}

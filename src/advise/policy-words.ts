/** What the schema has against a policy, in plain words. */

import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

const TYPES: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'text',
  number: 'a number',
};

/** @param value the whole of what was checked */
export function issueWords(issue: Issue, value: unknown): string {
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    return `there is no field ${shown(key)}; there are findings, unknown and resetMethods`;
  }
  const wanted =
    issue.code === 'invalid_value'
      ? alternatives(issue.values)
      : issue.code === 'invalid_type'
        ? (TYPES[issue.expected] ?? issue.expected)
        : issue.message;
  const given = at(value, issue.path);
  return given === undefined ? `is missing; it must be ${wanted}` : `must be ${wanted}, not ${shown(given)}`;
}

function alternatives(values: readonly unknown[]): string {
  const words = values.map((value) => JSON.stringify(value));
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key], value);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 42 ? `${text.slice(0, 41)}…"` : text;
}

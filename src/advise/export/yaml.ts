/** Plain data as YAML in block style: keys in the order they stand, strings as `yamlScalar` has them. */

import { yamlScalar } from './escape.ts';

export type YamlValue = string | number | boolean | YamlValue[] | { [key: string]: YamlValue };

export function yaml(value: YamlValue): string {
  return block(value, '');
}

function block(value: YamlValue, indent: string): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return `${indent}[]\n`;
    return value.map((item) => `${indent}- ${block(item, `${indent}  `).slice(indent.length + 2)}`).join('');
  }
  if (typeof value !== 'object') return `${indent}${yamlScalar(value)}\n`;
  const entries = Object.entries(value);
  if (entries.length === 0) return `${indent}{}\n`;
  return entries.map(([key, item]) => `${indent}${yamlScalar(key)}:${below(item, indent)}`).join('');
}

/** What stands behind a key: scalars and empty collections on its line, everything else under it. */
function below(value: YamlValue, indent: string): string {
  const short = typeof value !== 'object' || (Array.isArray(value) ? value : Object.keys(value)).length === 0;
  return short ? ` ${block(value, '')}` : `\n${block(value, `${indent}  `)}`;
}

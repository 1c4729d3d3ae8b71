/** Entries as reports have them. */

import { type AbiEntry, type FieldName, fieldOf, type Located } from '../abi/entry.ts';
import type { AbiEntryLine, AbiPlace } from './report-abi.ts';

export function entryLine(entry: AbiEntry): AbiEntryLine {
  const field = (name: FieldName): string | undefined => fieldOf(entry, name)?.text.trim() || undefined;
  const [date, kernelVersion, contact] = [field('date'), field('kernelversion'), field('contact')];
  const [users, description] = [field('users'), fieldOf(entry, 'description')?.text];
  return {
    what: entry.what.map(({ text }) => text),
    level: entry.level,
    file: entry.file,
    line: entry.what[0]?.line ?? 1,
    ...(date !== undefined && { date }),
    ...(kernelVersion !== undefined && { kernelVersion }),
    ...(contact !== undefined && { contact }),
    ...(users !== undefined && { users }),
    ...(description !== undefined && { description }),
  };
}

export function abiPlace({ entry, what }: { entry: AbiEntry; what: Located }): AbiPlace {
  const since = sinceOf(entry);
  return {
    what: what.text,
    level: entry.level,
    file: entry.file,
    line: what.line,
    ...(since !== undefined && { since }),
  };
}

/** `6.8`, else the date as it stands. */
function sinceOf(entry: AbiEntry): string | undefined {
  const version = fieldOf(entry, 'kernelversion')?.text.trim();
  const date = fieldOf(entry, 'date')?.text.trim();
  if (version) return /^v?\d/.test(version) ? version.replace(/^v/, '') : version;
  return date || undefined;
}

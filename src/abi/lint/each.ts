/** Ways through a tree that rules share. */

import {
  type AbiEntry,
  type AbiField,
  type AbiFile,
  type AbiTree,
  entriesOf,
  type FieldName,
  fieldOf,
  type MalformationKind,
} from '../entry.ts';
import type { Remark } from './rule.ts';

/** Every field of that name that says something. */
export function* fieldsNamed(
  tree: AbiTree,
  name: FieldName,
): Generator<{ entry: AbiEntry; field: AbiField }> {
  for (const entry of entriesOf(tree)) {
    for (const field of entry.fields) if (field.name === name && field.text !== '') yield { entry, field };
  }
}

/** Entries without a field, each at its first What. */
export function* entriesWithout(tree: AbiTree, name: FieldName): Generator<Remark & { entry: AbiEntry }> {
  for (const entry of entriesOf(tree)) {
    if (fieldOf(entry, name) !== undefined) continue;
    const [first] = entry.what;
    yield {
      entry,
      file: entry.file,
      line: first!.line,
      message: `${quoted(first!.text)} has no ${TAGS[name]}`,
    };
  }
}

export const TAGS: Readonly<Record<FieldName, string>> = {
  date: 'Date',
  kernelversion: 'KernelVersion',
  contact: 'Contact',
  description: 'Description',
  users: 'Users',
};

/** What the reader could not place, of one kind. */
export function* malformed(
  tree: AbiTree,
  kind: MalformationKind,
): Generator<{ file: AbiFile; text: string; line: number }> {
  for (const file of tree.files) {
    for (const found of file.malformations) if (found.kind === kind) yield { file, ...found };
  }
}

/** In quotes and no longer than a line has room for. */
export function quoted(text: string): string {
  const line = text.split('\n')[0]!;
  return `'${line.length > 100 ? `${line.slice(0, 97)}...` : line}'`;
}

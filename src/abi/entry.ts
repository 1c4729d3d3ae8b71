/** What Documentation/ABI says, as data: files, their entries, and the fields of each with the line they stand on. */

/** The promise a directory stands for, from the strongest down; `removed` is history. */
export const LEVELS = ['stable', 'testing', 'obsolete', 'removed'] as const;
export type Level = (typeof LEVELS)[number];

/** The fields an entry may have, in the order the README gives, but for `What`. */
export const FIELDS = ['date', 'kernelversion', 'contact', 'description', 'users'] as const;
export type FieldName = (typeof FIELDS)[number];

/** Text and the line (from 1) it begins on. */
export interface Located {
  text: string;
  line: number;
}

export interface AbiField extends Located {
  name: FieldName;
  /** The tag as it is spelled: `Contact`, `contact`, `WDate`. */
  tag: string;
  /** Line the first line of `text` stands on: the tag's, or a later one. */
  textLine: number;
}

export interface AbiEntry {
  /** One interface each: a path with place-holders, or words where there is no path. Never empty. */
  what: Located[];
  /** Name of the directory: one of `LEVELS` in a tree that is as it should be. */
  level: string;
  /** Below the tree: `testing/sysfs-kernel-iommu_groups`. */
  file: string;
  /** As they stand; a tag given twice is here twice. */
  fields: AbiField[];
}

/** What is wrong with the form of a file; what it means for the reader is said by the checker's rules. */
export type MalformationKind =
  /** `Where:` where `What:` is meant. */
  | 'where'
  /** A tag with letters around it: `WDate:`. */
  | 'odd-tag'
  /** Not in the README's spelling: `contact:`. */
  | 'lower-case'
  /** A word with a colon that is no tag, in an entry and outside its description. */
  | 'unknown-tag'
  /** A field before the first `What:`. */
  | 'no-what'
  /** Too large, or not text. */
  | 'unreadable';

export interface Malformation extends Located {
  kind: MalformationKind;
}

export interface AbiFile {
  file: string;
  level: string;
  /** Lines before the first `What:`, which speak about all of the file. */
  preface: Located[];
  entries: AbiEntry[];
  malformations: Malformation[];
}

export interface AbiTree {
  /** Where it was read. */
  root: string;
  /** By name of the file. */
  files: AbiFile[];
}

/** All entries of a tree, file by file. */
export function* entriesOf(tree: AbiTree): Generator<AbiEntry> {
  for (const file of tree.files) yield* file.entries;
}

/** The first field of that name; descriptions given in pieces are put together. */
export function fieldOf(entry: AbiEntry, name: FieldName): Located | undefined {
  const found = entry.fields.filter((field) => field.name === name);
  const first = found[0];
  if (first === undefined || found.length === 1) return first;
  if (name !== 'description') return found.at(-1);
  return { line: first.line, text: found.map((field) => field.text).join('\n') };
}

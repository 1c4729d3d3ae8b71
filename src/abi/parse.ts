/**
 * One file of Documentation/ABI into entries. Everything is kept with its line, and nothing stops the reading: what
 * has no place in the format becomes a malformation.
 *
 * A tag stands at column 0 and ends in a colon; lines that follow belong to it. Several `What:` in a row share one
 * body. Inside a description any other word with a colon is part of the text.
 */

import type { AbiEntry, AbiFile, FieldName, Malformation, MalformationKind } from './entry.ts';
import { FIELDS } from './entry.ts';
import { SourceField } from './source-field.ts';

/** `Tag:` and what follows on its line. */
const TAG = /^([^\s:]+):\s*(.*)$/;
const SPELLING: Readonly<Record<'what' | FieldName, string>> = {
  what: 'What',
  date: 'Date',
  kernelversion: 'KernelVersion',
  contact: 'Contact',
  description: 'Description',
  users: 'Users',
};

/** @param file below the tree, its first part the level: `testing/sysfs-bus-pci` */
export function parseAbiFile(file: string, text: string): AbiFile {
  return new Parser(file, text).parse();
}

class Parser {
  readonly #file: AbiFile;
  readonly #text: string;
  /** Where the line begins that is looked at. */
  #from = 0;
  #entry: AbiEntry | undefined;
  /** What the lines that follow belong to. */
  #open: SourceField | undefined;

  constructor(file: string, text: string) {
    this.#file = { file, level: file.split('/').at(-2) ?? '', preface: [], entries: [], malformations: [] };
    this.#text = text;
  }

  parse(): AbiFile {
    const text = this.#text;
    for (let at = 1; this.#from <= text.length; at++) {
      const found = text.indexOf('\n', this.#from);
      const end = found < 0 ? text.length : found;
      // The lines of a field are cut out of the text when it ends: nearly all of a file, and none of them a tag.
      if (this.#open === undefined || !isIndented(text.charCodeAt(this.#from))) {
        const line = text.slice(this.#from, text[end - 1] === '\r' ? end - 1 : end);
        if (!this.#tagged(line, at) && this.#open === undefined) this.#untagged(line, at);
      }
      this.#from = end + 1;
    }
    this.#close();
    return this.#file;
  }

  #tagged(line: string, at: number): boolean {
    if (!line.includes(':')) return false;
    const [, tag, rest = ''] = TAG.exec(line) ?? [];
    if (tag === undefined) return false;
    const name = tagName(tag);
    if (name === undefined) {
      const known = this.#entry === undefined || this.#open?.name === 'description';
      if (!known) this.#malformed('unknown-tag', line, at);
      return false;
    }
    this.#spelling(name, tag, line, at);
    this.#close();
    if (name === 'what') this.#what(rest, at);
    else this.#field(name, tag, line, at);
    return true;
  }

  #what(rest: string, line: number): void {
    const what = { text: rest.trimEnd().replace(/[,.;]$/, ''), line };
    if (this.#entry !== undefined && this.#entry.fields.length === 0) {
      this.#entry.what.push(what);
      return;
    }
    this.#entry = { what: [what], level: this.#file.level, file: this.#file.file, fields: [] };
    this.#file.entries.push(this.#entry);
  }

  #field(name: FieldName, tag: string, line: string, at: number): void {
    if (this.#entry === undefined) {
      this.#malformed('no-what', line, at);
      return;
    }
    this.#open = new SourceField(name, tag, at, this.#text, this.#from);
    this.#entry.fields.push(this.#open);
  }

  /** A line before any field: it continues a What, or stands before the first. */
  #untagged(line: string, at: number): void {
    const text = line.trim();
    if (text === '') return;
    const last = this.#entry?.what.at(-1);
    if (last === undefined) this.#file.preface.push({ text, line: at });
    else last.text += `\n${text}`;
  }

  #close(): void {
    this.#open?.endAt(Math.max(0, Math.min(this.#from - 1, this.#text.length)));
    this.#open = undefined;
  }

  #spelling(name: 'what' | FieldName, tag: string, line: string, at: number): void {
    if (tag === SPELLING[name]) return;
    const lower = tag.toLowerCase();
    if (lower === 'where') this.#malformed('where', line, at);
    else this.#malformed(lower === name ? 'lower-case' : 'odd-tag', line, at);
  }

  #malformed(kind: MalformationKind, text: string, line: number): void {
    const found: Malformation = { kind, text, line };
    this.#file.malformations.push(found);
  }
}

const [SPACE, TAB, LINE_END] = [32, 9, 10];

/** Whether a line that begins so is blank or indented: a tag is not. */
function isIndented(code: number): boolean {
  return code === SPACE || code === TAB || code === LINE_END;
}

/** The tag a word stands for; as the kernel's tool does it, the name is looked for anywhere in the word. */
function tagName(word: string): 'what' | FieldName | undefined {
  const lower = word.toLowerCase();
  if (lower.includes('what') || lower.includes('where')) return 'what';
  return FIELDS.find((name) => lower.includes(name));
}

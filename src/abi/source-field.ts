/** A field as a place in its file. Its text is put together when it is asked for: a search by name needs none. */

import type { AbiField, FieldName } from './entry.ts';
import { Indented } from './indented.ts';

export class SourceField implements AbiField {
  readonly name: FieldName;
  readonly tag: string;
  readonly line: number;
  readonly #source: string;
  /** Its lines begin with the tag, at the first place, and end before the second. */
  readonly #from: number;
  #to: number;
  #body: Indented | undefined;

  constructor(name: FieldName, tag: string, line: number, source: string, from: number) {
    this.name = name;
    this.tag = tag;
    this.line = line;
    this.#source = source;
    this.#from = from;
    this.#to = from;
  }

  /** @param place where the line begins that is no longer its own */
  endAt(place: number): void {
    this.#to = place;
  }

  get text(): string {
    return this.#indented().text();
  }

  get textLine(): number {
    return this.text === '' ? this.line : this.line + this.#indented().emptyBefore();
  }

  /** What it says, for JSON. */
  toJSON(): AbiField {
    const { name, tag, line, text, textLine } = this;
    return { name, tag, line, text, textLine };
  }

  #indented(): Indented {
    if (this.#body === undefined) {
      const description = this.name === 'description';
      this.#body = new Indented(description);
      const lines = this.#source.slice(this.#from + this.tag.length + 1, this.#to).replaceAll('\r\n', '\n');
      // The first line of a description may set the indentation, counted from the tag.
      this.#body.add(description ? ' '.repeat(this.tag.length + 1) + lines : lines);
    }
    return this.#body;
  }
}

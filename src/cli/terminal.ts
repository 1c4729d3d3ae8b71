/** Questions at the terminal: on standard error, so that they are seen while output goes to a file. */

import { createInterface, type Interface } from 'node:readline';
import { printable } from '../kernel/printable.ts';
import type { World } from './run.ts';

export class Terminal implements Disposable {
  readonly #write: (text: string) => unknown;
  readonly #input: Interface;
  readonly #lines: AsyncIterator<string>;

  /** Absent where a question would not be seen, or its answer not typed. */
  static of({ stdin, stderr }: World): Terminal | undefined {
    if (stdin?.isTTY !== true || stderr.isTTY !== true) return undefined;
    return new Terminal(stdin, (text) => stderr.write(text));
  }

  private constructor(stdin: NodeJS.ReadableStream, write: (text: string) => unknown) {
    this.#write = write;
    this.#input = createInterface({ input: stdin, terminal: false });
    this.#lines = this.#input[Symbol.asyncIterator]();
  }

  /** @returns the line that was typed; `undefined` when the terminal was closed instead */
  async ask(question: string): Promise<string | undefined> {
    this.#write(printable(question));
    const { done, value } = await this.#lines.next();
    return done ? undefined : value;
  }

  [Symbol.dispose](): void {
    this.#input.close();
  }
}

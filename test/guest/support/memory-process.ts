/** A running `test/guest/programs/memory.c`. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compile } from './compile.ts';

let program: string | undefined;

export class MemoryProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    program ??= compile('memory');
    this.#child = spawn(program);
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The line that answers `command`. */
  async ask(command: string): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the process ended after: ${command}`);
    if (value.startsWith('error')) throw new Error(`${command}: ${value}`);
    return value;
  }

  /** Address of fresh memory; `kind` as in the program. */
  async map(kind: string, bytes: number, file = ''): Promise<bigint> {
    return BigInt(await this.ask(`map ${kind} ${bytes} ${file}`));
  }

  async set(address: bigint, byte: number, count: number): Promise<void> {
    await this.ask(`set ${address} ${byte} ${count}`);
  }

  async get(address: bigint, count: number): Promise<string> {
    return this.ask(`get ${address} ${count}`);
  }

  /** Ends it and waits until it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** The log of every call: where its lines go, and how they begin. */

import { closeSync, openSync, writeSync } from 'node:fs';
import type { KernelError } from '../kernel/errors.ts';
import { InputError } from '../kernel/errors.ts';
import { printable } from '../kernel/printable.ts';
import { type CallOutcome, describePlain } from '../uapi/trace.ts';

/** What of calls is told to whom. */
export interface CallLog {
  /** Nobody reads it: lines need not be made. */
  readonly isOn: boolean;
  line(tid: number, text: string): void;
  plain(
    tid: number,
    call: string,
    label: string,
    args: readonly (string | number | bigint)[],
    outcome: CallOutcome,
  ): void;
  /** What the model does of itself, or has to say. */
  remark(text: string): void;
}

export class TraceLog implements CallLog {
  readonly #fd: number | undefined;

  /** @param fd where lines go; none: nowhere */
  constructor(fd: number | undefined) {
    this.#fd = fd;
  }

  get isOn(): boolean {
    return this.#fd !== undefined;
  }

  line(tid: number, text: string): void {
    this.#write(`[${tid}] ${text}`);
  }

  plain(
    tid: number,
    call: string,
    label: string,
    args: readonly (string | number | bigint)[],
    outcome: CallOutcome,
  ): void {
    if (this.isOn) this.line(tid, describePlain(call, label, args, outcome));
  }

  remark(text: string): void {
    this.#write(`-- ${text}`);
  }

  /** What a program wrote into an attribute, as a line of the log. */
  wrote(tid: number, path: string, bytes: Uint8Array, outcome: number | KernelError): void {
    if (!this.isOn) return;
    const text = JSON.stringify(Buffer.from(bytes.subarray(0, SHOWN)).toString('latin1'));
    const words = typeof outcome === 'number' ? { result: outcome } : { error: outcome };
    this.plain(tid, 'write', `/sys${path}`, [bytes.length > SHOWN ? `${text}...` : text], words);
  }

  #write(text: string): void {
    if (this.#fd !== undefined) writeAll(this.#fd, `${printable(text)}\n`);
  }
}

/** Of what is written to an attribute. */
const SHOWN = 64;

/**
 * Where `--trace` goes: standard error, or a file made anew.
 *
 * @throws InputError the file cannot be written
 */
export function openTrace(file: string | undefined): number {
  if (file === undefined) return 2;
  try {
    return openSync(file, 'w');
  } catch (error) {
    throw new InputError('--trace', `${file} cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}

export function closeTrace(fd: number): void {
  if (fd > 2) closeSync(fd);
}

/**
 * The whole text, at once: the thread that serves has no event loop to write later. A pipe that is full is waited for,
 * also when somebody made it non-blocking; one nobody reads any more is done with.
 */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
}

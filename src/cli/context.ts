/** What commands share: the machine they speak of, names for its devices, and where they write. */

import { Describer } from '../advise/describe.ts';
import type { AnyReport } from '../advise/report.ts';
import { readPciIds } from '../host/pci-ids.ts';
import { readHost } from '../host/read-host.ts';
import type { Detail, Snapshot } from '../host/snapshot.ts';
import { printableData } from '../kernel/printable.ts';
import type { PciIds } from '../pci/ids.ts';
import { messageLine, type Output } from './output.ts';
import type { Terminal } from './terminal.ts';

/** Exit codes (design.md). */
export const EXIT = { yes: 0, no: 1, usage: 2, cannotTell: 3, failed: 4 } as const;

export class Context {
  readonly out: Output;
  readonly json: boolean;
  /** `--host`; absent: this machine. */
  readonly host: string | undefined;
  readonly env: Record<string, string | undefined>;
  /** The terminal to ask at; absent: there is nobody to ask. Looked at only when there is a question. */
  readonly terminal: () => Terminal | undefined;
  readonly #err: (text: string) => void;
  #ids: PciIds | undefined;
  #input: Snapshot | undefined;

  constructor(
    out: Output,
    options: {
      json: boolean;
      host: string | undefined;
      err?: (text: string) => void;
      env?: Record<string, string | undefined>;
      terminal?: () => Terminal | undefined;
    },
  ) {
    this.out = out;
    this.json = options.json;
    this.host = options.host;
    this.env = options.env ?? {};
    this.terminal = options.terminal ?? (() => undefined);
    this.#err = options.err ?? (() => {});
  }

  /** The machine of `--host`. With `names`, no more is read than a plain list shows; standard input is read once. */
  async snapshot(detail: Detail = 'all'): Promise<Snapshot> {
    if (this.host !== '-') return readHost(this.host, { detail });
    this.#input ??= await readHost(this.host);
    return this.#input;
  }

  /** Another source, for commands that compare. */
  read(source: string): Promise<Snapshot> {
    return readHost(source);
  }

  describer(snapshot: Snapshot): Describer {
    this.#ids ??= readPciIds();
    return new Describer(snapshot, this.#ids);
  }

  /** One line beside the output, where it does not end up in a file or a pipe: on standard error. */
  note(line: string): void {
    this.#err(messageLine(line));
  }

  /**
   * Writes the report: JSON where asked for, else what `text` makes of it. This is the one place where strangers'
   * text is made fit for a terminal: before colours and widths, and after everything that is decided by names.
   */
  print<R extends AnyReport>(report: R, text: (report: R, out: Output) => string): void {
    this.out.write(
      this.json ? JSON.stringify(report, undefined, 2) + '\n' : text(printableData(report), this.out),
    );
  }
}

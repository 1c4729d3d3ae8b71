/** What the kernel would print: kept for warnings, passed on for everything. */

export type Level = 'info' | 'warn' | 'err';

export interface Message {
  level: Level;
  /** What it is about: `group 7 "vfio-noiommu"`, `0000:01:00.0`. */
  object: string;
  text: string;
}

/** More than anyone reads; a loop that warns for ever must not fill the memory. */
const KEPT = 1000;

/** The kernel log as far as one subsystem writes it. */
export class Messages {
  readonly #warnings: Message[] = [];
  readonly #listener: ((message: Message) => void) | undefined;
  #dropped = 0;

  /** @param listener sees every message, information as well */
  constructor(listener?: (message: Message) => void) {
    this.#listener = listener;
  }

  /** The first thousand messages of level `warn` and `err` (`dev_warn`, `WARN_ON`, `dev_err`). */
  get warnings(): readonly Message[] {
    return this.#warnings;
  }

  /** How many warnings came after those. */
  get dropped(): number {
    return this.#dropped;
  }

  /** `dev_info`. */
  info(object: string, text: string): void {
    this.#listener?.({ level: 'info', object, text });
  }

  /** `dev_warn` and `WARN_ON`: something is wrong and the kernel carries on. */
  warn(object: string, text: string): void {
    this.#keep({ level: 'warn', object, text });
  }

  /** `dev_err`. */
  err(object: string, text: string): void {
    this.#keep({ level: 'err', object, text });
  }

  #keep(message: Message): void {
    this.#listener?.(message);
    if (this.#warnings.length < KEPT) this.#warnings.push(message);
    else this.#dropped++;
  }
}

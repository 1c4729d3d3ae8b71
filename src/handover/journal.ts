/** The journals of hand-overs: numbered, one each, written ahead of every write to sysfs. */

import type { HandoverLine } from '../advise/report.ts';
import { KernelError } from '../kernel/errors.ts';
import type { JournalDisk, JournalFile } from './journal-disk.ts';
import { type JournalRecord, type Recorded, readRecords, recordLine } from './journal-records.ts';

/** An open journal. */
export class Journal implements Disposable {
  readonly id: number;
  readonly #file: JournalFile;

  constructor(id: number, file: JournalFile) {
    this.id = id;
    this.#file = file;
  }

  /**
   * On disk when this returns.
   * @throws KernelError ENOSPC, EACCES, EIO; then what the record announces must not be done
   */
  add(record: JournalRecord): void {
    this.#file.append(recordLine(record));
    this.#file.sync();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

export class Journals {
  readonly #disk: JournalDisk;

  constructor(disk: JournalDisk) {
    this.#disk = disk;
  }

  /** Begins a hand-over: its first record is on disk. */
  begin(record: JournalRecord & { record: 'begin' }): Journal {
    const journal = this.#create();
    try {
      journal.add(record);
      return journal;
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  open(id: number): Journal {
    return new Journal(id, this.#disk.open(id));
  }

  read(id: number): Recorded {
    return readRecords(id, this.#disk.read(id));
  }

  has(id: number): boolean {
    return this.#disk.ids().includes(id);
  }

  /** Oldest first. */
  all(): Recorded[] {
    return this.#disk.ids().map((id) => this.read(id));
  }

  lines(): HandoverLine[] {
    return this.all().map(({ id, state, time, tree, plan, before }) => ({
      id,
      state,
      ...(time !== undefined && { time }),
      ...(tree !== undefined && { tree }),
      ...(plan !== undefined && { driver: plan.driver }),
      devices: plan?.devices.map(({ address }) => address) ?? [...before.keys()],
    }));
  }

  /** The next number; runs on other trees may be taking numbers at the same time. */
  #create(): Journal {
    for (let id = (this.#disk.ids().at(-1) ?? 0) + 1; ; id++) {
      try {
        return new Journal(id, this.#disk.create(id));
      } catch (error) {
        if (!(error instanceof KernelError && error.code === 'EEXIST')) throw error;
      }
    }
  }
}

/** A queue that user space reads through a file: page faults, and events of a vIOMMU (`struct iommufd_eventq`). */

import type { Context } from './context.ts';
import { IommufdObject, type ObjectType } from './object.ts';
import type { OpenFile } from './open-files.ts';

/** What `poll` answers. */
export interface PollState {
  /** `EPOLLIN | EPOLLRDNORM`: something is queued. */
  readonly readable: boolean;
  /** `EPOLLOUT`. */
  readonly writable: boolean;
}

export abstract class EventQueue<Event> extends IommufdObject {
  /** `deliver`: what nobody has read yet, oldest first. */
  protected readonly queued: Event[] = [];
  /** Whether the file can be written to. */
  protected readonly writable: boolean;
  readonly #listeners = new Set<() => void>();
  #file: QueueFile<this> | undefined;

  constructor(context: Context, type: ObjectType, writable: boolean) {
    super(context, type);
    this.writable = writable;
  }

  /** Queued and unread. */
  get waiting(): number {
    return this.queued.length;
  }

  /** `filep`, until it is closed. */
  get file(): QueueFile<this> | undefined {
    return this.#file;
  }

  /** `iommufd_eventq_fops_poll`. */
  poll(): PollState {
    return { readable: this.queued.length > 0, writable: this.writable };
  }

  /**
   * `poll_wait`: `listener` is called whenever something is queued, until the function returned is called. It may
   * read at once.
   */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * `iommufd_eventq_init`: the one file of this queue. While it is open, the queue is in use and the context stays.
   *
   * @param name as in `/proc/PID/fd`, e.g. `[iommufd-pgfault]`
   */
  openFile(name: string): QueueFile<this> {
    this.users++;
    this.context.get();
    this.#file = new QueueFile(this, name, () => {
      this.#file = undefined;
      this.users--;
      this.context.put();
    });
    return this.#file;
  }

  /** The file is closed at once: nobody else can have it yet. */
  override abort(): void {
    this.#file?.close();
    this.destroy();
  }

  /** `wake_up_interruptible`, after something was queued. */
  protected wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The open file of a queue. */
export class QueueFile<Q> implements OpenFile {
  readonly queue: Q;
  readonly name: string;
  readonly #onClose: () => void;
  #open = true;

  constructor(queue: Q, name: string, onClose: () => void) {
    this.queue = queue;
    this.name = name;
    this.#onClose = onClose;
  }

  /** `iommufd_eventq_fops_release`; once. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onClose();
  }
}

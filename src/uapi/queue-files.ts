/** Files that page faults and events of vIOMMUs are read from. */

import type { PollState } from '../iommufd/event-queue.ts';
import type { FaultQueue } from '../iommufd/fault-queue.ts';
import type { OpenFile as KernelFile } from '../iommufd/open-files.ts';
import { EVENT_HEADER_BYTES, type SequencedQueue } from '../iommufd/sequenced-queue.ts';
import { KernelError } from '../kernel/errors.ts';
import { type Caller, type OpenFile, Poll } from './open-file.ts';
import { HWPT_PAGE_RESPONSE, HWPT_PGFAULT, VEVENT_HEADER } from './queue-structs.ts';

interface Queue {
  poll(): PollState;
  onWake(listener: () => void): () => void;
}

abstract class QueueOpenFile<Q extends Queue> {
  /** `nonseekable_open` */
  readonly seekable = false;
  readonly file: KernelFile;
  protected readonly queue: Q;

  constructor(file: KernelFile, queue: Q) {
    this.file = file;
    this.queue = queue;
  }

  get label(): string {
    return this.file.name;
  }

  /** @throws KernelError ENOTTY whatever the command */
  ioctl(): never {
    throw new KernelError('ENOTTY', this.label, 'has no ioctls', 'they are for the iommufd it is of');
  }

  /** `iommufd_eventq_fops_poll` */
  poll(): number {
    const { readable, writable } = this.queue.poll();
    return (readable ? Poll.In | Poll.ReadNormal : 0) | (writable ? Poll.Out : 0);
  }

  onWake(listener: () => void): () => void {
    return this.queue.onWake(listener);
  }

  release(): void {
    this.file.close();
  }

  /** @throws KernelError ESPIPE */
  protected assertPlace(position: bigint, size: number, record: number): void {
    if (position !== 0n) throw new KernelError('ESPIPE', this.label, `has no position ${position}`);
    if (size % record !== 0) {
      const problem = `${size} bytes are no whole number of records`;
      throw new KernelError('ESPIPE', this.label, problem, `one has ${record}`);
    }
  }
}

export class FaultQueueFile extends QueueOpenFile<FaultQueue> implements OpenFile {
  readonly kind = 'fault-queue';

  /**
   * `iommufd_fault_fops_read`: groups of `struct iommu_hwpt_pgfault`, as many as there are and fit; none is no error.
   *
   * @throws KernelError ESPIPE a position, or `size` is no multiple of 40; EINVAL the first group does not fit; ENOMEM
   */
  read(_caller: Caller, size: number, position: bigint): Uint8Array {
    const record = HWPT_PGFAULT.size;
    this.assertPlace(position, size, record);
    const records: Uint8Array[] = [];
    this.queue.read(size / record, (at, fault) => {
      const bytes = new Uint8Array(record);
      HWPT_PGFAULT.encode(fault, bytes);
      records[at] = bytes;
    });
    return Buffer.concat(records);
  }

  /**
   * `iommufd_fault_fops_write`: `struct iommu_hwpt_page_response`s, up to the first that is wrong.
   *
   * @returns bytes taken
   * @throws KernelError ESPIPE a position, or no multiple of 8; EINVAL the first has an unknown code or cookie
   */
  write(_caller: Caller, bytes: Uint8Array, position: bigint): number {
    const record = HWPT_PAGE_RESPONSE.size;
    this.assertPlace(position, bytes.length, record);
    const taken = this.queue.write(bytes.length / record, (at) =>
      HWPT_PAGE_RESPONSE.decode(bytes.subarray(at * record, (at + 1) * record)),
    );
    return taken * record;
  }
}

export class EventQueueFile extends QueueOpenFile<SequencedQueue> implements OpenFile {
  readonly kind = 'event-queue';

  /**
   * `iommufd_veventq_fops_read`: a `struct iommufd_vevent_header` and the event's data, for each event that fits.
   *
   * @throws KernelError ESPIPE a position; EINVAL the first event does not fit
   */
  read(_caller: Caller, size: number, position: bigint): Uint8Array {
    this.assertPlace(position, size, 1);
    const events: Uint8Array[] = [];
    this.queue.read(size, (_at, event) => {
      const bytes = new Uint8Array(EVENT_HEADER_BYTES + event.data.length);
      VEVENT_HEADER.encode(event, bytes);
      bytes.set(event.data, EVENT_HEADER_BYTES);
      events.push(bytes);
    });
    return Buffer.concat(events);
  }
}

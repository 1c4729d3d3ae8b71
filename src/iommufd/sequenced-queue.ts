/**
 * Events numbered one after the other in a queue of limited depth, so that a reader sees that some were lost
 * (`struct iommufd_veventq`; since 6.15).
 */

import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import { EventQueue } from './event-queue.ts';
import type { ObjectType } from './object.ts';

/** `IOMMU_VEVENTQ_FLAG_LOST_EVENTS`: no event, but the mark that some before the next one were lost. */
export const LOST_EVENTS = 1;
/** Bytes of `struct iommufd_vevent_header`. */
export const EVENT_HEADER_BYTES = 8;

const INT_MAX = 0x7fff_ffff;

/** `struct iommufd_vevent`. */
export interface SequencedEvent {
  /** 0, or `LOST_EVENTS`. */
  readonly flags: number;
  /** 0 to 2^31-1, then 0 again. */
  readonly sequence: number;
  /** As the driver reported it; nothing for the mark. */
  readonly data: Uint8Array;
}

const NOTHING = new Uint8Array();

export abstract class SequencedQueue extends EventQueue<SequencedEvent> {
  /** How many events it holds; what comes beyond is lost. */
  readonly depth: number;
  #sequence = 0;
  #held = 0;

  constructor(context: Context, type: ObjectType, depth: number) {
    super(context, type, false);
    this.depth = depth;
  }

  /** Events queued, without the mark. */
  get events(): number {
    return this.#held;
  }

  /** The number the next event gets. */
  get nextSequence(): number {
    return this.#sequence;
  }

  /**
   * `iommufd_viommu_report_event`: an event is queued; where there is no room it is lost, and the mark at the end
   * of the queue gets its number.
   *
   * @throws KernelError ENOMEM; the event is lost as well then
   */
  report(data: Uint8Array): void {
    let refused: unknown;
    let lost = this.#held === this.depth;
    if (!lost) {
      try {
        this.context.iommufd.faults.step('event');
      } catch (error) {
        refused = error;
        lost = true;
      }
    }
    if (this.#endsWithMark) this.queued.pop();
    const sequence = this.#sequence;
    this.queued.push(
      lost ? { flags: LOST_EVENTS, sequence, data: NOTHING } : { flags: 0, sequence, data: data.slice() },
    );
    if (!lost) this.#held++;
    this.#sequence = sequence === INT_MAX ? 0 : sequence + 1;
    this.wake();
    if (refused !== undefined) throw refused;
  }

  /**
   * `iommufd_veventq_fops_read`: hands out events as long as header and data fit.
   *
   * @param room in bytes; an event takes `EVENT_HEADER_BYTES` and its data
   * @param copyOut takes an event that begins at byte `at`; what it throws is `copy_to_user` failing
   * @returns bytes handed out
   * @throws KernelError when nothing was: EINVAL the first does not fit, or what `copyOut` threw
   */
  read(room: number, copyOut: (at: number, event: SequencedEvent) => void): number {
    let done = 0;
    for (let event = this.queued[0]; event !== undefined; event = this.queued[0]) {
      const bytes = EVENT_HEADER_BYTES + event.data.length;
      if (bytes > room - done) {
        if (done > 0) return done;
        throw new KernelError('EINVAL', this.label, `the next event takes ${bytes} bytes, there are ${room}`);
      }
      try {
        copyOut(done, event);
      } catch (error) {
        if (done > 0 && error instanceof KernelError) return done;
        throw error;
      }
      this.queued.shift();
      if (event.flags === 0) this.#held--;
      done += bytes;
    }
    return done;
  }

  /** As `read`, with the events in a list. @throws KernelError as `read` */
  readEvents(room = Number.POSITIVE_INFINITY): SequencedEvent[] {
    const events: SequencedEvent[] = [];
    this.read(room, (_, event) => events.push(event));
    return events;
  }

  /** Unread events are forgotten; whoever extends this does the rest of `destroy`. */
  protected discard(): void {
    this.queued.length = 0;
    this.#held = 0;
  }

  get #endsWithMark(): boolean {
    return this.queued.at(-1)?.flags === LOST_EVENTS;
  }
}

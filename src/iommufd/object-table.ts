/** The objects of one context by id, and the rules by which they come, are used and go (main.c). */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import { Ida } from '../kernel/ida.ts';
import { CallsInFlight, inUse, usersInWords } from './calls-in-flight.ts';
import { type IommufdObject, type ObjectType, objectWords } from './object.ts';

/** How long a destroy waits for calls in flight before it gives up. */
export const DESTROY_WAIT_MS = 60_000;

const INT_MAX = 0x7fff_ffff;

/** An id that is taken but finds nothing (`XA_ZERO_ENTRY`): of an object in the making, or of one forced away. */
const HIDDEN = Symbol('hidden');

/** A call working on an object; the object cannot go until this is disposed. */
export interface Held<T extends IommufdObject> extends Disposable {
  readonly object: T;
}

/** `iommufd_lock_obj` when made, `iommufd_put_object` when disposed. Every call makes some, so it is small. */
class Hold<T extends IommufdObject> implements Held<T> {
  readonly object: T;
  readonly #calls: CallsInFlight;
  #held = true;

  constructor(object: T, calls: CallsInFlight) {
    this.object = object;
    this.#calls = calls;
    object.users++;
    object.callsInFlight++;
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    this.object.users--;
    if (--this.object.callsInFlight === 0) this.#calls.idle(this.object);
  }
}

export class ObjectTable {
  readonly #faults: FaultInjector;
  readonly #ids: Ida;
  /** By id. Ids are given out lowest first, so this stays dense. */
  readonly #entries: (IommufdObject | typeof HIDDEN | undefined)[] = [];
  readonly #calls = new CallsInFlight();
  readonly #onRemove: ((object: IommufdObject) => void) | undefined;
  #published = 0;
  #hidden = 0;

  /**
   * @param options.maxId highest id given out, 2^31-1 unless told
   * @param options.onRemove told of every object removed one by one, before it is destroyed
   */
  constructor(
    faults: FaultInjector,
    options: { maxId?: number; onRemove?: (object: IommufdObject) => void } = {},
  ) {
    this.#faults = faults;
    this.#onRemove = options.onRemove;
    this.#ids = new Ida('iommufd object ids', options.maxId ?? INT_MAX);
    // Id 0 means "no object" to user space.
    this.#ids.alloc();
  }

  /** Objects that can be found. */
  get size(): number {
    return this.#published;
  }

  /** `xa_empty`: no id is taken, not even by an object in the making or one forced away. */
  get isEmpty(): boolean {
    return this.#published === 0 && this.#hidden === 0;
  }

  /** Ids that are taken but find nothing, ascending. */
  get hiddenIds(): number[] {
    const ids: number[] = [];
    this.#entries.forEach((entry, id) => {
      if (entry === HIDDEN) ids.push(id);
    });
    return ids;
  }

  /** Objects that can be found, by ascending id. Objects may go and come meanwhile. */
  *[Symbol.iterator](): Generator<IommufdObject> {
    for (let id = 1; id < this.#entries.length; id++) {
      const entry = this.#entries[id];
      if (entry !== undefined && entry !== HIDDEN) yield entry;
    }
  }

  /**
   * `_iommufd_object_alloc`: gives the object the lowest free id, under which nobody finds it yet.
   *
   * @throws KernelError ENOMEM; EBUSY no id is free
   */
  reserve(object: IommufdObject): void {
    this.#faults.step('object id');
    object.id = this.#takeId();
    this.#entries[object.id] = HIDDEN;
    this.#hidden++;
  }

  /** `iommufd_object_finalize`: from now on calls find the object. */
  publish(object: IommufdObject): void {
    this.#assertHidden(object);
    this.#entries[object.id] = object;
    this.#hidden--;
    this.#published++;
  }

  /** `iommufd_object_abort`: gives the id of an unpublished object back; the object holds nothing yet. */
  abort(object: IommufdObject): void {
    this.#assertHidden(object);
    this.#free(object.id);
    object.users = 0;
  }

  /** `iommufd_object_abort_and_destroy`: the same for one that is set up in full. */
  abortAndDestroy(object: IommufdObject): void {
    this.#assertHidden(object);
    object.abort();
    this.abort(object);
  }

  /**
   * `iommufd_get_object`: `using held = objects.use<Ioas>(id, 'ioas')`. Counts as a step that can fail, so it has
   * no place where something is undone.
   *
   * @param types that will do; none: any
   * @throws KernelError ENOENT no object of these types has this id
   */
  use<T extends IommufdObject>(id: number, ...types: ObjectType[]): Held<T> {
    this.#faults.step('object look-up');
    const object = this.peek<T>(id, ...types);
    if (object === undefined) throw this.#noEntry(id, types);
    return this.hold(object);
  }

  /** The object with this id if it is of these types, without holding it. */
  peek<T extends IommufdObject>(id: number, ...types: ObjectType[]): T | undefined {
    const entry = this.#entries[id];
    if (entry === undefined || entry === HIDDEN) return undefined;
    if (types.length > 0 && !types.includes(entry.type)) return undefined;
    return entry as T;
  }

  /** `iommufd_lock_obj` on an object somebody found in another way. */
  hold<T extends IommufdObject>(object: T): Held<T> {
    return new Hold(object, this.#calls);
  }

  /**
   * `IOMMU_DESTROY`.
   *
   * @throws KernelError ENOENT no such id; EBUSY something uses the object: another object, its driver, or a call
   */
  remove(id: number): void {
    const object = this.peek(id);
    if (object === undefined) throw this.#noEntry(id, []);
    if (object.users !== 1) throw inUse(object);
    this.#destroy(object);
  }

  /**
   * As `remove`, once the calls in flight have come back.
   *
   * @param timeoutMs how long to wait for them, the kernel's 60 s unless told
   * @throws KernelError ENOENT; EBUSY used by something else than calls, or calls did not come back in time
   */
  async removeWhenIdle(id: number, timeoutMs = DESTROY_WAIT_MS): Promise<void> {
    const object = this.peek(id);
    if (object === undefined) throw this.#noEntry(id, []);
    await this.#calls.whenIdle(object, timeoutMs, () => this.remove(id));
  }

  /**
   * `iommufd_object_destroy_user`: the owner inside the kernel, who counts as one user, lets its object go.
   *
   * @param options.tombstone the id stays taken until the context closes (`iommufd_object_tombstone_user`)
   * @throws KernelError EBUSY somebody else uses the object, or a call is in flight; nothing has changed then, where
   *   the kernel warns and keeps the object until the context closes
   */
  destroyOwned(object: IommufdObject, options: { tombstone?: boolean } = {}): void {
    if (object.users !== 2) throw inUse(object);
    object.users--;
    this.#destroy(object, options.tombstone);
  }

  /**
   * As `destroyOwned`, once the calls in flight have come back.
   *
   * @throws KernelError EBUSY they did not come back in time, or somebody else uses the object
   */
  async destroyOwnedWhenIdle(
    object: IommufdObject,
    options: { tombstone?: boolean; timeoutMs?: number } = {},
  ): Promise<void> {
    const { timeoutMs = DESTROY_WAIT_MS } = options;
    await this.#calls.whenIdle(object, timeoutMs, () => this.destroyOwned(object, options));
  }

  /**
   * `iommufd_object_put_and_try_destroy`: one user less, and with the last the object goes. For what lives only as
   * long as it is used, as automatic HWPTs.
   */
  putAndTryDestroy(object: IommufdObject): void {
    object.users--;
    if (object.users === 1) this.#destroy(object);
  }

  /**
   * The context closes (`iommufd_fops_release`): whatever nothing else uses goes, again and again, until there is
   * nothing left.
   *
   * @throws KernelError EBUSY objects are left that use each other or that nobody lets go; the message lists them
   */
  closeAll(): void {
    for (let destroyed = -1; destroyed !== 0 && this.#published > 0; ) {
      destroyed = 0;
      for (const object of this) {
        if (object.users !== 1) continue;
        object.users = 0;
        this.#forget(object);
        object.destroy();
        destroyed++;
      }
    }
    if (this.#published > 0) {
      const left = [...this].map(usersInWords).join(', ');
      throw new KernelError('EBUSY', 'iommufd context', `closing leaves behind ${left}`);
    }
    for (const id of this.hiddenIds) this.#free(id);
  }

  #destroy(object: IommufdObject, tombstone = false): void {
    object.users = 0;
    this.#forget(object, tombstone);
    this.#onRemove?.(object);
    object.destroy();
  }

  #forget(object: IommufdObject, tombstone = false): void {
    this.#published--;
    if (tombstone) {
      this.#entries[object.id] = HIDDEN;
      this.#hidden++;
    } else {
      this.#entries[object.id] = undefined;
      this.#ids.free(object.id);
    }
  }

  #free(id: number): void {
    this.#entries[id] = undefined;
    this.#hidden--;
    this.#ids.free(id);
  }

  /** `xa_alloc` says EBUSY where an ida says ENOSPC. */
  #takeId(): number {
    try {
      return this.#ids.alloc();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new KernelError('EBUSY', 'iommufd context', `every object id up to ${this.#ids.max} is taken`);
    }
  }

  #assertHidden(object: IommufdObject): void {
    if (this.#entries[object.id] !== HIDDEN || object.users === 0) {
      throw new KernelError('EINVAL', object.label, 'has no id that is reserved for it');
    }
  }

  #noEntry(id: number, types: readonly ObjectType[]): KernelError {
    const found = this.peek(id);
    const wanted = types.map(objectWords).join(' or ') || 'object';
    return new KernelError(
      'ENOENT',
      `iommufd object ${id}`,
      found === undefined ? `there is no ${wanted} with this id` : `is ${found.label}, not ${wanted}`,
    );
  }
}

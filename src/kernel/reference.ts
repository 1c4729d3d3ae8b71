/** Counted references that notice what C cannot: use after the last one went, and ones never given back. */

import { KernelError } from './errors.ts';

/**
 * A `kref` with its object. A reference is the object itself, so `using group = groups.get(dev)` gives back what
 * `get` took.
 */
export abstract class Referenced implements Disposable {
  readonly #name: string;
  readonly #tracker: ReferenceTracker | undefined;
  #count = 1;

  /** `kref_init`: the maker holds the first reference. */
  constructor(name: string, tracker?: ReferenceTracker) {
    this.#name = name;
    this.#tracker = tracker;
    tracker?.taken(this);
  }

  get count(): number {
    return this.#count;
  }

  /** What messages call the object. */
  describe(): string {
    return this.#name;
  }

  /**
   * `kref_get`: one more reference.
   * @throws KernelError EBADF after the last one went
   */
  get(): this {
    this.alive('taking a reference');
    this.#count++;
    this.#tracker?.taken(this);
    return this;
  }

  /**
   * `kref_put`: one reference less; the last one releases the object.
   * @throws KernelError EBADF after the last one went
   */
  put(): void {
    this.alive('dropping a reference');
    this.#count--;
    if (this.#count > 0) return;
    this.#tracker?.gone(this);
    this.release();
  }

  [Symbol.dispose](): void {
    this.put();
  }

  /** What happens once nobody holds the object. The count is zero when this runs. */
  protected release(): void {}

  /** Guard for every use that needs the object: throws KernelError EBADF after the last reference went. */
  protected alive(doing: string): void {
    if (this.#count > 0) return;
    throw new KernelError('EBADF', this.describe(), `${doing} after its last reference went`);
  }
}

/** One object that is still referenced. */
export interface LiveReference {
  name: string;
  count: number;
  /** Stack lines where references were taken, oldest first, if the tracker was asked to note them. */
  where?: string[];
}

/** Knows every referenced object made with it until its last reference goes. */
export class ReferenceTracker {
  readonly #objects = new Map<Referenced, string[] | undefined>();
  readonly #notePlaces: boolean;

  /** @param options.places note where each reference is taken; a stack trace each, so for tests */
  constructor(options: { places?: boolean } = {}) {
    this.#notePlaces = options.places ?? false;
  }

  /** What is still referenced, in the order it was made. */
  live(): LiveReference[] {
    return Array.from(this.#objects, ([object, places]) => ({
      name: object.describe(),
      count: object.count,
      ...(places && { where: [...places] }),
    }));
  }

  /** @throws KernelError EBUSY listing everything that is still referenced */
  assertNone(): void {
    const leaks = this.live();
    if (leaks.length === 0) return;
    const lines = leaks.map(({ name, count, where }) =>
      [`${name} (${count})`, ...(where ?? [])].join('\n    '),
    );
    throw new KernelError('EBUSY', 'references', `${leaks.length} still held:\n  ${lines.join('\n  ')}\n`);
  }

  /** For `Referenced` only: a reference to `object` was taken. */
  taken(object: Referenced): void {
    const places = this.#objects.get(object);
    if (this.#notePlaces) {
      const place = callerOutsideThisFile();
      if (places) places.push(place);
      else this.#objects.set(object, [place]);
    } else if (!this.#objects.has(object)) {
      this.#objects.set(object, undefined);
    }
  }

  /** For `Referenced` only: the last reference to `object` went. */
  gone(object: Referenced): void {
    this.#objects.delete(object);
  }
}

function callerOutsideThisFile(): string {
  const lines = (new Error('place').stack ?? '').split('\n').slice(1);
  const caller = lines.find((line) => !/[\\/]reference\.(ts|js):/.test(line) && !line.includes('new '));
  return (caller ?? lines.at(-1) ?? 'unknown place').trim();
}

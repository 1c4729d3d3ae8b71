import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FaultInjector } from '../iommu/fault-injector.ts';
import { answerOf } from '../iommu/testing.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import { IommufdObject, type ObjectType } from './object.ts';
import { ObjectTable } from './object-table.ts';

/** An object that may use another, as an HWPT uses its IOAS. */
class Thing extends IommufdObject {
  destroyed = 0;
  readonly #uses: Thing | undefined;

  constructor(type: ObjectType = 'ioas', uses?: Thing) {
    super({} as Context, type);
    this.#uses = uses;
    if (uses) uses.users++;
  }

  destroy(): void {
    this.destroyed++;
    if (this.#uses) this.#uses.users--;
  }
}

function table(options?: ConstructorParameters<typeof ObjectTable>[1]) {
  const faults = new FaultInjector();
  const objects = new ObjectTable(faults, options);
  const add = (type?: ObjectType, uses?: Thing) => {
    const thing = new Thing(type, uses);
    objects.reserve(thing);
    objects.publish(thing);
    return thing;
  };
  return { faults, objects, add };
}

async function laterAnswer(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
}

describe('ids of an iommufd context', () => {
  it('begin at 1 and are the lowest free, whatever the type', () => {
    const { objects, add } = table();
    expect([add('ioas').id, add('hwpt-paging').id, add('access').id]).toEqual([1, 2, 3]);
    objects.remove(2);
    objects.remove(1);
    expect([add('fault').id, add('ioas').id, add('ioas').id]).toEqual([1, 2, 4]);
  });

  it('are all taken: EBUSY, as xa_alloc says', () => {
    const { objects, add } = table({ maxId: 2 });
    add();
    add();
    expect(answerOf(() => objects.reserve(new Thing()))).toBe('EBUSY');
  });

  it('of objects in the making are taken and find nothing', () => {
    const { objects, add } = table();
    const thing = new Thing();
    objects.reserve(thing);
    expect(answerOf(() => objects.use(1))).toBe('ENOENT');
    expect(answerOf(() => objects.remove(1))).toBe('ENOENT');
    expect([objects.size, objects.isEmpty, objects.hiddenIds]).toEqual([0, false, [1]]);
    expect(add().id).toBe(2);
    objects.abort(thing);
    expect(add().id).toBe(1);
    expect(thing.destroyed).toBe(0);
  });

  it('of an object forced away stay taken until the context closes (vDEVICE tombstones)', () => {
    const { objects, add } = table();
    const vdevice = add('vdevice');
    vdevice.users++;
    objects.destroyOwned(vdevice, { tombstone: true });
    expect(vdevice.destroyed).toBe(1);
    expect(answerOf(() => objects.use(1))).toBe('ENOENT');
    expect(answerOf(() => objects.remove(1))).toBe('ENOENT');
    expect(add().id).toBe(2);
    objects.remove(2);
    expect(objects.isEmpty).toBe(false);
    objects.closeAll();
    expect(objects.isEmpty).toBe(true);
  });

  it('a failing step leaves nothing taken', () => {
    const { faults, objects } = table();
    faults.failAt(1);
    expect(answerOf(() => objects.reserve(new Thing()))).toBe('ENOMEM');
    expect(objects.isEmpty).toBe(true);
  });
});

describe('using an object', () => {
  it('needs an id of the right type, else ENOENT', () => {
    const { objects, add } = table();
    add('ioas');
    expect(answerOf(() => objects.use(1, 'device', 'hwpt-paging'))).toBe('ENOENT');
    expect(answerOf(() => objects.use(0))).toBe('ENOENT');
    expect(answerOf(() => objects.use(7, 'ioas'))).toBe('ENOENT');
    using held = objects.use(1, 'device', 'ioas');
    expect(held.object.label).toBe('IOAS 1');
  });

  it('keeps it until the call is over, and only once', () => {
    const { objects, add } = table();
    const thing = add();
    const held = objects.use(1);
    expect([thing.users, thing.callsInFlight]).toEqual([2, 1]);
    expect(answerOf(() => objects.remove(1))).toBe('EBUSY');
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    expect([thing.users, thing.callsInFlight]).toEqual([1, 0]);
    objects.remove(1);
    expect([thing.users, thing.destroyed]).toEqual([0, 1]);
  });
});

describe('destroying', () => {
  afterEach(() => void vi.useRealTimers());

  it('is EBUSY while another object uses it', () => {
    const { objects, add } = table();
    const ioas = add('ioas');
    add('hwpt-paging', ioas);
    expect(answerOf(() => objects.remove(1))).toBe('EBUSY');
    objects.remove(2);
    objects.remove(1);
    expect(objects.isEmpty).toBe(true);
  });

  it.each(['device', 'access'] as const)('a %s is up to its driver: EBUSY to the user', (type) => {
    const { objects, add } = table();
    const thing = add(type);
    thing.users++;
    expect(() => objects.remove(1)).toThrow(`${type} 1: is in use: 1 user (its driver has to let it go)`);
    objects.destroyOwned(thing);
    expect(thing.destroyed).toBe(1);
  });

  it('by the owner is EBUSY and changes nothing while somebody else uses it', () => {
    const { objects, add } = table();
    const thing = add('device');
    thing.users += 2;
    expect(answerOf(() => objects.destroyOwned(thing))).toBe('EBUSY');
    expect([thing.users, objects.peek(1)]).toEqual([3, thing]);
  });

  it('waits for calls in flight', async () => {
    const { objects, add } = table();
    const thing = add();
    const first = objects.use(1);
    const second = objects.use(1);
    const gone = laterAnswer(objects.removeWhenIdle(1));
    first[Symbol.dispose]();
    expect(thing.destroyed).toBe(0);
    second[Symbol.dispose]();
    expect(thing.destroyed).toBe(1);
    expect(await gone).toBe('ok');
  });

  it('by the owner waits too, and is EBUSY after 60 seconds', async () => {
    vi.useFakeTimers();
    const { objects, add } = table();
    const thing = add('device');
    thing.users++;
    const held = objects.use(1);
    const gone = laterAnswer(objects.destroyOwnedWhenIdle(thing));
    await vi.advanceTimersByTimeAsync(59_999);
    expect(thing.destroyed).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await gone).toBe('EBUSY');
    held[Symbol.dispose]();
    expect([thing.users, thing.destroyed]).toEqual([2, 0]);
    expect(await laterAnswer(objects.destroyOwnedWhenIdle(thing))).toBe('ok');
  });

  it('of two who wait, the second finds nothing', async () => {
    const { objects, add } = table();
    add();
    const held = objects.use(1);
    const answers = Promise.all([
      laterAnswer(objects.removeWhenIdle(1)),
      laterAnswer(objects.removeWhenIdle(1)),
    ]);
    held[Symbol.dispose]();
    expect(await answers).toEqual(['ok', 'ENOENT']);
  });

  it('happens by itself with the last user of what is automatic', () => {
    const { objects, add } = table();
    const hwpt = add('hwpt-paging');
    hwpt.users += 2;
    objects.putAndTryDestroy(hwpt);
    expect(hwpt.destroyed).toBe(0);
    objects.putAndTryDestroy(hwpt);
    expect([hwpt.destroyed, objects.size]).toEqual([1, 0]);
  });

  it('tells who wants to know before the object is destroyed', () => {
    const told: string[] = [];
    const { objects, add } = table({ onRemove: (object) => told.push(object.label) });
    add('ioas');
    objects.remove(1);
    expect(told).toEqual(['IOAS 1']);
  });
});

describe('closing a context', () => {
  it('destroys what nothing uses, again and again', () => {
    const { objects, add } = table();
    const ioas = add('ioas');
    const parent = add('hwpt-paging', ioas);
    const nested = add('hwpt-nested', parent);
    objects.closeAll();
    expect([ioas, parent, nested].map((thing) => thing.destroyed)).toEqual([1, 1, 1]);
    expect(objects.isEmpty).toBe(true);
  });

  it('lists what cannot go', () => {
    const { objects, add } = table();
    add('ioas').users++;
    add('fault');
    expect(() => objects.closeAll()).toThrow('closing leaves behind IOAS 1 (1 user)');
  });
});

describe('any sequence of calls', () => {
  type Step = { do: 'add' | 'remove' | 'hold' | 'let go' | 'reserve' | 'abort'; pick: number };
  const steps = fc.array(
    fc.record<Step>({
      do: fc.constantFrom('add', 'remove', 'hold', 'let go', 'reserve', 'abort'),
      pick: fc.nat(1000),
    }),
    { maxLength: 80 },
  );

  it('agrees with a plain list of who is there and who is used', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const { objects } = table();
        const model = new Map<number, { held: number; hidden: boolean; thing: Thing }>();
        const holds: { id: number; held: Disposable }[] = [];
        const lowest = () => {
          let id = 1;
          while (model.has(id)) id++;
          return id;
        };
        const anyId = (pick: number) => (pick % (model.size + 2)) + 1;
        for (const step of sequence) {
          const id = anyId(step.pick);
          const entry = model.get(id);
          if (step.do === 'add' || step.do === 'reserve') {
            const thing = new Thing();
            const expected = lowest();
            objects.reserve(thing);
            if (step.do === 'add') objects.publish(thing);
            model.set(expected, { held: 0, hidden: step.do === 'reserve', thing });
            expect(thing.id).toBe(expected);
          } else if (step.do === 'abort') {
            if (entry?.hidden !== true) continue;
            objects.abort(entry.thing);
            model.delete(id);
          } else if (step.do === 'hold') {
            const found = entry !== undefined && !entry.hidden;
            expect(answerOf(() => holds.push({ id, held: objects.use(id) }))).toBe(found ? 'ok' : 'ENOENT');
            if (found) entry.held++;
          } else if (step.do === 'let go') {
            const [hold] = holds.splice(step.pick % Math.max(1, holds.length), 1);
            hold?.held[Symbol.dispose]();
            if (hold) model.get(hold.id)!.held--;
          } else {
            const wanted = entry === undefined || entry.hidden ? 'ENOENT' : entry.held > 0 ? 'EBUSY' : 'ok';
            expect(answerOf(() => objects.remove(id))).toBe(wanted);
            if (wanted === 'ok') model.delete(id);
          }
          const shown = [...model].filter(([, { hidden }]) => !hidden).map(([shownId]) => shownId);
          expect([...objects].map((object) => object.id)).toEqual(shown.sort((a, b) => a - b));
          expect(objects.isEmpty).toBe(model.size === 0);
        }
      }),
    );
  });
});

/** Hand-overs on one tree: carried out, finished after a kill, taken back. */

import { effect, type Held, parseWrite } from '../advise/plan-steps.ts';
import type { PlanReport, Recovered, ReturnedDevice } from '../advise/report.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Journal, Journals } from './journal.ts';
import { JOURNAL_VERSION, type Origin, type Recorded } from './journal-records.ts';
import { type Made, Performer } from './perform.ts';
import { returnDevices } from './return.ts';
import type { HandoverTree } from './tree.ts';

/** What became of an attempt. `devices`: where each went back to, if they had to. */
export interface Applied {
  id: number;
  result: 'applied' | 'rolled back' | 'not rolled back';
  made: Made[];
  devices: ReturnedDevice[];
  problem?: string;
  notes: string[];
}

export interface Undone {
  id: number;
  result: 'undone' | 'not undone';
  made: Made[];
  devices: ReturnedDevice[];
  notes: string[];
}

export class Handover {
  readonly #tree: HandoverTree;
  readonly #journals: Journals;
  readonly #now: () => Date;

  constructor(tree: HandoverTree, journals: Journals, now: () => Date = () => new Date()) {
    this.#tree = tree;
    this.#journals = journals;
    this.#now = now;
  }

  /**
   * Carries a plan out, or leaves everything as it was.
   * @param overridden codes of the refusals that were overridden, for the record
   * @throws KernelError when the journal cannot be begun; nothing has been written then
   */
  apply(plan: PlanReport, overridden: readonly string[] = []): Applied {
    const devices = plan.devices.map(({ address }) => address);
    const drivers = [plan.driver, ...plan.devices.flatMap(({ before }) => before.driver ?? [])];
    const memory = this.#tree.remember(devices, drivers);
    const before: Record<string, Origin> = {};
    for (const device of devices) before[device] = this.#origin(device);
    using journal = this.#journals.begin({
      record: 'begin',
      version: JOURNAL_VERSION,
      time: this.#time(),
      tree: this.#tree.root,
      plan,
      overridden: [...overridden],
      before,
      ...(memory !== undefined && { memory }),
    });
    return this.#carryOut(journal, this.#journals.read(journal.id), plan, 0);
  }

  /**
   * Deals with the hand-over that a killed run left: finished, if `plan` is its plan and the devices stand where it
   * left them; else undone.
   * @returns nothing where nothing was left
   * @throws KernelError EIO for a journal that cannot be read
   */
  recover(plan: PlanReport): (Recovered & { made: Made[]; notes: string[] }) | undefined {
    const left = this.#unfinished();
    if (left === undefined) return undefined;
    const { id } = left;
    const from = this.#resumeAt(left, plan);
    if (typeof from === 'number') {
      using journal = this.#journals.open(id);
      const { result, devices, made, notes, problem } = this.#carryOut(journal, left, plan, from);
      const why = `it is the plan you gave, and ${from} of its ${plan.steps.length} writes had been made`;
      if (result === 'applied') return { id, how: 'finished', why, devices, made, notes };
      const failed = `finishing it failed: ${problem}`;
      return {
        id,
        how: result === 'rolled back' ? 'undone' : 'not undone',
        why: failed,
        devices,
        made,
        notes,
      };
    }
    const { result, devices, made, notes } = this.undo(left, from);
    return { id, how: result, why: from, devices, made, notes };
  }

  /** The last hand-over, where it carried out this very plan and its devices stand as it left them. */
  carriedOut(plan: PlanReport): number | undefined {
    const last = this.last();
    if (last?.state !== 'applied' || last.plan === undefined || deeds(last.plan) !== deeds(plan))
      return undefined;
    const stands = [...outcome(plan)].every(([device, held]) => this.#stands(device, held));
    return stands ? last.id : undefined;
  }

  /** The hand-over that `undo` takes back when it is told no number: one left unfinished, else the last. */
  last(): Recorded | undefined {
    const own = this.#own();
    return own.findLast(isUnfinished) ?? own.findLast(({ state }) => state === 'applied');
  }

  /** A later hand-over that still stands and has devices in common, or others of their groups. */
  standsOn({ id, before }: Recorded): Recorded | undefined {
    const concerned = new Set(
      [...before.keys()].flatMap((device) => [
        device,
        ...(this.#tree.group(device)?.members ?? []).map((member) => member.device),
      ]),
    );
    return this.#own().findLast(
      (other) =>
        other.id > id &&
        (other.state === 'applied' || isUnfinished(other)) &&
        [...other.before.keys()].some((device) => concerned.has(device)),
    );
  }

  /**
   * Returns every device to the driver it had. Once the journal says that it has begun, it goes on without: another
   * undo starts from what each device then has.
   * @throws KernelError when the journal does not take its beginning; nothing has been written then
   */
  undo(recorded: Recorded, why: string): Undone {
    using journal = this.#journals.open(recorded.id);
    const performer = new Performer(this.#tree, journal);
    performer.turnBack(why, this.#time(), { evenUnjournalled: false });
    return this.#takeBack(journal, performer, recorded);
  }

  /** Closes a journal without touching a device. */
  forget(id: number): void {
    using journal = this.#journals.open(id);
    journal.add({ record: 'end', state: 'forgotten', time: this.#time() });
  }

  #carryOut(journal: Journal, recorded: Recorded, plan: PlanReport, from: number): Applied {
    const performer = new Performer(this.#tree, journal);
    const { id } = journal;
    try {
      if (plan.steps.length > from) this.#tree.requireDriver(plan.driver);
      for (const { path, value } of plan.steps.slice(from)) performer.perform(parseWrite(path, value)!);
      journal.add({ record: 'end', state: 'applied', time: this.#time() });
      return { id, result: 'applied', made: performer.made, devices: [], notes: [] };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const problem = error.message;
      performer.turnBack(`failed: ${problem}`, this.#time(), { evenUnjournalled: true });
      const { result, made, devices, notes } = this.#takeBack(journal, performer, recorded);
      return {
        id,
        result: result === 'undone' ? 'rolled back' : 'not rolled back',
        made,
        devices,
        problem,
        notes,
      };
    }
  }

  #takeBack(journal: Journal, performer: Performer, recorded: Recorded): Undone {
    const devices = returnDevices(this.#tree, performer, recorded.before);
    if (recorded.memory !== undefined) this.#tree.settle(recorded.memory);
    const done = devices.every(({ outcome }) => outcome !== 'failed');
    const notes =
      performer.unjournalled === undefined ? [] : [`not in the journal: ${performer.unjournalled}`];
    if (done) {
      try {
        journal.add({ record: 'end', state: 'undone', time: this.#time() });
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        // The next run finds every device where it belongs and closes the journal.
        notes.push(`the journal could not be closed: ${error.message}`);
      }
    }
    return { id: journal.id, result: done ? 'undone' : 'not undone', made: performer.made, devices, notes };
  }

  /** How many writes of the plan have been made; in words, why it cannot be told or does not matter. */
  #resumeAt(left: Recorded, plan: PlanReport): number | string {
    if (left.state === 'undo unfinished') return 'its undo had been begun';
    if (left.plan === undefined) return 'the beginning of its journal is damaged';
    if (deeds(left.plan) !== deeds(plan)) return 'its plan is another than the one you gave';
    const held = new Map<string, Held>(left.before);
    for (let made = 0; ; made++) {
      if ([...held].every(([device, expected]) => this.#stands(device, expected))) return made;
      const step = plan.steps[made];
      const write = step && parseWrite(step.path, step.value);
      const before = write && held.get(write.device);
      const next = before && effect(before, write);
      if (next === undefined) return 'its devices are not where it left them';
      held.set(write!.device, next);
    }
  }

  #stands(device: string, expected: Held): boolean {
    const now = this.#tree.held(device);
    return now?.driver === expected.driver && (now?.override ?? null) === (expected.override ?? null);
  }

  #unfinished(): Recorded | undefined {
    const all = this.#journals.all();
    const unreadable = all.find(({ state }) => state === 'unreadable');
    if (unreadable !== undefined) {
      throw new KernelError(
        'EIO',
        `journal of hand-over ${unreadable.id}`,
        'cannot be read, so it is not known what it did',
        `look into it, then: ringfence undo ${unreadable.id} --forget`,
      );
    }
    return this.#own().findLast(isUnfinished);
  }

  #own(): Recorded[] {
    return this.#journals.all().filter(({ tree }) => tree === this.#tree.root);
  }

  #origin(device: string): Origin {
    const held = this.#tree.held(device);
    if (held === undefined) throw new KernelError('ENODEV', device, 'is gone');
    return { ...held, identity: this.#tree.identity(device) };
  }

  #time(): string {
    return this.#now().toISOString();
  }
}

function isUnfinished({ state }: Recorded): boolean {
  return state === 'unfinished' || state === 'undo unfinished';
}

/** What the devices of a plan have when all its writes are made. */
function outcome({ devices, steps }: PlanReport): Map<string, Held> {
  const held = new Map<string, Held>(
    devices.map(({ address, before }) => [
      address,
      { driver: before.driver ?? null, override: before.override },
    ]),
  );
  for (const { device, path, value } of steps)
    held.set(device, effect(held.get(device)!, parseWrite(path, value)!)!);
  return held;
}

/** What a plan does, without its words. */
function deeds({ driver, devices, steps }: PlanReport): string {
  return JSON.stringify([
    driver,
    devices.map(({ address, before }) => [address, before.driver, before.override]),
    steps.map(({ path, value }) => [path, value]),
  ]);
}

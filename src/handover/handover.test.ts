/** All or nothing: whatever fails, and whenever the process dies, `undo` leaves the tree byte for byte as it was. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { PlanReport } from '../advise/report.ts';
import { KernelError } from '../kernel/errors.ts';
import { Handover } from './handover.ts';
import { Journals } from './journal.ts';
import { LiveTree } from './live-tree.ts';
import { RehearsalTree } from './rehearsal-tree.ts';
import {
  contents,
  giveTo,
  Kill,
  Life,
  MortalDisk,
  MortalTree,
  modelKernel,
  planOf,
  Scratch,
} from './testing.ts';
import type { HandoverTree } from './tree.ts';

const scratch = new Scratch();
// Thousands of files in dozens of trees.
afterAll(() => scratch.clear(), 60_000);

const A = '0000:01:00.0';
const B = '0000:01:00.1';
const SATA = '0000:00:1f.2';

/** 01:00.0 with vfio-pci by its ids, 01:00.1 with e1000e, and the SATA controller with an override it does not obey. */
function running(): string {
  const dir = scratch.machine('vfio');
  giveTo(dir, A, 'vfio-pci');
  giveTo(dir, B, 'e1000e');
  giveTo(dir, SATA, 'ahci');
  const tree = rehearsal(dir);
  tree.write(`/sys/bus/pci/devices/${A}/driver_override`, '\n');
  tree.write(`/sys/bus/pci/devices/${SATA}/driver_override`, 'pci-stub');
  return dir;
}

const rehearsal = (dir: string): RehearsalTree => new RehearsalTree(join(dir, 'sys'));

/** Every end of the room that can be tried: a plan, and a tree for it. */
function cases(): [string, () => { dir: string; plan: PlanReport }][] {
  const on = (machine: () => string, devices: string[], driver?: string) => () => {
    const dir = machine();
    return { dir, plan: planOf(rehearsal(dir), devices, driver) };
  };
  return [
    ['three devices of a running machine', on(running, [SATA, B], 'vfio-pci')],
    ['from vfio-pci by ids to the host', on(running, [A], 'e1000e')],
    ['a recording without lists of drivers', on(() => scratch.machine('vfio'), [A, B], 'pci-stub')],
    [
      'a physical function with its virtual ones',
      on(() => scratch.machine('sriov-igb'), ['0000:02:00.0', '0000:02:10.0']),
    ],
    [
      'a recording without any driver',
      on(() => scratch.machine('usb-strict'), ['0000:00:1d.0', '0000:00:1d.7']),
    ],
  ];
}

function dies(work: () => void): boolean {
  try {
    work();
    return false;
  } catch (error) {
    if (error instanceof Kill) return true;
    throw error;
  }
}

/** `apply` in a process that dies after some points; `undefined` when it lived. */
function killedApply(dir: string, disk: MortalDisk, life: Life, plan: PlanReport): boolean {
  const tree = new MortalTree(rehearsal(dir), life);
  return dies(() => new Handover(tree, new Journals(disk)).apply(plan));
}

function undoLast(tree: HandoverTree, disk: MortalDisk): string {
  const handover = new Handover(tree, new Journals(disk));
  const last = handover.last();
  return last === undefined ? 'nothing' : handover.undo(last, 'asked for').result;
}

describe.each(cases())('%s', (_, prepare) => {
  test('applied: every device has the driver of the plan; undone: the tree as it was', () => {
    const { dir, plan } = prepare();
    const before = contents(dir);
    const disk = new MortalDisk();
    const handover = new Handover(rehearsal(dir), new Journals(disk));
    expect(handover.apply(plan)).toMatchObject({
      id: 1,
      result: 'applied',
      made: plan.steps.map(({ path, value }) => ({ path, value })),
    });
    for (const { address } of plan.devices) {
      expect(rehearsal(dir).held(address)).toEqual({ driver: plan.driver, override: plan.driver });
    }
    expect(undoLast(rehearsal(dir), disk)).toBe('undone');
    expect(contents(dir)).toEqual(before);
    expect(new Journals(disk).lines()).toMatchObject([{ id: 1, state: 'undone' }]);
  });

  test.each(['all', 'half', 'none'] as const)(
    'killed at every point, %s of what was not synced being kept, then undone',
    (kept) => {
      const { dir, plan } = prepare();
      const before = contents(dir);
      let points = 0;
      for (; ; points++) {
        const files = new Map<number, string>();
        const life = new Life(points);
        const died = killedApply(dir, new MortalDisk(life, files, kept), life, plan);
        const disk = new MortalDisk(new Life(), files);
        expect(undoLast(rehearsal(dir), disk), `point ${points}`).not.toBe('not undone');
        expect(contents(dir), `point ${points}`).toEqual(before);
        if (!died) break;
      }
      // Four points for each record and two for each write, at least.
      expect(points).toBeGreaterThan(6 * plan.steps.length);
    },
  );

  test('killed at every point, then applied again: finished, and undone', () => {
    const { dir, plan } = prepare();
    const before = contents(dir);
    let finished = 0;
    for (let points = 0; ; points++) {
      const files = new Map<number, string>();
      const life = new Life(points);
      const died = killedApply(dir, new MortalDisk(life, files), life, plan);
      const disk = new MortalDisk(new Life(), files);
      const handover = new Handover(rehearsal(dir), new Journals(disk));
      const recovered = handover.recover(plan);
      if (recovered === undefined) {
        // Killed before the first record was there, or after the last.
        const done = handover.carriedOut(plan) === 1;
        if (done) expect(undoLast(rehearsal(dir), disk)).toBe('undone');
        expect(contents(dir), `point ${points}`).toEqual(before);
        if (!died) break;
        continue;
      }
      expect(recovered, `point ${points}`).toMatchObject({ how: 'finished' });
      finished++;
      for (const { address } of plan.devices) expect(rehearsal(dir).held(address)?.driver).toBe(plan.driver);
      expect(undoLast(rehearsal(dir), disk)).toBe('undone');
      expect(contents(dir), `point ${points}`).toEqual(before);
    }
    expect(finished).toBeGreaterThan(6 * plan.steps.length);
  });

  test('the n-th write failing: rolled back to the tree as it was', () => {
    const { dir, plan } = prepare();
    const before = contents(dir);
    for (let n = 1; n <= plan.steps.length; n++) {
      const disk = new MortalDisk();
      const tree = new MortalTree(rehearsal(dir), new Life(), (write) => write === n);
      const result = new Handover(tree, new Journals(disk)).apply(plan);
      expect(result).toMatchObject({ result: 'rolled back' });
      expect(result.problem).toMatch(/told to fail/);
      expect(contents(dir), `write ${n}`).toEqual(before);
      expect(new Journals(disk).lines()).toMatchObject([{ state: 'undone' }]);
    }
  });

  test('a write of the rollback failing too: it says so, and undo does the rest', () => {
    const { dir, plan } = prepare();
    const before = contents(dir);
    for (let n = 2; n <= plan.steps.length; n++) {
      const disk = new MortalDisk();
      const tree = new MortalTree(rehearsal(dir), new Life(), (write) => write === n || write === n + 1);
      const { result, devices } = new Handover(tree, new Journals(disk)).apply(plan);
      if (result === 'not rolled back') {
        expect(
          devices.some(({ outcome, problem }) => outcome === 'failed' && problem!.includes('told to fail')),
        ).toBe(true);
        expect(new Journals(disk).lines()).toMatchObject([{ state: 'undo unfinished' }]);
      }
      expect(undoLast(rehearsal(dir), disk)).not.toBe('not undone');
      expect(contents(dir), `write ${n}`).toEqual(before);
    }
  });

  test('the disk full at every byte of the journal: no write that is not in it, and everything as it was', () => {
    const { dir, plan } = prepare();
    const before = contents(dir);
    const whole = new MortalDisk();
    new Handover(rehearsal(dir), new Journals(whole)).apply(plan);
    undoLast(rehearsal(dir), whole);
    const begin = whole.read(1).indexOf('\n') + 1;
    const applied = whole.read(1).indexOf('"state":"applied"');
    for (let room = 0; room < applied; room += room < begin - 2 ? 997 : 7) {
      const disk = new MortalDisk();
      disk.room = room;
      const writes: string[] = [];
      const tree = rehearsal(dir);
      const write = tree.write.bind(tree);
      tree.write = (path, value) => {
        writes.push(path);
        write(path, value);
      };
      try {
        const { result, notes } = new Handover(tree, new Journals(disk)).apply(plan);
        expect(result).toBe('rolled back');
        expect(notes.join()).toContain('ENOSPC');
        const announced = disk
          .read(1)
          .split('\n')
          .slice(0, -1)
          .filter((line) => line.includes('"for":"apply"'));
        expect(writes.slice(0, announced.length)).toEqual(
          plan.steps.slice(0, announced.length).map(({ path }) => path),
        );
      } catch (error) {
        expect((error as KernelError).code).toBe('ENOSPC');
        expect(room).toBeLessThan(begin);
        expect(writes).toEqual([]);
      }
      expect(contents(dir), `room for ${room} bytes`).toEqual(before);
    }
  });
});

test('apply and undo each killed at every point: the next undo ends with the tree as it was', () => {
  const dir = running();
  const before = contents(dir);
  const plan = planOf(rehearsal(dir), [B]);
  let deaths = 0;
  for (let first = 0; ; first++) {
    let died = true;
    for (let second = 0; ; second++) {
      const files = new Map<number, string>();
      const life = new Life(first);
      died = killedApply(dir, new MortalDisk(life, files, 'half'), life, plan);
      const next = new Life(second);
      const again = dies(() =>
        undoLast(new MortalTree(rehearsal(dir), next), new MortalDisk(next, files, 'half')),
      );
      undoLast(rehearsal(dir), new MortalDisk(new Life(), files));
      expect(contents(dir), `points ${first} and ${second}`).toEqual(before);
      if (!again) break;
      deaths++;
    }
    if (!died) break;
  }
  expect(deaths).toBeGreaterThan(100);
});

const machines = readdirSync(new URL('../../test/fixtures/machines', import.meta.url)).map(
  (file) => file.split('.')[0]!,
);

// random-30 takes seconds to compare once.
test.each(machines.filter((name) => name !== 'random-30' && name !== 'none'))(
  'recorded machine %s: killed around every write, then undone: the tree as it was',
  (name) => {
    const dir = scratch.machine(name);
    const tree = rehearsal(dir);
    const endpoints = readdirSync(join(dir, 'sys/bus/pci/devices'))
      .sort()
      .filter((device) => tree.group(device) !== null && tree.held(device)!.driver !== 'pcieport')
      .filter((device) => !isBridge(dir, device))
      .slice(-2);
    expect(endpoints.length).toBeGreaterThan(0);
    const before = contents(dir);
    const plan = planOf(
      tree,
      endpoints.filter((device) => tree.held(device)!.driver !== 'vfio-pci'),
    );
    for (let points = 0; ; points++) {
      const life = new Life(points);
      const files = new Map<number, string>();
      // The disk outlives the process: only what happens to the tree counts here.
      const died = dies(() =>
        new Handover(
          new MortalTree(rehearsal(dir), life),
          new Journals(new MortalDisk(new Life(), files)),
        ).apply(plan),
      );
      undoLast(rehearsal(dir), new MortalDisk(new Life(), files));
      expect(contents(dir), `point ${points}`).toEqual(before);
      if (!died) break;
    }
  },
);

function isBridge(dir: string, device: string): boolean {
  return contents(join(dir, 'sys/bus/pci/devices', device)).has('secondary_bus_number');
}

describe('what a killed run left', () => {
  function killedHalfWay(dir: string, plan: PlanReport): Map<number, string> {
    const files = new Map<number, string>();
    const life = new Life();
    const tree = new MortalTree(rehearsal(dir), life);
    const disk = new MortalDisk(new Life(), files);
    const write = tree.write.bind(tree);
    tree.write = (path, value) => {
      write(path, value);
      if (tree.writes === 4) throw new Kill();
    };
    expect(dies(() => new Handover(tree, new Journals(disk)).apply(plan))).toBe(true);
    return files;
  }

  test('is undone where the next plan is another, and says so', () => {
    const dir = running();
    const before = contents(dir);
    const plan = planOf(rehearsal(dir), [SATA, B]);
    const other = planOf(rehearsal(dir), [B], 'pci-stub');
    const disk = new MortalDisk(new Life(), killedHalfWay(dir, plan));
    const recovered = new Handover(rehearsal(dir), new Journals(disk)).recover(other);
    expect(recovered).toMatchObject({
      id: 1,
      how: 'undone',
      why: 'its plan is another than the one you gave',
    });
    expect(contents(dir)).toEqual(before);
  });

  test('is undone where a device is not where it was left', () => {
    const dir = running();
    const before = contents(dir);
    const plan = planOf(rehearsal(dir), [SATA, B]);
    const disk = new MortalDisk(new Life(), killedHalfWay(dir, plan));
    rehearsal(dir).write(`/sys/bus/pci/devices/${SATA}/driver_override`, 'nouveau');
    const recovered = new Handover(rehearsal(dir), new Journals(disk)).recover(plan);
    expect(recovered).toMatchObject({ how: 'undone', why: 'its devices are not where it left them' });
    expect(contents(dir)).toEqual(before);
  });

  test('is undone where its undo had been begun, whatever the plan', () => {
    const dir = running();
    const before = contents(dir);
    const plan = planOf(rehearsal(dir), [SATA, B]);
    const files = killedHalfWay(dir, plan);
    const life = new Life(6);
    expect(dies(() => undoLast(new MortalTree(rehearsal(dir), life), new MortalDisk(life, files)))).toBe(
      true,
    );
    const recovered = new Handover(rehearsal(dir), new Journals(new MortalDisk(new Life(), files))).recover(
      plan,
    );
    expect(recovered).toMatchObject({ how: 'undone', why: 'its undo had been begun' });
    expect(contents(dir)).toEqual(before);
  });

  test('on another tree is no concern of this one', () => {
    const dir = running();
    const plan = planOf(rehearsal(dir), [SATA, B]);
    const files = killedHalfWay(dir, plan);
    const elsewhere = running();
    const handover = new Handover(rehearsal(elsewhere), new Journals(new MortalDisk(new Life(), files)));
    expect(handover.recover(plan)).toBeUndefined();
    expect(handover.last()).toBeUndefined();
  });
});

describe('undo', () => {
  function applied(dir: string, devices: string[]): { disk: MortalDisk; handover: Handover } {
    const disk = new MortalDisk();
    const handover = new Handover(rehearsal(dir), new Journals(disk));
    expect(handover.apply(planOf(rehearsal(dir), devices)).result).toBe('applied');
    return { disk, handover };
  }

  test('with a full disk: refused, and no device is touched', () => {
    const dir = running();
    const { disk, handover } = applied(dir, [B]);
    const now = contents(dir);
    disk.room = 10;
    expect(() => handover.undo(handover.last()!, 'asked for')).toThrow(KernelError);
    expect(contents(dir)).toEqual(now);
  });

  test('with a disk that fills up once it has begun: goes on, and says that the journal misses it', () => {
    const dir = running();
    const before = contents(dir);
    const { disk, handover } = applied(dir, [SATA, B]);
    disk.room = 300;
    const { result, notes } = handover.undo(handover.last()!, 'asked for');
    expect(result).toBe('undone');
    expect(notes.join()).toMatch(/not in the journal: .*ENOSPC/);
    expect(contents(dir)).toEqual(before);
    disk.room = Number.POSITIVE_INFINITY;
    expect(undoLast(rehearsal(dir), disk)).toBe('undone');
    expect(contents(dir)).toEqual(before);
  });

  test('a device that is gone, or another one at its address, is left alone; the others return', () => {
    const dir = running();
    const { handover } = applied(dir, [SATA, B]);
    const tree = rehearsal(dir);
    tree.identity = () => ({ vendor: '10de' });
    tree.held = (device) => (device === SATA ? undefined : rehearsal(dir).held(device));
    const { result, devices } = new Handover(tree, new Journals(applied(running(), [B]).disk)).undo(
      handover.last()!,
      '',
    );
    expect(result).toBe('undone');
    expect(devices).toMatchObject([
      { device: B, outcome: 'another device' },
      { device: SATA, outcome: 'gone' },
    ]);
    expect(rehearsal(dir).held(B)?.driver).toBe('vfio-pci');
  });

  test('a driver that is not loaded any more: the command that loads it; then undo goes on', () => {
    const dir = running();
    const { handover } = applied(dir, [SATA, B]);
    const tree = rehearsal(dir);
    const hidden = new Set(['e1000e']);
    const write = tree.write.bind(tree);
    tree.hasDriver = (name) => !hidden.has(name) && rehearsal(dir).hasDriver(name);
    tree.write = (path, value) => {
      if (path.includes('/e1000e/') && hidden.size > 0) throw new KernelError('ENOENT', path, 'no such file');
      write(path, value);
    };
    const disk = new MortalDisk(new Life(), new Map([[1, '']]));
    const first = new Handover(tree, new Journals(disk)).undo(handover.last()!, 'asked for');
    expect(first.result).toBe('not undone');
    expect(first.devices).toMatchObject([
      { device: B, outcome: 'failed', problem: 'e1000e is not loaded any more; run: modprobe e1000e' },
      { device: SATA, outcome: 'returned' },
    ]);
    hidden.clear();
    expect(new Handover(tree, new Journals(disk)).undo(handover.last()!, 'asked for').result).toBe('undone');
    expect(rehearsal(dir).held(B)).toEqual({ driver: 'e1000e', override: null });
    expect(rehearsal(dir).held(SATA)).toEqual({ driver: 'ahci', override: 'pci-stub' });
  });

  test('the last one stands on those before it', () => {
    const dir = running();
    const { disk, handover } = applied(dir, [B]);
    const first = handover.last()!;
    expect(handover.standsOn(first)).toBeUndefined();
    handover.apply(planOf(rehearsal(dir), [B], 'pci-stub'));
    expect(handover.last()!.id).toBe(2);
    expect(handover.standsOn(first)).toMatchObject({ id: 2 });
    expect(undoLast(rehearsal(dir), disk)).toBe('undone');
    expect(handover.last()!.id).toBe(1);
    expect(handover.standsOn(first)).toBeUndefined();
  });

  test('forgotten: nothing is touched and nothing left to undo', () => {
    const dir = running();
    const { handover } = applied(dir, [B]);
    const now = contents(dir);
    handover.forget(1);
    expect(handover.last()).toBeUndefined();
    expect(contents(dir)).toEqual(now);
  });
});

describe('a group goes back as a whole: no driver of the host is bound while vfio has another member', () => {
  /** Both functions of group 3 with e1000e. */
  function both(): string {
    const dir = scratch.machine('vfio');
    giveTo(dir, A, 'e1000e');
    giveTo(dir, B, 'e1000e');
    const tree = rehearsal(dir);
    for (const device of [A, B]) tree.write(`/sys/bus/pci/devices/${device}/driver_override`, '\n');
    return dir;
  }

  const strict = (dir: string): RehearsalTree => new RehearsalTree(join(dir, 'sys'), { vfioClaims: true });

  test('the strict tree refuses it as a kernel does whose group is claimed', () => {
    const dir = both();
    const tree = strict(dir);
    new Handover(tree, new Journals(new MortalDisk())).apply(planOf(tree, [A, B]));
    tree.write(`/sys/bus/pci/drivers/vfio-pci/unbind`, B);
    tree.write(`/sys/bus/pci/devices/${B}/driver_override`, 'e1000e');
    expect(() => tree.write('/sys/bus/pci/drivers/e1000e/bind', B)).toThrow(/EBUSY/);
    tree.write(`/sys/bus/pci/drivers/vfio-pci/unbind`, A);
    tree.write('/sys/bus/pci/drivers/e1000e/bind', B);
    expect(tree.held(B)?.driver).toBe('e1000e');
  });

  test('undo lets go of all devices before it binds one', () => {
    const dir = both();
    const before = contents(dir);
    const tree = strict(dir);
    const handover = new Handover(tree, new Journals(new MortalDisk()));
    expect(handover.apply(planOf(tree, [A, B])).result).toBe('applied');
    const { result, made } = handover.undo(handover.last()!, 'asked for');
    expect(result).toBe('undone');
    expect(made.map(({ path }) => path.split('/').at(-1))).toEqual([
      'unbind',
      'unbind',
      'driver_override',
      'bind',
      'driver_override',
      'bind',
    ]);
    expect(contents(dir)).toEqual(before);
  });

  test('a rollback does the same, whichever write fails', () => {
    const dir = both();
    const before = contents(dir);
    const plan = planOf(rehearsal(dir), [A, B]);
    for (let n = 1; n <= plan.steps.length; n++) {
      const tree = new MortalTree(strict(dir), new Life(), (write) => write === n);
      const handover = new Handover(tree, new Journals(new MortalDisk()));
      expect(handover.apply(plan).result, `write ${n}`).toBe('rolled back');
      expect(contents(dir), `write ${n}`).toEqual(before);
    }
  });

  test('undo killed at every point: the next one ends with the tree as it was', () => {
    const dir = both();
    const before = contents(dir);
    const plan = planOf(rehearsal(dir), [A, B]);
    for (let points = 0; ; points++) {
      const files = new Map<number, string>();
      new Handover(strict(dir), new Journals(new MortalDisk(new Life(), files))).apply(plan);
      const life = new Life(points);
      const died = dies(() =>
        undoLast(new MortalTree(strict(dir), life), new MortalDisk(life, files, 'half')),
      );
      expect(undoLast(strict(dir), new MortalDisk(new Life(), files))).not.toBe('not undone');
      expect(contents(dir), `point ${points}`).toEqual(before);
      if (!died) break;
    }
  });

  test('a member that vfio does not let go of keeps the others unbound, and they are named', () => {
    const dir = both();
    const before = contents(dir);
    const disk = new MortalDisk();
    const tree = rehearsal(dir);
    new Handover(tree, new Journals(disk)).apply(planOf(tree, [A, B]));
    const write = tree.write.bind(tree);
    tree.write = (path, value) => {
      if (path.endsWith('/vfio-pci/unbind') && value === A) throw new KernelError('EBUSY', value, 'is open');
      write(path, value);
    };
    const handover = new Handover(tree, new Journals(disk));
    const { result, devices } = handover.undo(handover.last()!, 'asked for');
    expect(result).toBe('not undone');
    expect(devices).toMatchObject([
      {
        device: B,
        outcome: 'failed',
        problem: expect.stringContaining(`${A} of its group is still with vfio-pci`),
      },
      { device: A, outcome: 'failed', problem: expect.stringContaining('is open') },
    ]);
    expect(rehearsal(dir).held(B)?.driver).toBeNull();
    expect(undoLast(strict(dir), disk)).toBe('undone');
    expect(contents(dir)).toEqual(before);
  });

  test('a later hand-over of another member has to be undone first', () => {
    const dir = both();
    const tree = strict(dir);
    const handover = new Handover(tree, new Journals(new MortalDisk()));
    handover.apply(planOf(tree, [A]));
    const first = handover.last()!;
    expect(handover.standsOn(first)).toBeUndefined();
    handover.apply(planOf(tree, [B]));
    expect(handover.standsOn(first)).toMatchObject({ id: 2 });
  });

  test('from vfio to the host by a plan: all are let go of first', () => {
    const dir = both();
    const tree = strict(dir);
    const disk = new MortalDisk();
    new Handover(tree, new Journals(disk)).apply(planOf(tree, [A, B]));
    const back = planOf(tree, [A, B], 'e1000e');
    expect(new Handover(tree, new Journals(disk)).apply(back).result).toBe('applied');
    expect([tree.held(A)?.driver, tree.held(B)?.driver]).toEqual(['e1000e', 'e1000e']);
    expect(undoLast(tree, disk)).toBe('undone');
    expect([tree.held(A)?.driver, tree.held(B)?.driver]).toEqual(['vfio-pci', 'vfio-pci']);
  });
});

describe('a plan counts as carried out', () => {
  test('while drivers and overrides stand as it left them', () => {
    const dir = running();
    const tree = rehearsal(dir);
    const handover = new Handover(tree, new Journals(new MortalDisk()));
    const plan = planOf(tree, [B]);
    handover.apply(plan);
    expect(handover.carriedOut(plan)).toBe(1);
    tree.write(`/sys/bus/pci/devices/${B}/driver_override`, 'nouveau');
    expect(handover.carriedOut(plan)).toBeUndefined();
  });
});

describe('a kernel that takes a write and does nothing', () => {
  test('is found out at once, and what went before is taken back', () => {
    const dir = running();
    const before = contents(dir);
    const store = modelKernel(dir);
    const tree = new LiveTree(join(dir, 'sys'), (file, value) => {
      if (!file.endsWith('/vfio-pci/bind')) store(file, value);
    });
    const { result, problem } = new Handover(tree, new Journals(new MortalDisk())).apply(planOf(tree, [B]));
    expect(result).toBe('rolled back');
    expect(problem).toMatch(/write went through, but 0000:01:00.1 has no driver .* instead of vfio-pci/);
    expect(contents(dir)).toEqual(before);
  });

  test('live: applied and undone through the model of the kernel, without any spelling to put back', () => {
    const dir = running();
    const before = contents(dir);
    const tree = new LiveTree(join(dir, 'sys'), modelKernel(dir));
    const disk = new MortalDisk();
    const handover = new Handover(tree, new Journals(disk));
    expect(handover.apply(planOf(tree, [SATA, B])).result).toBe('applied');
    expect(contents(dir)).not.toEqual(before);
    expect(undoLast(tree, disk)).toBe('undone');
    expect(contents(dir)).toEqual(before);
  });
});

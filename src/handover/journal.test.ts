/** Journals: torn, full of junk, on a full disk, or all of it. */

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import { Handover } from './handover.ts';
import { Journals } from './journal.ts';
import { DirectoryDisk } from './journal-disk.ts';
import { type JournalRecord, readRecords, recordLine } from './journal-records.ts';
import { RehearsalTree } from './rehearsal-tree.ts';
import { stateDirectory } from './state-directory.ts';
import { contents, giveTo, Kill, planOf, Scratch } from './testing.ts';

const scratch = new Scratch();
afterAll(() => scratch.clear());

const B = '0000:01:00.1';

function applied(killed = false): {
  dir: string;
  before: Map<string, string>;
  now: Map<string, string>;
  tree: RehearsalTree;
  state: string;
  file: string;
} {
  const dir = scratch.machine('vfio');
  giveTo(dir, '0000:01:00.0', 'vfio-pci');
  giveTo(dir, B, 'e1000e');
  giveTo(dir, '0000:00:02.0', 'pcieport');
  const before = contents(dir);
  const tree = new RehearsalTree(join(dir, 'sys'));
  const state = scratch.folder();
  const mortal = new RehearsalTree(join(dir, 'sys'));
  mortal.write = (path, value) => {
    tree.write(path, value);
    if (killed && path.endsWith('/bind')) throw new Kill();
  };
  try {
    new Handover(mortal, new Journals(new DirectoryDisk(state))).apply(planOf(tree, [B]));
  } catch (error) {
    if (!(error instanceof Kill)) throw error;
  }
  return { dir, before, now: contents(dir), tree, state, file: join(state, 'hand-over-1.jsonl') };
}

describe('a torn journal', () => {
  test.each([false, true])(
    'cut off at any byte behind its first line: undo ends with the tree as it was',
    (killed) => {
      const { dir, before, tree, state, file } = applied(killed);
      const whole = readFileSync(file);
      const begin = whole.indexOf('\n') + 1;
      for (let length = begin; length <= whole.length; length += 9) {
        writeFileSync(file, whole.subarray(0, length));
        const handover = new Handover(tree, new Journals(new DirectoryDisk(state)));
        expect(handover.last()?.id).toBe(1);
        expect(handover.undo(handover.last()!, 'asked for').result).toBe('undone');
        expect(contents(dir), `${length} bytes`).toEqual(before);
        // What was cut off is not joined to what came after it.
        expect(new Journals(new DirectoryDisk(state)).read(1).state).toBe('undone');
        new Handover(tree, new Journals(new DirectoryDisk(scratch.folder()))).apply(planOf(tree, [B]));
      }
    },
  );

  test('cut off within its first line: nothing was written then, and nothing is undone', () => {
    const { tree, state, file } = applied();
    truncateSync(file, readFileSync(file).indexOf('\n') - 5);
    const handover = new Handover(tree, new Journals(new DirectoryDisk(state)));
    expect(handover.last()).toBeUndefined();
    expect(handover.recover(planOf(tree, ['0000:00:1f.2']))).toBeUndefined();
    expect(new Journals(new DirectoryDisk(state)).lines()).toEqual([{ id: 1, state: 'empty', devices: [] }]);
  });
});

describe('junk in a journal', () => {
  test('between any lines: passed over, counted, and undone all the same', () => {
    const { dir, before, tree, state, file } = applied(true);
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    const junk = [
      '{"record":"write"}',
      '\0\0\0',
      '[]',
      '{"record":"end","state":"perfect","time":""}',
      'null',
    ];
    writeFileSync(
      file,
      [junk[0], ...lines.flatMap((line, i) => [line, junk[i % junk.length]]), ''].join('\n'),
    );
    const handover = new Handover(tree, new Journals(new DirectoryDisk(state)));
    expect(handover.last()).toMatchObject({ state: 'unfinished', damaged: lines.length + 1 });
    expect(handover.undo(handover.last()!, 'asked for').result).toBe('undone');
    expect(contents(dir)).toEqual(before);
  });

  test('for its first line: each write tells what was before it, so undo still knows where to', () => {
    const { dir, before, tree, state, file } = applied(true);
    const lines = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, ['x'.repeat(lines[0]!.length), ...lines.slice(1)].join('\n'));
    const handover = new Handover(tree, new Journals(new DirectoryDisk(state)));
    expect(handover.last()).toMatchObject({ state: 'unfinished', damaged: 1 });
    expect(handover.recover(planOf(tree, ['0000:00:1f.2']))).toMatchObject({
      how: 'undone',
      why: 'the beginning of its journal is damaged',
    });
    expect(contents(dir)).toEqual(before);
  });

  test('for all of it: apply will not go on, and names the way out', () => {
    const { dir, now, tree, state, file } = applied(true);
    writeFileSync(file, 'not a journal\n');
    const handover = new Handover(tree, new Journals(new DirectoryDisk(state)));
    expect(() => handover.recover(planOf(tree, ['0000:00:1f.2']))).toThrow(/cannot be read.*undo 1 --forget/);
    expect(contents(dir)).toEqual(now);
    handover.forget(1);
    expect(handover.recover(planOf(tree, ['0000:00:1f.2']))).toBeUndefined();
  });

  test('any bytes: read without an error, in a state that is one', () => {
    const line = recordLine({ record: 'end', state: 'applied', time: '' } satisfies JournalRecord);
    const states = ['applied', 'undone', 'forgotten', 'unfinished', 'undo unfinished', 'empty', 'unreadable'];
    const part = fc.oneof(
      fc.string(),
      fc.constant(line),
      fc.constant('\n'),
      fc.json(),
      fc.json().map((text) => `{"record":"begin","version":1,"plan":${text}}\n`),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(states).toContain(readRecords(1, parts.join('')).state);
      }),
    );
  });
});

describe('the folder', () => {
  test('is made with its parents, for its owner alone; strangers in it are passed over', () => {
    const state = join(scratch.folder(), 'a/b/ringfence');
    const disk = new DirectoryDisk(state);
    expect(disk.ids()).toEqual([]);
    expect(existsSync(state)).toBe(false);
    disk.create(1).close();
    expect(statSync(state).mode & 0o777).toBe(0o700);
    writeFileSync(join(state, 'hand-over-x.jsonl'), '');
    writeFileSync(join(state, 'hand-over-007.jsonl'), '');
    mkdirSync(join(state, 'hand-over-'));
    expect(disk.ids()).toEqual([1]);
    disk.create(3).close();
    disk.create(20).close();
    expect(disk.ids()).toEqual([1, 3, 20]);
    expect(() => disk.create(3)).toThrow(KernelError);
  });

  test('a line that was cut short is ended before the next', () => {
    const state = scratch.folder();
    const disk = new DirectoryDisk(state);
    disk.create(1).close();
    appendFileSync(join(state, 'hand-over-1.jsonl'), '{"record":');
    const file = disk.open(1);
    file.append('one\n');
    file.append('two\n');
    file.close();
    expect(disk.read(1)).toBe('{"record":\none\ntwo\n');
  });

  test('that cannot be made: an error that names it', () => {
    const state = scratch.folder();
    writeFileSync(join(state, 'file'), '');
    expect(() => new DirectoryDisk(join(state, 'file/ringfence')).create(1)).toThrow(
      /file\/ringfence.*ENOTDIR/,
    );
    expect(existsSync(join(state, 'file/ringfence'))).toBe(false);
  });

  test.each([
    [{ XDG_STATE_HOME: '/x', HOME: '/h' }, 0, '/x/ringfence'],
    [{ XDG_STATE_HOME: '/x', HOME: '/h' }, 1000, '/x/ringfence'],
    [{ HOME: '/root' }, 0, '/var/lib/ringfence'],
    [{ XDG_STATE_HOME: 'relative', HOME: '/h' }, 1000, '/h/.local/state/ringfence'],
    [{}, 0, '/var/lib/ringfence'],
  ])('%j as user %i: %s', (env, uid, expected) => {
    expect(stateDirectory(env, uid)).toBe(expected);
  });

  test('nowhere: an error that says what is missing', () => {
    expect(() => stateDirectory({}, 1000)).toThrow(/HOME.*XDG_STATE_HOME/);
  });
});

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lockTree } from './lock.ts';
import { Scratch } from './testing.ts';

const scratch = new Scratch();
afterAll(() => scratch.clear());

const lockFile = (dir: string): string =>
  join(dir, readdirSync(dir).find((name) => name.startsWith('lock-'))!);

test('held once: a second run is told which process has it; other trees are free', () => {
  const dir = scratch.folder();
  const lock = lockTree(dir, '/a');
  expect(() => lockTree(dir, '/a')).toThrow(
    new RegExp(`/a: another ringfence \\(process ${process.pid}\\).*EBUSY`),
  );
  lockTree(dir, '/b')[Symbol.dispose]();
  lock[Symbol.dispose]();
  expect(readdirSync(dir)).toEqual([]);
  lockTree(dir, '/a')[Symbol.dispose]();
});

/** What the lock of a process that has ended looks like. */
function staleLock(dir: string, change: (lock: Record<string, unknown>) => object): string {
  const lock = lockTree(dir, '/a');
  const file = lockFile(dir);
  const content = JSON.parse(readFileSync(file, 'utf8'));
  lock[Symbol.dispose]();
  writeFileSync(file, JSON.stringify(change(content)));
  return file;
}

const { pid: DEAD } = spawnSync('true');

test.each<[string, (lock: Record<string, unknown>) => object]>([
  ['a process that has ended', (lock) => ({ ...lock, pid: DEAD })],
  ['a process of that number that is another', (lock) => ({ ...lock, start: '1' })],
  ['another boot', (lock) => ({ ...lock, boot: 'before' })],
  ['nobody: junk', () => ({ nonsense: true })],
])('left by %s: taken over, and given back whole', (_, change) => {
  const dir = scratch.folder();
  staleLock(dir, change);
  const lock = lockTree(dir, '/a');
  expect(JSON.parse(readFileSync(lockFile(dir), 'utf8'))).toMatchObject({ pid: process.pid });
  expect(() => lockTree(dir, '/a')).toThrow(/EBUSY/);
  lock[Symbol.dispose]();
  expect(readdirSync(dir)).toEqual([]);
});

test('a run that died while it removed a stale lock is no obstacle either', () => {
  const dir = scratch.folder();
  const file = staleLock(dir, (lock) => ({ ...lock, pid: DEAD }));
  const guards: string[] = [];
  for (let depth = 0; depth < 3; depth++) {
    // The guard is named after what it guards; a run in the middle of removing shows its name.
    const target = guards.at(-1) ?? file;
    const digest = digestOf(readFileSync(target, 'utf8'));
    writeFileSync(`${target}.${digest}`, JSON.stringify({ pid: DEAD, start: `${depth}`, boot: 'x' }));
    guards.push(`${target}.${digest}`);
  }
  lockTree(dir, '/a')[Symbol.dispose]();
  expect(readdirSync(dir)).toEqual([]);
});

test('a process of another PID namespace cannot be looked for: refused, saying how to go on', () => {
  const dir = scratch.folder();
  const file = staleLock(dir, (lock) => ({ ...lock, pid: DEAD, ns: 'pid:[1]' }));
  expect(() => lockTree(dir, '/a')).toThrow(/another PID namespace.*if no ringfence runs there.*EBUSY/);
  expect(() => lockTree(dir, '/a')).toThrow(file);
  expect(existsSync(file)).toBe(true);
  unlinkSync(file);
  lockTree(dir, '/a')[Symbol.dispose]();
  expect(JSON.stringify(readdirSync(dir))).toBe('[]');
});

test('of another PID namespace, but from before the last boot: taken over', () => {
  const dir = scratch.folder();
  staleLock(dir, (lock) => ({ ...lock, boot: 'before', ns: 'pid:[1]' }));
  lockTree(dir, '/a')[Symbol.dispose]();
  expect(readdirSync(dir)).toEqual([]);
});

test("what killed runs left beside the lock is swept away; what is another's stays", () => {
  const dir = scratch.folder();
  const file = staleLock(dir, (lock) => ({ ...lock, pid: DEAD }));
  const dead = readFileSync(file, 'utf8');
  const alive = JSON.stringify({ ...JSON.parse(dead), pid: process.pid, start: undefined });
  writeFileSync(`${file}.${DEAD}.0123abcd`, dead);
  writeFileSync(`${file}.${DEAD}.0123abce`, '');
  writeFileSync(`${file}.89abcdef`, dead);
  writeFileSync(`${file}.89abcdef.${DEAD}.0123abcd`, dead.slice(0, 9));
  const kept = [
    `${file}.${process.pid}.0123abcd`,
    join(dir, 'lock-other.1.0123abcd'),
    join(dir, 'hand-over-1.jsonl'),
  ];
  for (const name of kept) writeFileSync(name, alive);
  lockTree(dir, '/a')[Symbol.dispose]();
  expect(readdirSync(dir).sort()).toEqual(kept.map((name) => basename(name)).sort());
});

test('the folder is made with the lock; where it cannot be, the message names it', () => {
  const dir = join(scratch.folder(), 'a', 'b');
  lockTree(dir, '/a')[Symbol.dispose]();
  expect(readdirSync(dir)).toEqual([]);
  const file = join(dir, 'file');
  writeFileSync(file, '');
  expect(() => lockTree(join(file, 'c'), '/a')).toThrow(new RegExp(`${file}/c: .*ENOTDIR`));
});

test('a lock given back by one that no longer has it stays with its holder', () => {
  const dir = scratch.folder();
  const lock = lockTree(dir, '/a');
  const file = lockFile(dir);
  writeFileSync(file, 'somebody else');
  lock[Symbol.dispose]();
  expect(readFileSync(file, 'utf8')).toBe('somebody else');
});

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

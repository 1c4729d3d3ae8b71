import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Publisher, unpublish } from './publisher.ts';
import { readSessions, type SessionPicture } from './sessions.ts';

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ringfence-'));
  folder = join(root, 'ringfence/sessions');
});
afterEach(() => rmSync(root, { recursive: true }));

const picture = (program: string, pid = process.pid): SessionPicture => ({ pid, program, contexts: [] });

test('a picture is published for its user alone, at most every 200 ms, and taken away at the end', () => {
  let program = 'first';
  let now = 0;
  const publisher = new Publisher(
    folder,
    () => picture(program),
    () => now,
  );
  publisher.called();
  expect(readSessions(folder)).toEqual([picture('first')]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, `${process.pid}.json`)).mode & 0o777).toBe(0o600);
  program = 'second';
  now = 199;
  publisher.called();
  expect(readSessions(folder)).toEqual([picture('first')]);
  now = 200;
  publisher.called();
  expect(readSessions(folder)).toEqual([picture('second')]);
  unpublish(folder, process.pid);
  expect(readdirSync(folder)).toEqual([]);
});

test('what dead processes left, and what is no picture, is passed over', () => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const dead = 2 ** 31 - 1;
  writeFileSync(join(folder, `${dead}.json`), JSON.stringify(picture('gone', dead)));
  writeFileSync(join(folder, `${process.pid}.json`), '{"pid":1}');
  expect(readSessions(folder)).toEqual([]);
});

test('a folder that is a link is neither written nor read', () => {
  mkdirSync(join(root, 'ringfence'), { mode: 0o700 });
  mkdirSync(join(root, 'elsewhere'));
  symlinkSync(join(root, 'elsewhere'), folder);
  new Publisher(folder, () => picture('any')).publish();
  expect(readdirSync(join(root, 'elsewhere'))).toEqual([]);
});

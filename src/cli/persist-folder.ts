/** Writes the files of `plan --persist` to a folder of the user's, never to where the system reads them. */

import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PersistFile } from '../advise/persist.ts';
import { InputError } from '../kernel/errors.ts';

/** @throws InputError for a folder below /etc, one that has such files, or that cannot be written */
export function writePersistFiles(directory: string, files: readonly PersistFile[]): void {
  if (directory.includes('\0')) throw new InputError('--persist', 'a folder name cannot hold a zero byte');
  const place = realPlace(resolve(directory));
  if (place === '/' || /^\/(etc|usr|lib|run\/udev|boot|sys|proc|dev)(\/|$)/.test(place)) {
    throw new InputError(
      directory,
      'is where the system reads its files; name a folder of your own to review them in',
    );
  }
  const there = files.find(({ name }) => existsSync(join(place, name)));
  if (there !== undefined)
    throw new InputError(directory, `holds ${there.name} already; name another folder`);
  try {
    mkdirSync(place, { recursive: true });
    for (const { name, text } of files) {
      writeFileSync(join(place, name), text, { flag: 'wx', mode: name.endsWith('.sh') ? 0o755 : 0o644 });
    }
  } catch (error) {
    throw new InputError(directory, `cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Where a path that need not exist yet would lie, links followed as far as it does. */
function realPlace(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPlace(parent), path.slice(path.lastIndexOf('/') + 1));
  }
}

/** What running sessions publish of themselves: where it stands, what it says, and how it is read. */

import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const hex = z.string().regex(/^0x[0-9a-f]{1,16}$/);
const id = z.number().int().nonnegative();
const sessionPicture = z.object({
  pid: z.number().int().positive(),
  program: z.string(),
  contexts: z.array(
    z.object({
      label: z.string(),
      objects: z.array(z.object({ id, type: z.string(), users: z.number() })),
      spaces: z.array(
        z.object({
          id,
          areas: z.array(z.object({ iova: hex, last: hex, prot: z.number() })),
          /** Areas that are not in the list. */
          more: z.number(),
        }),
      ),
      hwpts: z.array(z.object({ id, ioas: id, domain: z.string() })),
    }),
  ),
});

/** Addresses are hexadecimal, `last` inclusive; `prot` is 1 read, 2 write. */
export type SessionPicture = z.infer<typeof sessionPicture>;

/** Of the user who runs it. */
export function sessionsFolder(env: Readonly<Record<string, string | undefined>>): string {
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith('/')) return join(runtime, 'ringfence/sessions');
  return `/tmp/ringfence-${process.getuid?.() ?? 0}/sessions`;
}

/** A real folder of ours, and so is the one it is in: nobody else could have put files there. */
export function isOurs(folder: string): boolean {
  return [folder, join(folder, '..')].every((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
  });
}

/** By process id. What processes left that are gone, and what is no picture, is passed over. */
export function readSessions(folder: string): SessionPicture[] {
  if (!isOurs(folder)) return [];
  const pids = readdirSync(folder).flatMap((name) => /^([1-9]\d{0,9})\.json$/.exec(name)?.[1] ?? []);
  return pids
    .map(Number)
    .sort((a, b) => a - b)
    .filter(isAlive)
    .flatMap((pid) => {
      try {
        const { data } = sessionPicture.safeParse(
          JSON.parse(readFileSync(join(folder, `${pid}.json`), 'utf8')),
        );
        return data?.pid === pid ? [data] : [];
      } catch {
        // It ended between the look and the reading.
        return [];
      }
    });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Runs a program inside a simulated machine: checks what that needs, and starts the session in a mount namespace. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { findLauncher } from './launcher.ts';
import { killNamespace } from './namespace.ts';
import { type Lack, lacks, surroundings, unshareFlags } from './requirements.ts';
import type { SessionInit } from './session.ts';
import { sessionsFolder } from './sessions.ts';
import { supervise } from './supervise.ts';

export type RunOptions = Omit<SessionInit, 'sessions' | 'launcher' | 'noDescriptors'>;

export type RunResult =
  /** The program's exit code, or the session's own. */
  | { readonly code: number }
  /** Nothing was begun. */
  | { readonly lacks: readonly Lack[] };

/**
 * @param note told what the user should know, one line each
 */
export async function runProgram(
  options: RunOptions,
  env: Readonly<Record<string, string | undefined>>,
  note: (line: string) => void,
): Promise<RunResult> {
  const around = surroundings();
  const missing = lacks(around);
  if (missing.length > 0) return { lacks: missing };
  const launcher = findLauncher(env);
  if (launcher.lack !== undefined) note(`calls that return a descriptor will fail: ${launcher.lack}`);
  const init: SessionInit = {
    ...options,
    sessions: sessionsFolder(env),
    launcher: launcher.path,
    noDescriptors: launcher.lack,
  };
  const args = [...unshareFlags(around.uid), '--', process.execPath, sessionFile(), JSON.stringify(init)];
  const session = spawn('unshare', args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env });
  const report = reported(session);
  const ending = await supervise(session);
  if ('status' in ending) return { code: ending.status };
  const [namespace = '', code] = (await report).split(' ');
  await endRest(namespace);
  if (code !== undefined) return { code: Number(code) };
  note(`the session was killed (${ending.signal}), and the program with it`);
  return { code: FAILED };
}

const FAILED = 4;

/** The session was not there to do it. */
async function endRest(namespace: string): Promise<void> {
  if (!namespace.startsWith('mnt:')) return;
  for (let tries = 0; tries < 200 && killNamespace(namespace) > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What the session says on its fourth descriptor: its namespace, and its exit code if it cannot exit with that. */
async function reported(session: ChildProcess): Promise<string> {
  let said = '';
  try {
    for await (const piece of session.stdio[3] as Readable) said += String(piece);
  } catch {
    // It could not be started.
  }
  return said;
}

/** A file of the same build as this one. */
function sessionFile(): string {
  const ending = /\.\w+$/.exec(import.meta.url)?.[0] ?? '.js';
  return new URL(`session${ending}`, import.meta.url).pathname;
}

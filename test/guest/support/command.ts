/** The command as a process: bundled as the build does it, because sessions start processes and threads of their own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lacks, surroundings } from '../../../src/guest/requirements.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const missing = lacks(surroundings());

/** Why no session can be run here; undefined if one can. */
export const noSessions: string | undefined =
  missing.length === 0 ? undefined : missing.map(({ what }) => what).join('; ');

export const MACHINE = join(root, 'test/fixtures/machines/vfio.tar.gz');

export interface Result {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

export class Command {
  readonly folder: string;

  /** @param folder with `main.mjs` */
  private constructor(folder: string) {
    this.folder = folder;
  }

  static async bundled(): Promise<Command> {
    const caches = join(root, 'node_modules/.cache/ringfence');
    mkdirSync(caches, { recursive: true });
    const folder = mkdtempSync(join(caches, 'guest-'));
    const { bundle } = (await import(join(root, 'scripts/bundle.mjs'))) as {
      bundle(files: string[], out: string): Promise<void>;
    };
    const files = ['cli/main.ts', 'guest/session.ts', 'guest/worker.ts'];
    await bundle(
      files.map((file) => join(root, 'src', file)),
      folder,
    );
    cpSync(join(root, 'src/guest/native'), join(folder, 'native'), { recursive: true });
    return new Command(folder);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** `ringfence run --host MACHINE WORDS…`, under way. */
  start(words: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
    const args = [join(this.folder, 'main.mjs'), 'run', '--host', MACHINE, ...words];
    return new Running(spawn(process.execPath, args, { env: { ...process.env, ...env } }));
  }

  /** The same, and its end. */
  run(words: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Result> {
    const running = this.start(words, env);
    running.child.stdin!.on('error', () => {}).end(input);
    return running.ended;
  }

  /** A shell's script inside. */
  shell(script: string, ...options: string[]): Promise<Result> {
    return this.run(['--check-leaks', ...options, '--', 'sh', '-c', script]);
  }
}

export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  readonly #result: Result = { code: null, signal: null, out: '', err: '' };

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#result.out += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#result.err += text;
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve(Object.assign(this.#result, { code, signal })));
    });
  }

  /** Waits until that was printed. */
  async printed(text: string): Promise<void> {
    await until(() => this.#result.out.includes(text));
  }

  /** Of the session's processes, by what they are: its own one, the launcher, what runs inside. */
  processes(): { session: number; launcher: number; inside: number[] } {
    const session = childrenOf(this.child.pid!)[0]!;
    const launcher = childrenOf(session)[0]!;
    const namespace = readlinkSync(`/proc/${session}/ns/mnt`);
    const inside = pids().filter(
      (pid) => pid !== session && pid !== launcher && namespaceOf(pid) === namespace,
    );
    return { session, launcher, inside };
  }
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Whether it runs; one that has ended and waits for its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function childrenOf(parent: number): number[] {
  return pids().filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
    } catch {
      return false;
    }
  });
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/**
 * A session from inside its mount namespace: mounts, the thread that serves, the program, and at the end nothing of
 * it is left. Runs as a process of its own (`run.ts` starts it), whose exit code is the program's.
 */

import { spawn } from 'node:child_process';
import { constants, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { TestOp } from '../iommufd/selftest/numbers.ts';
import { InputError } from '../kernel/errors.ts';
import { DESCRIPTOR_COMMANDS } from '../uapi/call-shapes.ts';
import { keptOfDev, keptOfSys } from './kept-real.ts';
import * as namespace from './namespace.ts';
import { unpublish } from './publisher.ts';
import { type Ending, exitCode, supervise } from './supervise.ts';
import { openTrace, writeAll } from './trace-log.ts';
import type { Control, FromWorker, Serve, WorkerInit } from './worker.ts';

/** What a session is told, as JSON in its one argument. */
export interface SessionInit {
  readonly program: readonly string[];
  readonly host: string | undefined;
  readonly policy: string | undefined;
  readonly selftest: boolean;
  readonly checkLeaks: boolean;
  readonly script: string | undefined;
  /** None: no log. */
  readonly trace: { readonly file: string | undefined } | undefined;
  /** Where sessions with a log publish their picture. */
  readonly sessions: string;
  readonly launcher: string | undefined;
  readonly noDescriptors: string | undefined;
}

/** As the command's. */
const EXIT = { usage: 2, lack: 3, failed: 4 };
/** Where whoever started us hears which namespace is ours. */
const REPORT = 3;
/** Milliseconds between looks whether whoever started us is there still. */
const ORPHAN_WATCH = 250;
/** Milliseconds between pictures that are published while no call comes. */
const PUBLISH = 1000;
/** Milliseconds until what is left of the program's processes must be gone, and the serving thread must answer. */
const LAST_GRACE = 5000;

class Refused extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

class Session {
  readonly #init: SessionInit;
  readonly #namespace = namespace.namespaceOf('self')!;
  #worker: Worker | undefined;
  #control: ((request: Control) => Promise<void>) | undefined;
  #signal: (name: NodeJS.Signals) => void = () => {};
  #fuse = -1;
  /** A thread waits for requests, and cannot be ended but by killing us. */
  #serving = false;
  #left: string | undefined;
  readonly #ended: Promise<void>;
  #end: () => void = () => {};

  constructor(init: SessionInit) {
    this.#init = init;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    writeSync(REPORT, this.#namespace);
    this.#watchParent(process.ppid);
    const init = this.#open();
    await this.#boot(init);
    await this.#mount();
    this.#serving = true;
    this.#worker!.postMessage({ device: namespace.treeDevice() } satisfies Serve);
    const installed = await this.#reach();
    const unbound = await namespace.coverSystem(init.realSys);
    if (unbound !== '' && process.env.RINGFENCE_DEBUG === '1') this.#say(unbound);
    const ending = await this.#runProgram(installed);
    await this.#killRest();
    await this.#endServing();
    if (this.#left !== undefined) {
      this.#say(this.#left);
      return EXIT.failed;
    }
    return exitCode(ending);
  }

  #open(): WorkerInit {
    const { host, policy, selftest, checkLeaks, script, trace, sessions, launcher, noDescriptors } =
      this.#init;
    try {
      this.#fuse = openSync('/dev/fuse', 'r+');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new Refused(EXIT.lack, `/dev/fuse cannot be opened (${code}); run as root`);
    }
    return {
      fuse: this.#fuse,
      host,
      policy,
      selftest,
      checkLeaks,
      script: script === undefined ? undefined : { name: script, source: readScript(script) },
      trace: trace && openTrace(trace.file),
      publish: trace && { folder: sessions, pid: process.pid, program: basename(this.#init.program[0]!) },
      realSys: namespace.openDirectory('/sys'),
      hostDirectory: host !== undefined && isDirectory(host) ? namespace.openDirectory(host) : undefined,
      kept: { sys: keptOfSys('/sys'), dev: keptOfDev('/dev') },
      launcher,
      noDescriptors,
    };
  }

  /** Starts the thread that will serve. */
  async #boot(workerData: WorkerInit): Promise<void> {
    const worker = new Worker(besideThis('worker'), { workerData });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      worker.on('error', (error) => {
        reject(error);
        this.#servingFailed(error);
      });
      worker.on('message', (message: FromWorker) => {
        switch (message.kind) {
          case 'booted':
            return resolve();
          case 'refused':
            return reject(new Refused(message.usage ? EXIT.usage : EXIT.failed, message.message));
          case 'wake-at':
            return this.#wakeAt(message.seconds);
          case 'signal':
            return this.#signal(message.name as NodeJS.Signals);
          case 'ended':
            this.#left = message.left;
            this.#serving = false;
            return this.#end();
        }
      });
    });
  }

  #started = 0;

  #wakeAt(seconds: number): void {
    const wait = Math.max(0, seconds * 1000 - (performance.now() - this.#started));
    // A moment more: the clock there must have come as far.
    setTimeout(() => void this.#control?.('elapsed'), wait + 1).unref();
  }

  async #mount(): Promise<void> {
    try {
      await namespace.mountTree(this.#fuse);
    } catch (error) {
      const { message } = error as Error;
      throw new Refused(
        EXIT.lack,
        `nothing can be mounted (${message}); run as root, with the module fuse loaded`,
      );
    }
  }

  /** Opens what will be covered. @returns path of the folder the launcher opens descriptors in */
  async #reach(): Promise<string> {
    const control = await open(`${namespace.TREE}/control`, 'r+');
    this.#control = async (request) => {
      await control.write(request);
    };
    const folder = await open(`${namespace.TREE}/installed`, constants.O_RDONLY | constants.O_DIRECTORY);
    keepOpen.push(control, folder);
    return `/proc/${process.pid}/fd/${folder.fd}`;
  }

  async #runProgram(installed: string): Promise<Ending> {
    const { program, launcher } = this.#init;
    const [file, ...args] =
      launcher === undefined ? program : [launcher, installed, launcherCommands(), ...program];
    // Steps without a moment are done before the program begins.
    this.#started = performance.now();
    await this.#control!('started');
    if (this.#init.trace !== undefined)
      setInterval(() => void this.#control!('publish').catch(() => {}), PUBLISH).unref();
    const child = spawn(file!, args, { stdio: 'inherit' });
    this.#signal = (name) => child.kill(name);
    try {
      return await supervise(child);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#say(`${file}: cannot be run (${code})`);
      return { status: code === 'ENOENT' ? 127 : 126 };
    }
  }

  /** What the program left running has lost its machine: it goes, too. */
  async #killRest(): Promise<void> {
    const until = performance.now() + LAST_GRACE;
    while (namespace.killNamespace(this.#namespace) > 0 && performance.now() < until) await sleep(5);
  }

  async #endServing(): Promise<void> {
    void this.#control!('end').catch(() => {});
    const late = sleep(LAST_GRACE, 'late', { ref: false });
    if ((await Promise.race([this.#ended, late])) === 'late') {
      this.#say('the simulated machine does not answer; giving up');
      this.leave(EXIT.failed);
    }
  }

  /** Without anybody to serve, every call of the program would hang: the connection is cut, which ends them. */
  #servingFailed(error: Error): void {
    this.#say(`internal error: ${error.message}; please report`);
    this.leave(EXIT.failed);
  }

  /**
   * Ends this process, and with it whatever is left of the session. The code goes with the report, too: a thread that
   * waits for requests keeps a process from exiting in order.
   */
  leave(code: number): never {
    namespace.killNamespace(this.#namespace);
    if (this.#init.trace !== undefined) unpublish(this.#init.sessions, process.pid);
    if (!this.#serving) process.exit(code);
    try {
      writeSync(REPORT, ` ${code}`);
    } finally {
      process.kill(process.pid, 'SIGKILL');
    }
    throw new Error('still there');
  }

  #watchParent(parent: number): void {
    setInterval(() => {
      if (process.ppid !== parent) this.leave(EXIT.failed);
    }, ORPHAN_WATCH).unref();
  }

  #say(text: string): void {
    writeAll(2, `ringfence: ${text}\n`);
  }
}

/** Handles that are collected are closed. */
const keepOpen: unknown[] = [];

/** A file of the same build: `.ts`, `.js` or `.mjs`, as this one is. */
function besideThis(name: string): URL {
  const ending = /\.\w+$/.exec(import.meta.url)?.[0] ?? '.js';
  return new URL(`${name}${ending}`, import.meta.url);
}

/** As the launcher reads them. Of the test's calls only one returns a descriptor: its op stands at offset 4. */
function launcherCommands(): string {
  return DESCRIPTOR_COMMANDS.map((command) =>
    command === TEST_COMMAND ? `${command.toString(16)}@4=${TestOp.CreateAccess}` : command.toString(16),
  ).join(',');
}

const TEST_COMMAND = 0x3ba0;

function readScript(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError('--script', `${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const session = new Session(JSON.parse(process.argv[2]!) as SessionInit);
try {
  session.leave(await session.run());
} catch (error) {
  const { message = String(error) } = error instanceof Error ? error : {};
  writeAll(2, `ringfence: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  if (error instanceof Refused) session.leave(error.code);
  session.leave(error instanceof InputError ? EXIT.usage : EXIT.failed);
}

/**
 * The thread that has the model. Once it serves it waits for the kernel and for nothing else: what other threads want
 * of it, they write into the tree's control file.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { InputError, KernelError } from '../kernel/errors.ts';
import { DeviceChannel } from './fuse/channel.ts';
import { FuseServer } from './fuse/server.ts';
import { GuestMachine } from './guest-machine.ts';
import type { KeptEntries } from './kept-real.ts';
import { describeSession, Publisher } from './publisher.ts';
import { parseScript, type ScriptStep } from './script.ts';
import { ScriptRunner } from './script-runner.ts';
import { TraceLog, writeAll } from './trace-log.ts';

export interface WorkerInit {
  /** /dev/fuse. */
  readonly fuse: number;
  readonly host: string | undefined;
  readonly policy: string | undefined;
  readonly selftest: boolean;
  readonly checkLeaks: boolean;
  readonly script: { readonly name: string; readonly source: string } | undefined;
  readonly trace: number | undefined;
  /** Where its picture is published, as whose. */
  readonly publish: { readonly folder: string; readonly pid: number; readonly program: string } | undefined;
  readonly realSys: number;
  readonly hostDirectory: number | undefined;
  readonly kept: { readonly sys: KeptEntries; readonly dev: KeptEntries };
  readonly launcher: string | undefined;
  readonly noDescriptors: string | undefined;
}

/** To the thread that supervises. */
export type FromWorker =
  | { readonly kind: 'booted' }
  | { readonly kind: 'refused'; readonly message: string; readonly usage: boolean }
  | { readonly kind: 'wake-at'; readonly seconds: number }
  | { readonly kind: 'signal'; readonly name: string }
  | { readonly kind: 'ended'; readonly left: string | undefined };

/** The tree is mounted; requests come. */
export interface Serve {
  /** Its device, as `/proc/PID/maps` writes it. */
  readonly device: string;
}

/** What is written into the control file. */
export type Control = 'started' | 'elapsed' | 'publish' | 'end';

class Session {
  readonly #init: WorkerInit;
  readonly #machine: GuestMachine;
  readonly #server: FuseServer;
  readonly #script: ScriptRunner;
  readonly #publisher: Publisher | undefined;
  #started: number | undefined;

  static async boot(init: WorkerInit): Promise<Session> {
    const steps = init.script === undefined ? [] : await parseScript(init.script.source, init.script.name);
    const log = new TraceLog(init.trace);
    // There when the first request comes.
    let session: Session | undefined;
    const machine = await GuestMachine.boot({
      ...init,
      log,
      called: (name) => {
        session!.#script.called(name);
        session!.#publisher?.called();
      },
      control: (text) => session!.#control(text as Control),
      openWithNumber: (ino) => session!.#server.openWithNumber(ino),
    });
    session = new Session(init, machine, log, steps);
    return session;
  }

  private constructor(init: WorkerInit, machine: GuestMachine, log: TraceLog, steps: readonly ScriptStep[]) {
    this.#init = init;
    this.#machine = machine;
    this.#server = new FuseServer({
      channel: new DeviceChannel(init.fuse),
      root: machine.root,
      report: (error) => writeAll(2, `ringfence: internal error: ${wordsOf(error)}; please report\n`),
    });
    const { publish } = init;
    this.#publisher =
      publish &&
      new Publisher(publish.folder, () => describeSession(machine.iommufd, publish.pid, publish.program));
    this.#script = new ScriptRunner({
      steps,
      machine: machine.machine,
      iommufd: machine.iommufd,
      sysfs: machine.sysfs,
      clock: () => (this.#started === undefined ? -1 : (performance.now() - this.#started) / 1000),
      wakeAt: (seconds) => tell({ kind: 'wake-at', seconds }),
      signal: (name) => tell({ kind: 'signal', name }),
      tell: (text, failed) => {
        log.remark(text);
        if (failed) writeAll(2, `ringfence: ${text}\n`);
      },
    });
  }

  /** Until the end is asked for, or the mounts are gone. @returns what is left, where that is looked at */
  serve({ device }: Serve): string | undefined {
    this.#machine.memories.untouchable = device;
    this.#server.serve();
    try {
      if (this.#init.checkLeaks) this.#machine.assertNothingLeft();
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.message;
    } finally {
      this.#machine.close();
    }
  }

  #control(request: Control): void {
    switch (request) {
      case 'started':
        this.#started = performance.now();
        this.#script.elapsed();
        break;
      case 'elapsed':
        this.#script.elapsed();
        break;
      case 'publish':
        this.#publisher?.publish();
        break;
      case 'end':
        this.#server.end();
    }
  }
}

/** With the place, for who wants to mend it. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return process.env.RINGFENCE_DEBUG === '1' ? (error.stack ?? error.message) : error.message;
}

const init = workerData as WorkerInit;
const port = parentPort!;
const tell = (message: FromWorker) => port.postMessage(message);

try {
  const session = await Session.boot(init);
  port.once('message', (serve: Serve) => {
    tell({ kind: 'ended', left: session.serve(serve) });
    port.close();
  });
  tell({ kind: 'booted' });
} catch (error) {
  tell({
    kind: 'refused',
    message: error instanceof Error ? error.message : String(error),
    usage: error instanceof InputError,
  });
  port.close();
}

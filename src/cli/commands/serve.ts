/** `ringfence serve` */

import { statSync } from 'node:fs';
import { sessionsFolder } from '../../guest/sessions.ts';
import { readPciIdsFile } from '../../host/pci-ids.ts';
import { readHost } from '../../host/read-host.ts';
import type { Snapshot } from '../../host/snapshot.ts';
import { InputError } from '../../kernel/errors.ts';
import { PciIds } from '../../pci/ids.ts';
import { Live } from '../../server/live.ts';
import { type MachineSource, Machines } from '../../server/machines.ts';
import { readPage } from '../../server/page.ts';
import { ADDRESS, startServer } from '../../server/serve.ts';
import { SessionWatch } from '../../server/session-watch.ts';
import { DriverLinks } from '../../watch/driver-links.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { webFolder } from '../web-folder.ts';

export const DEFAULT_PORT = 7420;

export async function run({ operands, flags, context }: Call): Promise<number> {
  const port = portOf(flags.value('port'));
  const policy = flags.value('policy');
  const page = readPage(webFolder());
  const sources = [
    context.host === '-' ? standardInput(() => context.snapshot()) : source(context.host),
    ...operands.map((operand) => source(operand)),
  ];
  // Said here, not in a page that somebody has yet to open.
  if (context.host !== undefined) await sources[0]!.read();
  for (const other of sources.slice(1)) await other.read();
  const ids = readPciIdsFile();
  const machines = new Machines(sources, new PciIds(ids ?? ''), policy === undefined ? {} : { policy });
  const followed = sources.flatMap(({ live, follow }, machine) =>
    live && follow !== undefined ? [{ machine, read: follow }] : [],
  );
  const live = new Live(followed, (machine) => machines.forget(machine));
  const sessions = new SessionWatch(sessionsFolder(process.env));
  const pciIds = (): Uint8Array<ArrayBuffer> | undefined => ids && new Uint8Array(ids);
  const running = await startServer(
    { page, machines, live, sessions, pciIds, failed: (error) => context.note(error.stack ?? error.message) },
    port,
  );
  const address = `http://${ADDRESS}:${running.port}/`;
  context.out.write(context.json ? `${JSON.stringify({ address })}\n` : `${address}\n`);
  context.note('only this machine can reach it, and it only shows; Ctrl-C ends it');
  await ended();
  await running.close();
  return EXIT.yes;
}

interface Shown extends MachineSource {
  /** Reads as much as following it takes. */
  follow?(): Promise<Snapshot>;
}

function source(host: string | undefined): Shown {
  if (host === '-') throw new InputError("'-'", 'standard input can be named with --host only');
  if (host === undefined) {
    const follow = (): Promise<Snapshot> => readHost(undefined, { detail: 'names' });
    return { name: 'this machine', live: true, read: () => readHost(undefined), follow };
  }
  if (statSync(host, { throwIfNoEntry: false })?.isDirectory() !== true)
    return { name: host, live: false, read: () => readHost(host) };
  const links = new DriverLinks(host);
  return {
    name: host,
    live: true,
    read: async () => links.correct(await readHost(host)),
    follow: async () => links.correct(await readHost(host, { detail: 'names' })),
  };
}

function standardInput(read: () => Promise<Snapshot>): Shown {
  return { name: 'standard input', live: false, read };
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65535) return Number(text);
  throw new InputError('--port', `expects a number from 0 to 65535, got '${text}'`);
}

function ended(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

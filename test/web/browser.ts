/** A browser for tests: Debian's Chromium, where it is installed. */

import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { readPciIdsFile } from '../../src/host/pci-ids.ts';
import { readHost } from '../../src/host/read-host.ts';
import type { Snapshot } from '../../src/host/snapshot.ts';
import { PciIds } from '../../src/pci/ids.ts';
import { Live } from '../../src/server/live.ts';
import { type MachineSource, Machines } from '../../src/server/machines.ts';
import { readPage } from '../../src/server/page.ts';
import { type Running, startServer } from '../../src/server/serve.ts';
import { SessionWatch } from '../../src/server/session-watch.ts';

const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
/** Pictures of what was tested, to be looked at. */
export const out = join(here, 'out');

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'];
export const executable = PLACES.find((place) => place !== undefined && existsSync(place));
export const noBrowser: string | false =
  executable === undefined && 'no Chromium here (Debian: apt install chromium)';

export async function launch(): Promise<Browser> {
  mkdirSync(out, { recursive: true });
  return chromium.launch({
    executablePath: executable!,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });
}

/** A server over machines that are read from files, as `ringfence serve` makes it. */
export async function serveFiles(...files: string[]): Promise<Running & { address: string }> {
  return serveSources(
    files.map((file) => ({ name: file, live: false, read: () => readHost(join(root, file)) })),
  );
}

export async function serveSources(
  sources: (MachineSource & { follow?(): Promise<Snapshot> })[],
  sessionsFolder: string = join(root, 'no-sessions'),
): Promise<Running & { address: string }> {
  const bytes = readPciIdsFile();
  const machines = new Machines(sources, new PciIds(bytes ?? ''));
  const followed = sources.flatMap(({ follow }, machine) =>
    follow === undefined ? [] : [{ machine, read: follow }],
  );
  const sessions = new SessionWatch(sessionsFolder, 50);
  const live = new Live(followed, (machine) => machines.forget(machine), 50);
  const page = readPage(join(root, 'dist', 'web'));
  const running = await startServer(
    { page, machines, live, sessions, pciIds: () => bytes && new Uint8Array(bytes) },
    0,
  );
  return { ...running, address: `http://127.0.0.1:${running.port}/` };
}

/** A page that fails the test on any error it meets. */
export async function openPage(
  browser: Browser,
  address: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; errors: string[] }> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(address);
  await page.getByRole('treeitem').first().waitFor();
  return { page, errors };
}

export const picture = (page: Page, name: string): Promise<Buffer> =>
  page.screenshot({ path: join(out, `${name}.png`) });

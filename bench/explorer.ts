/** The explorer: how soon the page is usable at 500 and 5,000 devices, and how much script it takes. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';
import { readPciIds } from '../src/host/pci-ids.ts';
import { Live } from '../src/server/live.ts';
import { Machines } from '../src/server/machines.ts';
import { readPage } from '../src/server/page.ts';
import { startServer } from '../src/server/serve.ts';
import { SessionWatch } from '../src/server/session-watch.ts';
import { generate } from '../test/support/generate.ts';
import { median } from './stats.ts';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'];

/** What the issue asks: milliseconds by devices, and kilobytes of script. */
const BOUNDS = new Map([
  [500, 1000],
  [5000, 5000],
]);
const SCRIPT = 60;

export async function explorerBench({
  sizes,
  rounds,
}: {
  sizes: readonly number[];
  rounds: number;
}): Promise<void> {
  const folder = resolve('dist/web');
  console.log('The explorer\n');
  scripts(folder);
  const executablePath = PLACES.find((place) => place !== undefined && existsSync(place));
  if (executablePath === undefined) {
    console.log('no Chromium here (Debian: chromium): the page is not opened\n');
    return;
  }
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  try {
    for (const size of sizes) await opened(browser, folder, size, rounds);
  } finally {
    await browser.close();
  }
  console.log();
}

function scripts(folder: string): void {
  const files = readdirSync(join(folder, 'assets')).filter((name) => name.endsWith('.js'));
  const size = (name: string): number =>
    gzipSync(readFileSync(join(folder, 'assets', name)), { level: 9 }).length / 1024;
  const first = files.filter((name) => name.startsWith('index'));
  const later = files.filter((name) => !name.startsWith('index'));
  const sum = (names: string[]): string => names.reduce((all, name) => all + size(name), 0).toFixed(1);
  console.log(`script of the page           ${sum(first).padStart(7)} KB gzipped (asked: ${SCRIPT})`);
  console.log(`model, when a file is opened ${sum(later).padStart(7)} KB gzipped, loaded once\n`);
}

/** From the request to a tree that can be searched: server read, model booted, page drawn and answering. */
async function opened(browser: Browser, folder: string, size: number, rounds: number): Promise<void> {
  const { snapshot } = generate(size);
  const ids = readPciIds();
  const usable: number[] = [];
  const searched: number[] = [];
  const clicked: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // A new server each time: it boots the model when it is first asked.
    const machines = new Machines([{ name: 'generated', live: false, read: async () => snapshot }], ids);
    const live = new Live([], () => {});
    const running = await startServer(
      {
        page: readPage(folder),
        machines,
        live,
        sessions: new SessionWatch('/nonexistent/sessions'),
        pciIds: () => undefined,
      },
      0,
    );
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const timed = async (list: number[], act: () => Promise<unknown>): Promise<void> => {
      const start = performance.now();
      await act();
      list.push(performance.now() - start);
    };
    await timed(usable, async () => {
      await page.goto(`http://127.0.0.1:${running.port}/`);
      await page.getByRole('treeitem').nth(5).waitFor();
      await page.evaluate('new Promise((done) => requestAnimationFrame(() => setTimeout(done)))');
    });
    await timed(searched, async () => {
      await page.getByRole('searchbox').fill('group 7');
      await page.getByText(/^\d+ found/).waitFor();
    });
    await timed(clicked, async () => {
      await page.getByRole('treeitem').nth(5).click();
      await page.getByText('How it came there').waitFor();
    });
    await page.close();
    await running.close();
  }
  const ms = (list: number[]): string => `${Math.round(median(list))} ms`.padStart(8);
  console.log(
    `${String(size).padStart(6)} devices: usable ${ms(usable)} (asked: ${BOUNDS.get(size) ?? '-'} ms), search ${ms(searched)}, click to reasons ${ms(clicked)}`,
  );
}

/** The explorer in a real browser. Pictures of what is tested are kept in test/web/out, to be looked at. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explorer } from '../../src/advise/explore.ts';
import { singlePage } from '../../src/cli/web-folder.ts';
import { readPciIds } from '../../src/host/pci-ids.ts';
import { readHost } from '../../src/host/read-host.ts';
import type { Snapshot } from '../../src/host/snapshot.ts';
import type { Running } from '../../src/server/serve.ts';
import { generate } from '../support/generate.ts';
import { launch, noBrowser, openPage, out, picture, root, serveFiles, serveSources } from './browser.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const example = (name: string): string => join(root, 'examples', `${name}.json`);
const CARD = '0000:07:00.0';

describe.skipIf(noBrowser)(`the explorer${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  let browser: Browser;
  let server: Running & { address: string };
  beforeAll(async () => {
    browser = await launch();
    server = await serveFiles('examples/desktop.json');
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  const item = (page: Page, name: string) => page.getByRole('treeitem', { name: new RegExp(`^${name}\\b`) });
  /** What a screen reader says of a card. */
  const said = async (page: Page, name: string): Promise<string> =>
    /"(.*)"/.exec(await item(page, name).ariaSnapshot())?.[1] ?? '';
  const chosen = (page: Page) => page.locator('[role=treeitem][aria-selected=true] b').textContent();

  test('opens on the machine: every device once, with group, driver and what its port does', async () => {
    const { page, errors } = await openPage(browser, server.address);
    const snapshot = await readHost(example('desktop'));
    const { list } = new Explorer(snapshot, readPciIds()).overview();
    expect(await page.locator('[role=treeitem].device').count()).toBe(snapshot.devices.length);
    await page.getByText(`${snapshot.devices.length} devices in ${list.groups.length} groups`).waitFor();
    expect(await said(page, '00:01.3')).toMatch(/^00:01.3 isolates group 1 PCI bridge: .* driver pcieport$/);
    expect(await said(page, '00:03.1')).toMatch(/^00:03.1 open group 3 /);
    expect(await page.locator('.outline').count()).toBe(list.groups.length);
    await picture(page, 'open-light');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('search finds by name, driver and group, and leads from one to the next', async () => {
    const { page, errors } = await openPage(browser, server.address);
    await page.keyboard.press('/');
    await page.keyboard.type('nvme');
    await page.getByText(/^\d+ found/).waitFor();
    expect(await page.locator('[role=treeitem]:not(.dim) b').allTextContents()).toContain('08:00.0');
    await page.getByRole('searchbox').fill('group 12');
    await page.getByText('10 found').waitFor();
    await picture(page, 'search');
    expect(page.url()).toContain('search=group+12');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('a click tells why a device is where it is, the verdict, plan and exports, as the reports have it', async () => {
    const { page, errors } = await openPage(browser, server.address);
    await item(page, '07:00.0').click();
    const panel = page.getByRole('complementary');
    await panel.getByRole('heading', { name: /^07:00.0/ }).waitFor();
    const report = new Explorer(await readHost(example('desktop')), readPciIds()).device(CARD);
    const words = (await panel.innerText()).replace(/\s+/g, ' ');
    for (const sentence of report.why.devices[0]!.because) expect(words).toContain(sentence);
    for (const { what } of report.check.findings) expect(words).toContain(what);
    expect(await page.locator('.card .step').count()).toBeGreaterThan(0);
    expect((await page.locator('path.way').getAttribute('d'))!.length).toBeGreaterThan(10);
    await picture(page, 'click');

    await panel.getByText('Hand-over plan').click();
    const plan = await panel.getByRole('textbox', { name: 'the plan for ringfence apply' }).inputValue();
    expect(JSON.parse(plan)).toEqual(JSON.parse(JSON.stringify(report.plan)));
    await panel.getByText('Exports').click();
    await panel.getByRole('combobox', { name: 'Format' }).selectOption('qemu');
    const text = panel.getByRole('textbox', { name: 'the qemu text' });
    await text.waitFor();
    expect(await text.inputValue()).toContain('vfio-pci,host=0000:07:00.0');
    await picture(page, 'plan-and-exports');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('what-if: switches, before and after, and the address takes it along', async () => {
    const { page, errors } = await openPage(browser, server.address);
    await page.getByRole('button', { name: 'What if' }).click();
    await page.getByLabel('pcie_acs_override=downstream').check();
    await page.getByText(/groups before, \d+ after/).waitFor();
    await page.getByText('a claim, no isolation').first().waitFor();
    await picture(page, 'what-if-after');
    const after = await page.locator('.outline').count();
    await page.getByRole('button', { name: 'Before' }).click();
    await expect.poll(() => page.locator('.outline').count()).toBeLessThan(after);
    await picture(page, 'what-if-before');
    const other = await openPage(browser, page.url());
    await other.page.getByText(/groups before, \d+ after/).waitFor();
    expect(await other.page.getByLabel('pcie_acs_override=downstream').isChecked()).toBe(true);
    await other.page.getByRole('button', { name: 'Take all back' }).click();
    await expect.poll(() => other.page.url()).not.toContain('if=');
    expect([...errors, ...other.errors]).toEqual([]);
    await page.context().close();
    await other.page.context().close();
  });

  test('what-if on a card: removed, it is gone; a change that cannot be made says why', async () => {
    const { page } = await openPage(browser, `${server.address}#device=${CARD}&if=remove=${CARD}`);
    await page.getByText(/groups before/).waitFor();
    await expect.poll(() => item(page, '07:00.0').count()).toBe(0);
    await page.goto(`${server.address}#if=move=0000:07:00.0=0000:7f:00.0`);
    await page.reload();
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').innerText()).toContain('7f:00.0');
    await page.context().close();
  });

  test('what gives a device a group of its own is found, and tried with one press', async () => {
    const { page, errors } = await openPage(browser, `${server.address}#device=${CARD}`);
    await page.getByRole('button', { name: 'What if' }).click();
    await page.getByRole('button', { name: 'What gives 07:00.0 a group of its own?' }).click();
    await page
      .getByRole('button', { name: /^Try: / })
      .first()
      .click();
    await page.getByText(/groups before, \d+ after/).waitFor();
    expect(page.url()).toContain('if=');
    await picture(page, 'goal');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('a file that is dropped opens in the page and is sent nowhere', async () => {
    const { page, errors } = await openPage(browser, server.address);
    const sent: string[] = [];
    page.on('request', (request) => {
      if (request.method() !== 'GET') sent.push(request.url());
    });
    await drop(page, 'server.json.gz', gzipSync(readFileSync(example('server'))));
    await page.getByRole('heading', { name: 'Example S1 Server Board' }).waitFor();
    await page.getByRole('treeitem').nth(3).click();
    await page.getByText('How it came there').waitFor();
    await page.getByRole('button', { name: 'What if' }).click();
    await page.getByLabel('pcie_acs_override=multifunction').check();
    await page.getByText(/groups before/).waitFor();
    await picture(page, 'dropped');
    expect(sent).toEqual([]);
    expect(errors).toEqual([]);
    await drop(page, 'broken.json', Buffer.from('{"ringfence": "snapshot", "version": 99}'));
    await page.getByRole('alert').getByText('newer than this program knows').waitFor();
    await page.context().close();
  });

  test('every form the command reads opens in the page with the same groups', async () => {
    const { page, errors } = await openPage(browser, server.address);
    const tar = join(root, 'test/fixtures/machines/vfio.tar.gz');
    await drop(page, 'vfio.tar.gz', readFileSync(tar));
    const { list } = new Explorer(await readHost(tar), readPciIds()).overview();
    const devices = list.groups.flatMap((group) => group.devices).length + list.ungrouped.length;
    await page.getByText(`${devices} devices in ${list.groups.length} groups`).waitFor();
    await picture(page, 'dropped-archive');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('two machines side by side, and one compared with itself later', async () => {
    const snapshot: Snapshot = JSON.parse(readFileSync(example('desktop'), 'utf8'));
    const later = structuredClone(snapshot);
    later.devices.find(({ address }) => address === CARD)!.driver = 'vfio-pci';
    const { page, errors } = await openPage(browser, server.address);
    await drop(page, 'later.json', Buffer.from(JSON.stringify(later)));
    await page.getByLabel('Beside').selectOption({ label: 'examples/desktop.json' });
    await expect.poll(() => page.getByRole('tree').count()).toBe(2);
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByText('− vfio-pci').waitFor();
    await page.getByText('+ nvidia').waitFor();
    await picture(page, 'compare');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('the keyboard alone: into the tree, along it, close, open, choose, search, away', async () => {
    const { page, errors } = await openPage(browser, server.address);
    const focused = () =>
      page.evaluate(
        () => document.activeElement?.closest('[role=treeitem]')?.querySelector('b')?.textContent ?? '',
      );
    for (let presses = 0; presses < 30 && (await focused()) !== '00'; presses++)
      await page.keyboard.press('Tab');
    expect(await focused()).toBe('00');
    await page.keyboard.press('ArrowRight');
    await expect.poll(focused).toBe('00:00.0');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await expect.poll(focused).toBe('00:01.3');
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => item(page, '00:01.3').getAttribute('aria-expanded')).toBe('false');
    expect(await item(page, '01:00.0').count()).toBe(0);
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => item(page, '01:00.0').count()).toBe(1);
    await page.keyboard.press('ArrowRight');
    await expect.poll(focused).toBe('01:00.0');
    await page.keyboard.press('Enter');
    await page.getByText('How it came there').waitFor();
    expect(await chosen(page)).toBe('01:00.0');
    await picture(page, 'keyboard');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByText('How it came there').count()).toBe(0);
    await page.keyboard.press('End');
    await expect.poll(focused).not.toBe('01:00.0');
    expect(errors).toEqual([]);
    await page.context().close();
  });

  describe.each([
    ['light', { colorScheme: 'light' as const }],
    ['dark', { colorScheme: 'dark' as const }],
    ['phone', { viewport: { width: 390, height: 844 }, hasTouch: true, colorScheme: 'light' as const }],
    ['phone-dark', { viewport: { width: 390, height: 844 }, hasTouch: true, colorScheme: 'dark' as const }],
  ])('%s', (name, options) => {
    test.each([
      ['machine', ''],
      ['device', `#device=${CARD}`],
      ['what-if', '#if=acs-override=downstream,multifunction'],
    ])('axe finds nothing: %s', async (what, hash) => {
      const { page, errors } = await openPage(browser, server.address + hash, {
        ...options,
        bypassCSP: true,
      });
      if (what === 'device') await page.getByText('How it came there').waitFor();
      if (what === 'what-if') await page.getByText(/groups before/).waitFor();
      for (const summary of await page.locator('.panel summary').all())
        if (
          !(await summary
            .locator('..')
            .getAttribute('open')
            .then((open) => open !== null))
        )
          await summary.click();
      await page.evaluate(() => document.querySelector('.panel')?.scrollTo(0, 0));
      await picture(page, `${name}-${what}`);
      await page.addScriptTag({ content: axe });
      const found = await page.evaluate(async () => {
        const { violations } = await (
          window as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          }
        ).axe.run();
        return violations.map(
          ({ id, nodes }) =>
            `${id}: ${nodes
              .map(({ html }) => html)
              .slice(0, 3)
              .join(' ')}`,
        );
      });
      expect(found).toEqual([]);
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(wide, 'nothing hangs out of the page').toBeLessThanOrEqual(seen!);
      expect(errors).toEqual([]);
      await page.context().close();
    });
  });

  test('500 devices: all in the tree, closed and opened at once', async () => {
    const { snapshot } = generate(500);
    const big = await serveSources([{ name: 'big', live: false, read: async () => snapshot }]);
    const { page, errors } = await openPage(browser, big.address);
    await page.getByText(/^500 devices/).waitFor();
    await picture(page, 'devices-500');
    await page.getByRole('button', { name: 'Close all' }).click();
    await expect.poll(() => page.locator('[role=treeitem]').count()).toBeLessThan(400);
    for (let i = 0; i < 5; i++) await page.getByRole('button', { name: 'Smaller' }).click();
    await picture(page, 'devices-500-far');
    const last = snapshot.devices.at(-1)!.address;
    await page.getByRole('searchbox').fill(last.replace(/^0000:/, ''));
    await page.keyboard.press('Enter');
    await page.locator('[role=treeitem]:not(.dim)').first().waitFor();
    expect(errors).toEqual([]);
    await page.context().close();
    await big.close();
  });

  test('what happens on the machine shows in the page', async () => {
    const snapshot: Snapshot = JSON.parse(readFileSync(example('desktop'), 'utf8'));
    let now = snapshot;
    const read = async (): Promise<Snapshot> => now;
    const live = await serveSources([{ name: 'live', live: true, read, follow: read }]);
    const { page, errors } = await openPage(browser, live.address);
    await page.getByRole('button', { name: /^Events/ }).click();
    await page.waitForTimeout(300);
    now = structuredClone(snapshot);
    now.devices.find(({ address }) => address === CARD)!.driver = 'vfio-pci';
    await page.getByText('to vfio-pci').waitFor();
    await expect.poll(() => said(page, '07:00.0')).toContain('driver vfio-pci');
    await picture(page, 'live');
    expect(errors).toEqual([]);
    await page.context().close();
    await live.close();
  });

  test('export --format html: one file, the same page, no server', async () => {
    const explorer = new Explorer(await readHost(example('laptop')), readPciIds());
    const file = join(out, 'laptop.html');
    writeFileSync(file, explorer.export('html', [], { page: singlePage() }).text!);
    const { page, errors } = await openPage(browser, `file://${file}`, { colorScheme: 'dark' });
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.getByText('Example 14 Laptop').waitFor();
    await item(page, '01:00.0').click();
    await page.getByText('How it came there').waitFor();
    await page.getByRole('button', { name: 'What if' }).click();
    await page.getByLabel('IOMMU off').check();
    await page.getByText(/groups before, 0 after/).waitFor();
    await picture(page, 'html-file');
    expect(asked.filter((url) => !url.startsWith('data:'))).toEqual([]);
    expect(errors).toEqual([]);
    await page.context().close();
  });

  test('the picture of the README', async () => {
    const { page, errors } = await openPage(browser, `${server.address}#device=${CARD}`, {
      viewport: { width: 1280, height: 800 },
    });
    await page.getByText('How it came there').waitFor();
    await page.locator('.card .step').first().waitFor();
    await picture(page, 'explorer');
    if (process.env.UPDATE_PICTURES) copyFileSync(join(out, 'explorer.png'), join(root, 'docs/explorer.png'));
    expect(errors).toEqual([]);
    await page.context().close();
  });
});

async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const text = Buffer.from(bytes).toString('base64');
  const transfer = await page.evaluateHandle(
    ([file, base64]) => {
      const data = new DataTransfer();
      const content = Uint8Array.from(atob(base64!), (letter) => letter.charCodeAt(0));
      data.items.add(new File([content], file!));
      return data;
    },
    [name, text],
  );
  await page.dispatchEvent('.page', 'dragover', { dataTransfer: transfer });
  await page.dispatchEvent('.page', 'drop', { dataTransfer: transfer });
}

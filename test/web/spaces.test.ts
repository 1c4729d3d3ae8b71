import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Publisher, unpublish } from '../../src/guest/publisher.ts';
import { readHost } from '../../src/host/read-host.ts';
import * as browsers from './browser.ts';

const file = join(import.meta.dirname, '../../examples/desktop.json');

describe.skipIf(browsers.noBrowser !== false)('address spaces', () => {
  test('what a session publishes is in the page while it runs', async () => {
    const root = mkdtempSync(join(tmpdir(), 'ringfence-'));
    const folder = join(root, 'sessions');
    const source = { name: 'desktop', live: false, read: () => readHost(file) };
    const server = await browsers.serveSources([source], folder);
    const browser = await browsers.launch();
    try {
      const { page, errors } = await browsers.openPage(browser, server.address);
      const areas = [{ iova: '0x100000', last: '0x2fffff', prot: 1 }];
      const context = { label: 'iommufd 1', objects: [], spaces: [{ id: 1, areas, more: 0 }], hwpts: [] };
      new Publisher(folder, () => ({ pid: process.pid, program: 'vmm', contexts: [context] })).publish();
      await page.getByRole('button', { name: 'Address spaces' }).click();
      const row = page.getByRole('row', { name: '0x100000 0x2fffff 2 MiB read' });
      await row.waitFor();
      unpublish(folder, process.pid);
      await page.getByText('No program runs').waitFor();
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
      await server.close();
      rmSync(root, { recursive: true });
    }
  });
});

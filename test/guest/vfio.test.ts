/** Programs that drive a device through VFIO, written as anybody would: C, dynamic and static, both ways there are. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Command, noSessions } from './support/command.ts';
import { compile, compileStatic, noCompiler } from './support/compile.ts';

const DEVICE = '0000:01:00.0';
const lack = noSessions ?? noCompiler;

const dma = (after: string, ...transfers: object[]) =>
  transfers
    .map((transfer, index) =>
      JSON.stringify({ ...(index === 0 && { after }), dma: { device: DEVICE, ...transfer } }),
    )
    .join('\n');

/** What the device does, after which call of the program. */
const WAYS = {
  'vfio-cdev': dma(
    'IOMMU_IOAS_MAP',
    { addr: '0xfffffff', write: '01' },
    { addr: '0x10000000', write: 'c0ffee01' },
    { addr: '0x10000000', read: 4 },
  ),
  'vfio-container': dma('write', { addr: '0x0', write: 'c0ffee01' }, { addr: '0x0', read: 4 }),
};

describe.skipIf(lack !== undefined)(`programs of VFIO${lack === undefined ? '' : ` (${lack})`}`, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ringfence-vfio-'));
  let command: Command;
  beforeAll(async () => {
    command = await Command.bundled();
  });
  afterAll(() => {
    command?.remove();
    rmSync(scratch, { recursive: true, force: true });
  });

  for (const [name, script] of Object.entries(WAYS)) {
    for (const linking of ['dynamic', 'static']) {
      test(`${name}, ${linking}: attached, mapped, DMA seen on both sides, nothing left`, async ({
        skip,
      }) => {
        const program = linking === 'static' ? compileStatic(name) : compile(name);
        if (program === undefined) return skip('no static C library');
        const [scriptFile, trace] = [join(scratch, 'script'), join(scratch, 'trace')];
        writeFileSync(scriptFile, script);
        const options = ['--check-leaks', '--script', scriptFile, `--trace=${trace}`];
        const { code, out, err } = await command.run([...options, '--', program, DEVICE, 'dma']);
        expect(err).toBe('');
        expect(out).toContain(`${DEVICE} is 8086:10d3, 9 regions`);
        expect(out).toMatch(/the device wrote c0 ff ee 01\ndone\n$/);
        expect(code).toBe(0);
        const told = readFileSync(trace, 'utf8');
        expect(told).toContain(`${DEVICE} read c0ffee01`);
        if (name === 'vfio-cdev')
          expect(told).toContain(`${DEVICE} may not write 0xfffffff: nothing is mapped`);
      });
    }
  }
});

/**
 * Makes the example machines: `npm run examples`, and with `-- --ask ORACLE` (the folder with `fake`) shows them to
 * a real kernel first and keeps in tools/examples/NAME.groups which groups it formed.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lspciHex } from '../test/support/tree.ts';
import { desktop } from './examples/desktop.ts';
import { laptop } from './examples/laptop.ts';
import { answered, exampleSnapshot, partitionText } from './examples/make.ts';
import type { Example } from './examples/parts.ts';
import { server } from './examples/server.ts';

const EXAMPLES: Record<string, Example> = { desktop, laptop, server };
const root = process.cwd();

function askKernel(oracle: string, name: string, example: Example): void {
  const work = mkdtempSync(join(tmpdir(), 'ringfence-example-'));
  try {
    const snapshot = exampleSnapshot(example, undefined);
    const untranslated = snapshot.devices
      .filter((device) => device.iommu === null)
      .map((device) => device.address);
    const input = join(work, 'machine.txt');
    writeFileSync(input, lspciHex(snapshot));
    const only = untranslated.length > 0 ? ['--untranslated', untranslated.join(',')] : [];
    execFileSync(join(oracle, 'fake'), [...only, input, join(work, 'out')], { stdio: 'inherit' });
    const capture = JSON.parse(readFileSync(join(work, 'out', 'capture.json'), 'utf8'));
    writeFileSync(answerFile(name), partitionText(capture));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function answerFile(name: string): string {
  return join(root, 'tools', 'examples', `${name}.groups`);
}

const ask = process.argv.indexOf('--ask');
for (const [name, example] of Object.entries(EXAMPLES)) {
  if (ask > 0) askKernel(process.argv[ask + 1] ?? '', name, example);
  const snapshot = exampleSnapshot(example, answered(readFileSync(answerFile(name), 'utf8')));
  writeFileSync(join(root, 'examples', `${name}.json`), `${JSON.stringify(snapshot, undefined, 1)}\n`);
  console.log(`examples/${name}.json: ${snapshot.devices.length} devices, ${snapshot.groups?.length} groups`);
}

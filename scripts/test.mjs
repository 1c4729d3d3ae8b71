/**
 * `npm test [-- ARGUMENTS OF VITEST]`, from a fresh clone on. Ends with one plain line, `N passed, N failed`, counted
 * from what vitest reports.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { built } from './ready.mjs';

built();
const work = mkdtempSync(join(tmpdir(), 'ringfence-test-'));
const results = join(work, 'results.json');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
const { status } = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
let text;
try {
  text = summary(JSON.parse(readFileSync(results, 'utf8')));
} catch {
  text = 'vitest reported nothing';
}
rmSync(work, { recursive: true, force: true });
console.log(text);
process.exitCode = status ?? 1;

function summary({ numPassedTests, numFailedTests, numPendingTests, testResults }) {
  // A file that cannot be loaded has failed without a test to its name.
  const unloaded = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = numFailedTests + unloaded.length;
  const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : '';
  return `${numPassedTests} passed, ${failed} failed${skipped}`;
}

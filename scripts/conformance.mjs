/**
 * `npm run conformance`: the kernel's own selftests for iommufd, compiled from Debian's source package, run through
 * `ringfence run`: iommufd_fail_nth, which lets every step of a call fail once, and iommufd. Prints what the tests
 * print (TAP), whether anything leaked, and last `N of 190 passed`, of the second.
 *
 * `npm run conformance -- ARGUMENTS` runs the second alone, with these arguments: `-t access_rw`, `-l`.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { compileSelftest } from './conformance/compile.mjs';
import { takeHugePages } from './conformance/huge-pages.mjs';
import { kernelSource } from './conformance/kernel-source.mjs';
import { countTap } from './conformance/tap.mjs';
import { command, root } from './paths.mjs';
import { built } from './ready.mjs';

/** The largest buffer of the test takes 64. */
const HUGE_PAGES = 72;
const programs = join(root, 'test/guest/programs');
const NO_HUGE_PAGES = { objects: [join(programs, 'aligned-memory.c')], flags: ['-Wl,--wrap=mmap'] };
const FAULT_INJECTION = {
  objects: [join(programs, 'fault-injection.c')],
  flags: ['-Wl,--wrap=open,--wrap=openat'],
};

try {
  built();
  process.exitCode = await conformance(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function conformance(words) {
  const source = kernelSource();
  let fine = true;
  if (words.length === 0) {
    const everyStepFails = compileSelftest(source, 'iommufd_fail_nth', FAULT_INJECTION);
    fine = await throughTheDoor(everyStepFails, [], 'of iommufd_fail_nth ');
  }
  const huge = takeHugePages(HUGE_PAGES);
  try {
    if (huge.refused) {
      console.log(
        `# No huge pages: ${huge.refused}. Where the test asks for them it gets ordinary memory at 2 MiB`,
      );
      console.log('# boundaries, whose page frames the door makes as contiguous as those of huge pages.');
    }
    const program = compileSelftest(source, 'iommufd', huge.refused ? NO_HUGE_PAGES : {});
    if (!(await throughTheDoor(program, words, ''))) fine = false;
  } finally {
    huge.giveBack?.();
  }
  return fine ? 0 : 1;
}

/** Whether all its tests passed and nothing is left. */
async function throughTheDoor(program, words, what) {
  const { output, status } = await run(['--selftest', '--check-leaks', '--', program, ...words]);
  const { planned, passed, failed, skipped } = countTap(output);
  for (const name of failed) console.log(`# failed: ${name}`);
  for (const name of skipped) console.log(`# skipped: ${name}`);
  const silent = planned - passed.length - failed.length - skipped.length;
  if (silent > 0) console.log(`# no result: ${silent} tests`);
  const all = planned > 0 && passed.length === planned;
  if (all && status === 0) console.log('# nothing is left: no object, no pin, no group that is owned');
  if (all && status !== 0) console.log(`# all tests passed, yet ringfence run ended with ${status}`);
  console.log(`${passed.length} of ${planned} ${what}passed`);
  return all && status === 0;
}

/** `ringfence run`; what it prints is both shown and kept. */
function run(words) {
  const child = spawn(process.execPath, [command, 'run', ...words], {
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ output, status: code ?? signal }));
  });
}

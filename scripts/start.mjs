/** `npm start [-- ARGUMENTS]`: the command, from a fresh clone on, with an example machine where there is none. */

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, root } from './paths.mjs';
import { built } from './ready.mjs';

const EXAMPLE = 'examples/desktop.json';
/** Commands that report a machine. */
const REPORTS = ['list', 'show', 'why', 'verify'];

built();
const words = process.argv.slice(2);
if (reports(words) && !hasDevices()) {
  console.error(`This machine shows no PCI devices. Here is the bundled example ${EXAMPLE} instead:`);
  words.push('--host', join(root, EXAMPLE));
}
const { status } = spawnSync(process.execPath, [command, ...words], { stdio: 'inherit' });
process.exitCode = status ?? 1;

function reports([first]) {
  const named = first !== undefined && !first.startsWith('-');
  const elsewhere = words.some((word) => /^--(host(=|$)|help$|version$)|^-[hV]$/.test(word));
  return !elsewhere && (!named || REPORTS.includes(first));
}

function hasDevices() {
  try {
    return readdirSync('/sys/bus/pci/devices').length > 0;
  } catch {
    return false;
  }
}

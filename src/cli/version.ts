/** The version people see. */

import { readFileSync } from 'node:fs';

/** Of the package this file belongs to, wherever the build put it. */
export function packageVersion(): string {
  for (const up of ['../../package.json', '../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')).version;
    } catch {
      // The build may have moved this file one folder up.
    }
  }
  return 'unknown';
}

#!/usr/bin/env node
/** The `ringfence` command. */

import { EXIT } from './context.ts';
import { run } from './run.ts';

// A reader that has seen enough (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.yes);
});

process.exitCode = await run(process.argv.slice(2), process);

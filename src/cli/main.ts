#!/usr/bin/env node
/** The `ringfence` command. */

import { EXIT } from './context.ts';
import { messageLine } from './output.ts';
import { errorText, run } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`| head`) is no failure of ours.
  if (error.code === 'EPIPE') process.exit(EXIT.yes);
  process.stderr.write(messageLine(`standard output: cannot be written (${error.code ?? error.message})`));
  process.exit(EXIT.failed);
});
// Nobody is left to be told.
process.stderr.on('error', () => process.exit(EXIT.failed));

// Whatever happens outside of the call itself, in a stream or a timer.
process.on('uncaughtException', (error) => {
  process.stderr.write(errorText(error, process.env));
  process.exit(EXIT.failed);
});

process.exitCode = await run(process.argv.slice(2), process);

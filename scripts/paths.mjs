import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This repository. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
/** The command, once built; written last, so its time says what the build knew of. */
export const command = join(root, 'dist', 'cli', 'main.js');

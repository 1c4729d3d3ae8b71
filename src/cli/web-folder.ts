/** Where the build puts the explorer's page: beside the command, or in dist/ where the command runs from source. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InputError } from '../kernel/errors.ts';

export function webFolder(): string {
  const beside = fileURLToPath(new URL('../web', import.meta.url));
  return existsSync(`${beside}/index.html`)
    ? beside
    : fileURLToPath(new URL('../../dist/web', import.meta.url));
}

/** The page in one file. @throws InputError where it was not built */
export function singlePage(): string {
  const file = `${webFolder()}/page.html`;
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new InputError(file, 'the page is not there; `npm run build` makes it');
  }
}

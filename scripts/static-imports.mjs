import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** What is loaded with `files`, at once: they and everything they import statically, by path. */
export function staticImports(files) {
  const found = new Set(files);
  for (const file of found) {
    const source = readFileSync(file, 'utf8');
    for (const [, path] of source.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';/gm)) {
      found.add(resolve(dirname(file), path));
    }
  }
  return found;
}

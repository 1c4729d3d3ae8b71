/** TypeScript files, and what they import of this repository, into few files that Node runs. */

import { basename } from 'node:path';
import { build } from 'vite';

/**
 * @param {string[]} files entries
 * @param {string} out directory for NAME.mjs, and for what is loaded only when asked for
 * @param {{ending?: string, output?: object, inline?: string[]}} options `inline`: packages to take in, too
 */
export async function bundle(files, out, { ending = '.mjs', output = {}, inline = [] } = {}) {
  await build({
    configFile: false,
    logLevel: 'warn',
    ssr: { noExternal: inline },
    build: {
      ssr: true,
      outDir: out,
      emptyOutDir: false,
      minify: false,
      target: 'node20',
      rolldownOptions: {
        input: Object.fromEntries(files.map((file) => [basename(file, '.ts'), file])),
        output: {
          format: 'es',
          entryFileNames: `[name]${ending}`,
          chunkFileNames: `[name]-[hash]${ending}`,
          ...output,
        },
      },
    },
  });
}

/**
 * The explorer's page: dist/web/ for `ringfence serve`, and dist/web/page.html, the same in one file, for
 * `export --format html` to write a machine into.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { root } from './paths.mjs';

const web = join(root, 'web');
const out = join(root, 'dist', 'web');

export async function buildWeb() {
  rmSync(out, { recursive: true, force: true });
  await build(options({ outDir: out, emptyOutDir: true }));
  const one = await build(
    options({
      write: false,
      cssCodeSplit: false,
      modulePreload: false,
      rolldownOptions: { output: { codeSplitting: false } },
    }),
  );
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'page.html'), singleFile(one.output));
}

function options(more) {
  return {
    root: web,
    base: '/',
    configFile: false,
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 2000,
      license: { fileName: 'licences.md' },
      ...more,
    },
  };
}

/** What is in the page beside our own, as its makers ask. */
function licences() {
  return readFileSync(join(out, 'licences.md'), 'utf8').replaceAll('--', '- -');
}

/** Script and style stand in the page; a closing tag inside a string must not end them. */
function singleFile(files) {
  const find = (ending) => files.filter(({ fileName }) => fileName.endsWith(ending));
  const [script, ...others] = find('.js');
  if (script === undefined || others.length > 0) throw new Error('the page is not one script');
  const code = script.code.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  const style = find('.css')
    .map(({ source }) => String(source))
    .join('');
  const page = readFileSync(join(web, 'index.html'), 'utf8');
  const [before, after] = page.split(/ *<script type="module".*<\/script>\n/);
  const head = before.replace('</head>', () => `  <style>${style}</style>\n  </head>`);
  return `<!--\n${licences()}-->\n${head}    <!-- machine -->\n    <script type="module">${code}</script>\n${after}`;
}

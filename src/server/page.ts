/** The built page: every file of its folder is read once, and nothing else of the disk is ever served. */

import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '../kernel/errors.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page in one file, beside the one that is served. */
export const SINGLE_FILE = 'page.html';

export interface PageFile {
  type: string;
  plain: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer>;
}

/**
 * Files by the path they are asked for, `/` being the page.
 * @throws InputError where the page was not built
 */
export function readPage(folder: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const entry of entries(folder)) {
    const path = relative(folder, entry);
    const type = TYPES[extname(entry)];
    // The page in one file is for `export`: its script stands in it, which no page from here may have.
    if (type === undefined || path === SINGLE_FILE) continue;
    const plain = new Uint8Array(readFileSync(entry));
    files.set(path === 'index.html' ? '/' : `/${path}`, {
      type,
      plain,
      gzip: new Uint8Array(gzipSync(plain)),
    });
  }
  if (!files.has('/')) throw new InputError(folder, 'the page is not there; `npm run build` makes it');
  return files;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

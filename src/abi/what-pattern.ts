/** A `What:` as the paths it stands for, each in parts between slashes. */

import { splitOutside } from './brackets.ts';
import { mayHavePlaceholder } from './part-tokens.ts';

/**
 * The paths in a What: on its own line and on lines that continue it, without a value behind `=` and without remarks.
 * Empty where it names none: the vDSO, a syscall, free text.
 */
export function pathsOf(what: string): string[] {
  if (what.length > LONGEST) return [];
  if (PLAIN.test(what)) return [what];
  if (!what.includes('\n')) return pathOf(what) ?? [];
  return what.split('\n').flatMap((line) => pathOf(line) ?? []);
}

/** No path of Linux is longer, and no What is a page of paths. */
const LONGEST = 4096;
/** Most Whats are a path and nothing else. */
const PLAIN = /^\/(?!sys\/devices\/\*)[^/\s]\S*[^\s,;/]$/;
/** A path, a path below some directory, a link to be resolved, a place-holder for a mount. */
const BEGINS = /^(?:\/[^/\s]|\.\.\.\/|<[^>]+>\/|\$\()/;

function pathOf(line: string): string[] | undefined {
  const text = line.trim();
  if (!BEGINS.test(text)) return undefined;
  // `$(readlink /sys/…)/name`: what a link leads to can be anywhere.
  const path = text.replace(/^\$\([^)]*\)/, '...');
  const bare = /\s/.test(path) ? splitOutside(path, /\s/)[0]! : path;
  // Devices stand below one another: a star there is any depth.
  const deep = bare.replace(/^\/sys\/devices\/\*(?=\/)/, '/sys/devices/...');
  return [deep.replace(/[,;]$/, '').replace(/\/+$/, '')];
}

/** A bracket that may be open when a slash comes. */
const SLASH_WITHIN = /[<{[(][^>}\])/]*\//;

/** The first part of a path of a What, and what is behind it; `undefined` at its end. */
export function firstPart(path: string): { part: string; rest: string } | undefined {
  let from = 0;
  while (path[from] === '/') from++;
  if (from === path.length) return undefined;
  const below = from === 0 ? path : path.slice(from);
  const part = SLASH_WITHIN.test(below) ? splitOutside(below, /\//)[0]! : below.slice(0, slashIn(below));
  return { part, rest: below.slice(part.length) };
}

function slashIn(path: string): number {
  const at = path.indexOf('/');
  return at < 0 ? path.length : at;
}

/** Any number of directories; authors write `..` for what is between, too. */
export function isAnyDepth(part: string): boolean {
  return part === '...' || part === '**' || part === '..';
}

/** Whether it names one file, and has nothing that stands for something else. */
export function isPlainPath(path: string): boolean {
  return !mayHavePlaceholder(path) && !path.split('/').some(isAnyDepth);
}

/** Which files of a sysfs no document covers, and which documented ones are not in it. */

import { type AbiEntry, entriesOf, type Located } from './entry.ts';
import { type AbiIndex, partsOf } from './index.ts';
import { whatLines } from './shape.ts';
import {
  gatherNames,
  isLeftOut,
  type SysfsDirectory,
  type SysfsNames,
  type SysfsView,
  type WalkOptions,
} from './sysfs-names.ts';
import { isPlainPath, pathsOf } from './what-pattern.ts';
import { isEnd, NOWHERE, type Places, step, union, type WhatNode } from './what-tree.ts';

export interface UndefinedFiles {
  /** Files looked at. */
  files: number;
  /** `/sys/…`, sorted. */
  undefined: string[];
  /** Documents without a place-holder whose directory is there and whose file is not; `removed` ones aside. */
  gone: { path: string; entry: AbiEntry; what: Located }[];
  /** False: sysfs is larger than the limit; what is listed is right, and there may be more. */
  complete: boolean;
}

/**
 * Looks at the names of a sysfs. A link is never walked: it gives another name to what it leads to, and a file is
 * documented when a document covers any of its names.
 */
export function findUndefined(view: SysfsView, index: AbiIndex, options: WalkOptions = {}): UndefinedFiles {
  const names = gatherNames(view, options);
  const places = placesOf(names, index);
  const found: string[] = [];
  let files = 0;
  for (const directory of names.byPath.values()) {
    const here = places.get(directory) ?? NOWHERE;
    for (const name of directory.files) {
      files++;
      const path = directory.path === '' ? name : `${directory.path}/${name}`;
      if (!isEnd(step(here, name)) && !isEnd(places.linked.get(path) ?? NOWHERE)) found.push(`/sys/${path}`);
    }
  }
  const gone = names.complete ? goneFrom(names, index) : [];
  return { files, undefined: found.sort(), gone, complete: names.complete };
}

/** Where the names of each directory fit; of files, where the links to them do. */
class AllPlaces extends Map<SysfsDirectory, Places> {
  readonly linked = new Map<string, Places>();
}

/**
 * A directory is reached by its own path and by every link to it, and so is all below it. Each directory takes up a
 * place once, so links in circles come to an end.
 */
function placesOf(names: SysfsNames, index: AbiIndex): AllPlaces {
  const all = new AllPlaces();
  const open: { directory: SysfsDirectory; places: Places }[] = [
    { directory: names.top, places: step(index.start, 'sys') },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { directory } = next;
    const before = all.get(directory) ?? NOWHERE;
    const fresh = without(next.places, before);
    if (fresh.size === 0) continue;
    all.set(directory, union(before, fresh));
    for (const { name, directory: below } of directory.directories) {
      open.push({ directory: below, places: step(fresh, name) });
    }
    for (const { name, target } of directory.links) {
      const led = names.byPath.get(target);
      const places = step(fresh, name, true);
      if (led !== undefined) open.push({ directory: led, places });
      else all.linked.set(target, union(all.linked.get(target) ?? NOWHERE, places));
    }
  }
  return all;
}

function without(places: Places, others: Places): Places {
  const fresh = new Map<WhatNode, number>();
  for (const [node, spelled] of places) if (!others.has(node)) fresh.set(node, spelled);
  return fresh;
}

function goneFrom(names: SysfsNames, index: AbiIndex): UndefinedFiles['gone'] {
  const gone: UndefinedFiles['gone'] = [];
  for (const entry of entriesOf(index.tree)) {
    if (entry.level === 'removed') continue;
    for (const what of whatLines(entry)) {
      const path = pathsOf(what.text)[0];
      if (path === undefined || !path.startsWith('/sys/') || isLeftOut(path)) continue;
      if (isPlainPath(path) && isGone(names, path)) {
        gone.push({ path, entry, what });
      }
    }
  }
  return gone;
}

/** As many links in a row as the kernel follows. */
const MOST_LINKS = 40;

function isGone(names: SysfsNames, path: string): boolean {
  const parts = partsOf(path).slice(1);
  const last = parts.pop();
  let directory: SysfsDirectory | undefined = names.top;
  let links = 0;
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const below: SysfsDirectory | undefined = directory.directories.find(
      ({ name }) => name === part,
    )?.directory;
    const link: string | undefined = directory.links.find(({ name }) => name === part)?.target;
    if (link !== undefined && ++links <= MOST_LINKS) {
      parts.unshift(...partsOf(link));
      directory = names.top;
    } else if (below !== undefined) directory = below;
    else return false;
  }
  const { directories, files, links: linked } = directory;
  return ![...directories, ...linked].some(({ name }) => name === last) && !files.includes(last ?? '');
}

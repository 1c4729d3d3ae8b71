/** A tree of documents made ready for questions: which entry speaks about this path, which texts contain this. */

import { type AbiEntry, type AbiTree, entriesOf, type FieldName, type Located } from './entry.ts';
import { whatLines } from './shape.ts';
import { pathsOf } from './what-pattern.ts';
import { endsAt, isEnd, NOWHERE, type Places, step, union, WhatNode } from './what-tree.ts';

/** An entry found for a path, by one of its Whats. */
export interface AbiMatch {
  entry: AbiEntry;
  what: Located;
  /** The What lacks a part that the path has, as `iommu_groups/reserved_regions` lacks the group. */
  loose: boolean;
}

/** A path with more parts than any real one is not looked for. */
const DEEPEST = 64;

export class AbiIndex {
  readonly tree: AbiTree;
  #root: WhatNode | undefined;

  constructor(tree: AbiTree) {
    this.tree = tree;
  }

  /** Where every path begins; `step` leads on from there. */
  get start(): Places {
    this.#root ??= rootOf(this.tree);
    return new Map([[this.#root, 0]]);
  }

  /**
   * Entries that speak about a real path, the one that spells out most of it first.
   *
   * @param aliases other paths of the same file: entries speak of `/sys/bus/pci/devices/…` as often as of
   *   `/sys/devices/…`
   */
  find(path: string, aliases: readonly string[] = []): AbiMatch[] {
    let exact = NOWHERE;
    let shorter = NOWHERE;
    for (const name of [path, ...aliases]) {
      const followed = this.#follow(partsOf(name));
      exact = union(exact, followed.exact);
      shorter = union(shorter, followed.shorter);
    }
    const found = endsAt(exact);
    if (found.length > 0) return once(found.map((end) => ({ ...end, loose: false })));
    return once(endsAt(shorter).map((end) => ({ ...end, loose: true })));
  }

  /** Whether any entry speaks about the path, as it stands. */
  has(path: string): boolean {
    return isEnd(this.#follow(partsOf(path)).exact);
  }

  /** Entries with a What that the pattern matches, in the order of the tree. */
  search(pattern: RegExp): AbiEntry[] {
    return this.#where(({ what }) => what.some(({ text }) => pattern.test(text)));
  }

  /** Entries with a field that the pattern matches. */
  searchField(name: FieldName, pattern: RegExp): AbiEntry[] {
    return this.#where(({ fields }) =>
      fields.some((field) => field.name === name && pattern.test(field.text)),
    );
  }

  #where(wanted: (entry: AbiEntry) => boolean): AbiEntry[] {
    return [...entriesOf(this.tree)].filter(wanted);
  }

  /** Places of the path, and of the path with any one part left out but the first and the last. */
  #follow(parts: readonly string[]): { exact: Places; shorter: Places } {
    if (parts.length > DEEPEST) return { exact: NOWHERE, shorter: NOWHERE };
    let exact = this.start;
    let shorter = NOWHERE;
    parts.forEach((part, at) => {
      const left = at > 0 && at < parts.length - 1 ? exact : NOWHERE;
      shorter = union(step(shorter, part), left);
      exact = step(exact, part);
    });
    return { exact, shorter };
  }
}

const CONFIG = '/sys/kernel/config/';

function rootOf(tree: AbiTree): WhatNode {
  const [root, sys, kernel, config] = [new WhatNode(), new WhatNode(), new WhatNode(), new WhatNode()];
  // Documents say /config for what is mounted at /sys/kernel/config.
  root.share('config', config);
  root.share('sys', sys);
  sys.share('kernel', kernel);
  kernel.share('config', config);
  for (const entry of entriesOf(tree)) {
    for (const what of whatLines(entry)) {
      for (const path of pathsOf(what.text)) {
        const inside = path.startsWith(CONFIG);
        (inside ? config : root).add(inside ? path.slice(CONFIG.length) : path, { entry, what });
      }
    }
  }
  return root;
}

/** Each entry by its best What only. */
function once(matches: readonly AbiMatch[]): AbiMatch[] {
  const seen = new Set<AbiEntry>();
  return matches.filter(({ entry }) => !seen.has(entry) && seen.add(entry));
}

export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

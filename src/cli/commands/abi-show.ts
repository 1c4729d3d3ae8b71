/** `ringfence abi show` */

import { usualAliases } from '../../abi/aliases.ts';
import { AbiIndex } from '../../abi/index.ts';
import { abiPlace, entryLine } from '../../advise/abi-lines.ts';
import { type AbiShownPath, type AbiShowReport, REPORT_VERSION } from '../../advise/report.ts';
import type { HostTree } from '../../host/host-tree.ts';
import { sysfsAliases } from '../../host/sysfs-aliases.ts';
import { InputError } from '../../kernel/errors.ts';
import { sysfsTree } from '../abi-sysfs.ts';
import { formatOf, shownText, writeDocument } from '../abi-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';

export async function run(call: Call): Promise<number> {
  const { operands, flags, context } = call;
  const format = formatOf(flags);
  for (const path of operands) {
    if (!path.startsWith('/')) throw new InputError(`'${path}'`, 'is no path from the root, as /sys/…');
  }
  const tree = abiTree(call);
  if (tree === undefined) return EXIT.cannotTell;
  const machine = await machineTree(context.host);
  const index = new AbiIndex(tree);
  const found = operands.map((path) => {
    const aliases = aliasesOf(machine, path);
    return { path, aliases, matches: index.find(path, aliases) };
  });
  const paths = found.map(({ path, aliases, matches }): AbiShownPath => {
    const above = matches.length > 0 ? undefined : documentedAbove(index, path);
    return {
      path,
      aliases,
      entries: matches.map(({ entry, what, loose }) => ({
        ...entryLine(entry),
        by: what.text,
        ...(loose && { loose }),
      })),
      ...(above !== undefined && { above }),
    };
  });
  const report: AbiShowReport = { report: 'abi-show', version: REPORT_VERSION, tree: tree.root, paths };
  if (format === 'plain') {
    context.print(report, (shown, out) =>
      shown.paths
        .map((path, at) =>
          shownText(path, paths[at]?.entries.map(({ description }) => description) ?? [], out),
        )
        .join('\n'),
    );
  } else {
    const entries = found.flatMap(({ matches }) => matches.map(({ entry }) => entry));
    writeDocument([...new Set(entries)], format, context);
  }
  return paths.every(({ entries }) => entries.length > 0) ? EXIT.yes : EXIT.no;
}

/** A machine without sysfs is no hindrance; a wrong `--host` is. */
async function machineTree(host: string | undefined): Promise<HostTree | undefined> {
  try {
    return await sysfsTree(host);
  } catch (error) {
    if (host === undefined && error instanceof InputError) return undefined;
    throw error;
  }
}

/** Through the machine's links; what is not on it has the names it has anywhere. */
function aliasesOf(machine: HostTree | undefined, path: string): string[] {
  const linked = machine === undefined ? [] : sysfsAliases(machine, path);
  return linked.length > 0 ? linked : usualAliases(path);
}

function documentedAbove(index: AbiIndex, path: string): AbiShownPath['above'] {
  for (let above = parent(path); above !== ''; above = parent(above)) {
    const [best] = index.find(above, usualAliases(above));
    if (best !== undefined && !best.loose) return { path: above, ...abiPlace(best) };
  }
  return undefined;
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

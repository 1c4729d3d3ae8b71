/** `ringfence abi lint` */

import { lstatSync } from 'node:fs';
import { lint, readSwitches } from '../../abi/lint/lint.ts';
import type { PathExists } from '../../abi/lint/rule.ts';
import { RULES } from '../../abi/lint/rules.ts';
import { sarif } from '../../abi/sarif.ts';
import { type AbiLintReport, REPORT_VERSION } from '../../advise/report.ts';
import { directoryTree } from '../../host/disk-tree.ts';
import { under } from '../../host/host-tree.ts';
import { InputError } from '../../kernel/errors.ts';
import { documentsOf } from '../abi-documents.ts';
import { findingsText } from '../abi-lint-text.ts';
import { abiTree } from '../abi-tree.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';
import { thisMonth } from '../month.ts';
import { table } from '../output.ts';
import { packageVersion } from '../version.ts';

export function run(call: Call): number {
  const { operands, flags, context } = call;
  const format = flags.value('format') ?? 'plain';
  if (format !== 'plain' && format !== 'sarif') {
    throw new InputError('--format', `knows plain and sarif, not '${format}'`);
  }
  if (flags.on('rules')) {
    context.out.write(
      table(
        RULES.map(({ id, severity, on, explain }) => [id, on ? severity : 'off', explain]),
        context.out,
      ),
    );
    return EXIT.yes;
  }
  const switches = readSwitches(flags.values('rule'));
  const directory = operands[0] ?? flags.value('tree');
  const tree = directory === undefined ? abiTree(call) : documentsOf(directory, context);
  if (tree === undefined) return EXIT.cannotTell;
  const findings = lint({ tree, now: thisMonth(), exists: pathExists(context.host) }, switches);
  const report: AbiLintReport = {
    report: 'abi-lint',
    version: REPORT_VERSION,
    tree: tree.root,
    documents: tree.files.length,
    entries: tree.files.reduce((sum, { entries }) => sum + entries.length, 0),
    findings,
  };
  if (format === 'sarif') {
    context.out.write(`${JSON.stringify(sarif(findings, tree.root, packageVersion()), undefined, 2)}\n`);
  } else {
    context.print(report, findingsText);
  }
  return findings.some(({ severity }) => severity === 'error') ? EXIT.no : EXIT.yes;
}

/** On this machine, or in the sysfs tree of `--host`, of which only /sys and /proc are known. */
function pathExists(host: string | undefined): PathExists {
  if (host === undefined) return (path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const { files, sys, proc } = directoryTree(host);
  return (path) => {
    const [, top, rest = ''] = /^\/(sys|proc)\/(.*)$/.exec(path.replace(/\/+$/, '')) ?? [];
    return top === undefined ? undefined : files.exists(under(top === 'sys' ? sys : proc, rest));
  };
}

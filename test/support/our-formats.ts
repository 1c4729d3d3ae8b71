/**
 * Everything this project promises to programs, as a digest of its shape: schema files, the types of reports and
 * records, the command table, sample lines of a trace. Names are the Whats of Documentation/ABI.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, Option } from '../../src/cli/args.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/cli/context.ts';
import { closeTrace, TraceLog } from '../../src/guest/trace-log.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { describeCall } from '../../src/uapi/trace.ts';
import { typeShape } from './type-shape.ts';

/** @returns `sha256:…` by What */
export function ourFormats(root: string): Map<string, string> {
  const formats = new Map<string, string>();
  const add = (what: string, shape: string) => formats.set(what, digest(shape));
  const type = (file: string, name: string) => typeShape(join(root, 'src', file), name);
  for (const name of ['snapshot', 'policy', 'plan']) {
    add(`${name} file, version 1`, schemaShape(readFileSync(join(root, 'schema', `${name}.json`), 'utf8')));
  }
  for (const [kind, shape] of reports(root)) add(`report ${kind}, version 1`, shape);
  add('ringfence abi list --json', type('advise/report-abi.ts', 'AbiEntryLine'));
  add('ringfence watch --json', type('watch/events.ts', 'WatchEvent'));
  add('journal of hand-overs, version 1', type('handover/journal-records.ts', 'JournalRecord'));
  add('script of ringfence run', scriptShape(join(root, 'src/guest/script.ts')));
  add('trace of ringfence run', traceSample());
  add('exit codes', JSON.stringify(EXIT));
  add('command line', JSON.stringify(COMMANDS.map(commandShape)));
  return formats;
}

/** Short, since it only has to differ. */
function digest(shape: string): string {
  return `sha256:${createHash('sha256').update(shape).digest('hex').slice(0, 16)}`;
}

/** A schema without the words that explain it. */
function schemaShape(text: string): string {
  return JSON.stringify(JSON.parse(text), (key, value) =>
    key === 'description' && typeof value === 'string' ? undefined : value,
  );
}

/** Every kind of report that is declared, whether or not a command prints it yet. */
function reports(root: string): Map<string, string> {
  const shapes = new Map<string, string>();
  const directory = join(root, 'src/advise');
  for (const name of readdirSync(directory).sort()) {
    if (!/^report(-.*)?\.ts$/.test(name)) continue;
    const file = join(directory, name);
    const text = readFileSync(file, 'utf8');
    const declared =
      /^export interface (\w+)(?: extends \w*Report<'([\w-]+)'>)? \{(?:\s*report: '([\w-]+)';)?/gm;
    for (const [, type, extended, own] of text.matchAll(declared)) {
      const kind = extended ?? own;
      if (kind !== undefined) shapes.set(kind, typeShape(file, type!));
    }
  }
  return shapes;
}

function commandShape(command: Command): object {
  const { name, operands, min, max, options, without, exits, ownOptionsFirst, subcommands } = command;
  return {
    name,
    operands,
    min,
    max: String(max),
    options: options.map(({ help: _, ...option }: Option) => option),
    without,
    ownOptionsFirst,
    exits: exits?.map(([code]) => code),
    subcommands: subcommands?.map(commandShape),
  };
}

/** Names of actions with the fields they take, and the types these become. */
function scriptShape(file: string): string {
  const text = readFileSync(file, 'utf8');
  const table = text.slice(
    text.indexOf('const ACTIONS'),
    text.indexOf('\n};', text.indexOf('const ACTIONS')),
  );
  const actions = [...table.matchAll(/^ {2}(\w+): \{|with: (\[[^\]]*\])/gm)].map(
    ([, name, fields]) => name ?? fields,
  );
  const types = ['ScriptStep', 'COMMON_FIELDS', 'FAULT_FIELDS', 'DMA_FIELDS'].map((name) =>
    typeShape(file, name),
  );
  return [...actions, ...types].join('\n');
}

/** A line of each kind. */
function traceSample(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-trace-'));
  const file = join(folder, 'trace');
  const fd = openSync(file, 'w');
  const log = new TraceLog(fd);
  const refused = { error: new KernelError('EBUSY', 'group 7', 'is owned by vfio') };
  const struct = (id: number) => Uint8Array.from([12, 0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0]);
  const node = { kind: 'iommufd', label: '/dev/iommu' } as const;
  log.line(1, describeCall(node, 0x3b81, 0x1000n, struct(0), struct(1), { result: 0 }));
  log.line(1, describeCall(node, 0x3b81, 0x1000n, struct(0), struct(0), refused));
  log.plain(1, 'close', '/dev/iommu', [], { result: 0 });
  log.wrote(1, '/bus/pci/rescan', Buffer.from('1\n'), 2);
  log.wrote(1, '/bus/pci/rescan', Buffer.from('x'.repeat(100)), refused.error);
  log.remark('unplug 0000:01:00.0');
  closeTrace(fd);
  const text = readFileSync(file, 'utf8');
  rmSync(folder, { recursive: true });
  return text;
}

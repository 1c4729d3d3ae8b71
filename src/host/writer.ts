/** Writes snapshot files: the same facts give the same bytes. */

import { gzipSync } from 'node:zlib';
import { redact } from './redact.ts';
import type { Snapshot } from './snapshot.ts';

export interface WriteOptions {
  /** Leave serial numbers and MAC addresses in. Default: they are removed. */
  keepSerials?: boolean;
  gzip?: boolean;
}

/** Bytes of a snapshot file. */
export function writeSnapshot(snapshot: Snapshot, options: WriteOptions = {}): Buffer {
  const text = snapshotText(options.keepSerials === true ? snapshot : redact(snapshot));
  // No time and no name goes into the gzip header, so the bytes depend on the facts alone.
  return options.gzip === true ? gzipSync(text, { level: 9 }) : Buffer.from(text);
}

/**
 * Fields stand in the order of the schema and lists as they were read (readers sort them), one device a line: such
 * files can be compared line by line.
 */
function snapshotText(source: Snapshot): string {
  const fields: [string, string][] = [];
  for (const name of FIELDS) {
    const value = source[name];
    if (value !== undefined) fields.push([name, LISTS.has(name) ? list(value as unknown[]) : compact(value)]);
  }
  return `{\n${fields.map(([name, value]) => `  ${JSON.stringify(name)}: ${value}`).join(',\n')}\n}\n`;
}

const FIELDS = [
  'ringfence',
  'version',
  'form',
  'board',
  'arch',
  'kernel',
  'devices',
  'others',
  'groups',
  'iommus',
  'acpi',
  'deviceOrder',
  'usage',
  'notes',
] as const satisfies readonly (keyof Snapshot)[];

const LISTS: ReadonlySet<string> = new Set(['devices', 'others', 'groups', 'iommus', 'usage', 'notes']);

function list(items: readonly unknown[]): string {
  return items.length === 0 ? '[]' : `[\n${items.map((item) => `    ${compact(item)}`).join(',\n')}\n  ]`;
}

/** Names inside objects are sorted, so that it does not matter in which order a reader learned the facts. */
function compact(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Reads snapshot files: JSON checked against the schema, and against what a schema cannot say. */

import { InputError } from '../kernel/errors.ts';
import type { Reader } from './forms.ts';
import { fullAddress, shown } from './host-tree.ts';
import { decodeText } from './lspci-lines.ts';
import type { Snapshot } from './snapshot.ts';
import { SNAPSHOT_VERSION } from './snapshot.ts';

/** A captured machine of 4096 devices takes some 40 MiB; engines refuse strings of 512 MiB. */
const LONGEST_TEXT = 400 * 1024 * 1024;

export const snapshotReader: Reader = {
  form: 'snapshot',
  recognise: (bytes) => /^\s*\{/.test(decodeText(bytes.subarray(0, 4096))),
  read: readSnapshot,
};

/** @throws InputError naming the file and the field, in one line */
export async function readSnapshot(bytes: Uint8Array, place: string): Promise<Snapshot> {
  if (bytes.length > LONGEST_TEXT) throw new InputError(place, 'snapshot longer than 400 MiB');
  return checkSnapshot(parseJson(decodeText(bytes), place), place);
}

/** Checks what claims to be a snapshot. @throws InputError */
export async function checkSnapshot(value: unknown, place: string): Promise<Snapshot> {
  checkKind(value, place);
  const { snapshotSchema } = await import('./schema.ts');
  const checked = snapshotSchema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    throw new InputError(`${place}: ${fieldName(issue.path)}`, shown(issue.message));
  }
  // zod's optional fields may be absent or undefined; JSON has only the former.
  const snapshot = checked.data as Snapshot;
  checkUnique(snapshot, place);
  checkMembers(snapshot, place);
  return snapshot;
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(place, `broken JSON: ${shown(reason)}`);
  }
}

/** Said before the schema is asked, because a newer format would fail it in a hundred confusing ways. */
function checkKind(value: unknown, place: string): void {
  const { ringfence, version } = (value ?? {}) as { ringfence?: unknown; version?: unknown };
  if (ringfence !== 'snapshot') {
    throw new InputError(place, 'JSON, but no snapshot: "ringfence": "snapshot" is missing');
  }
  if (typeof version === 'number' && version > SNAPSHOT_VERSION) {
    const problem = `snapshot version ${version} is newer than this program knows (${SNAPSHOT_VERSION})`;
    throw new InputError(place, `${problem}; update ringfence`);
  }
}

function checkUnique(snapshot: Snapshot, place: string): void {
  const check = (field: string, names: readonly (string | number)[]) => {
    const seen = new Set<string | number>();
    for (const [at, name] of names.entries()) {
      if (seen.has(name))
        throw new InputError(`${place}: ${field}[${at}]`, `${shown(String(name))} is there twice`);
      seen.add(name);
    }
  };
  check(
    'devices',
    snapshot.devices.map((device) => device.address),
  );
  check(
    'others',
    snapshot.others.map((other) => other.name),
  );
  check(
    'groups',
    (snapshot.groups ?? []).map((group) => group.id),
  );
  check(
    'iommus',
    (snapshot.iommus ?? []).map((iommu) => iommu.name),
  );
  check('deviceOrder', snapshot.deviceOrder ?? []);
}

/** A device is in one group, once, and there is something to say of it. */
function checkMembers({ devices, groups = [] }: Snapshot, place: string): void {
  const known = new Set(devices.map(({ address }) => address));
  const groupOf = new Map<string, number>();
  for (const [at, { id, devices: members }] of groups.entries()) {
    for (const [position, name] of members.entries()) {
      const field = `${place}: groups[${at}].devices[${position}]`;
      const other = groupOf.get(name);
      if (other !== undefined) {
        const where = other === id ? 'there twice' : `in group ${other} already`;
        throw new InputError(field, `${shown(name)} is ${where}`);
      }
      if (fullAddress(name) !== undefined && !known.has(name))
        throw new InputError(field, `${shown(name)} is none of the devices`);
      groupOf.set(name, id);
    }
  }
}

/** `devices[3].address` */
function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'snapshot';
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${shown(String(part))}`));
  return parts.join('').replace(/^\./, '');
}

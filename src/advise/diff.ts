/** What changed between two recordings of a machine. */

import { factsOf } from '../host/facts.ts';
import { redactCommandLine } from '../host/redact-command-line.ts';
import type { PciFacts, Snapshot } from '../host/snapshot.ts';
import { acsBitNames } from '../pci/acs-bits.ts';
import { type Describer, sortNames } from './describe.ts';
import { type DiffReport, REPORT_VERSION } from './report.ts';

type Entry = DiffReport['changes'][number];

export function diffReport(before: Describer, after: Describer): DiffReport {
  const changes = [
    ...kernelChanges(before.snapshot, after.snapshot),
    ...deviceChanges(before, after),
    ...groupChanges(before.snapshot, after.snapshot),
  ];
  return {
    report: 'diff',
    version: REPORT_VERSION,
    host: before.host(),
    after: after.host(),
    same: changes.length === 0,
    changes,
  };
}

function kernelChanges(before: Snapshot, after: Snapshot): Entry[] {
  const facts: [string, string | undefined, string | undefined][] = [
    ['board', before.board, after.board],
    ['release', before.kernel.release, after.kernel.release],
    ['version', before.kernel.version, after.kernel.version],
    ['command line', commandLine(before), commandLine(after)],
    ['IOMMUs', names(before), names(after)],
  ];
  return facts.flatMap(([where, a, b]) => changed('kernel', where, a, b));
}

/** As captures have it: a machine and its own capture do not differ. */
const commandLine = ({ kernel }: Snapshot): string | undefined =>
  kernel.cmdline === undefined ? undefined : redactCommandLine(kernel.cmdline);

const names = (snapshot: Snapshot): string | undefined =>
  snapshot.iommus?.map((iommu) => iommu.name).join(' ');

function changed(
  kind: Entry['kind'],
  where: string,
  before: string | undefined,
  after: string | undefined,
): Entry[] {
  if (before === after) return [];
  return [{ kind, where, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }];
}

function deviceChanges(before: Describer, after: Describer): Entry[] {
  const addresses = new Set(
    [...before.snapshot.devices, ...after.snapshot.devices].map((device) => device.address),
  );
  return sortNames(addresses).flatMap((address) => {
    const [a, b] = [before.facts(address), after.facts(address)];
    if (a === undefined || b === undefined || identity(a) !== identity(b)) {
      return changed('device', address, a && before.title(address), b && after.title(address));
    }
    return [
      ...changed('driver', address, driver(a), driver(b)),
      ...changed('acs', address, acs(a), acs(b)),
      ...changed('device', `${address} virtual functions`, vfs(a), vfs(b)),
    ];
  });
}

const identity = (d: PciFacts): string =>
  [d.vendor, d.device, d.subsystemVendor, d.subsystemDevice, d.class].join(':');
const driver = (d: PciFacts): string | undefined => (d.driver === null ? 'no driver' : d.driver);

function acs(device: PciFacts): string | undefined {
  const found = factsOf(device).acs;
  if (found === undefined) return undefined;
  if (found === null) return 'no ACS';
  return `offers ${acsBitNames(found.capability).join(' ') || 'nothing'}, on: ${acsBitNames(found.control).join(' ') || 'nothing'}`;
}

function vfs(device: PciFacts): string | undefined {
  const sriov = factsOf(device).sriov;
  return sriov ? String(sriov.enabled ? sriov.numVfs : 0) : undefined;
}

/** Groups by their members: a number that moved is told only where the members are the same. */
function groupChanges(before: Snapshot, after: Snapshot): Entry[] {
  if (before.groups === undefined || after.groups === undefined) return [];
  const present = (snapshot: Snapshot): Set<string> =>
    new Set([...snapshot.devices.map((d) => d.address), ...snapshot.others.map((d) => d.name)]);
  const [inBefore, inAfter] = [present(before), present(after)];
  const entries: Entry[] = [];
  const [a, b] = [membership(before), membership(after)];
  for (const name of sortNames([...inBefore].filter((other) => inAfter.has(other)))) {
    const [left, right] = [a.get(name), b.get(name)];
    const [own, other] = [left?.key ?? 'no group', right?.key ?? 'no group'];
    if (own !== other) entries.push({ kind: 'group', where: name, before: own, after: other });
    else if (left !== undefined && left.first === name && left.type !== right?.type) {
      entries.push(...changed('group', `type of the group of ${name}`, left.type, right?.type));
    }
  }
  return entries;
}

function membership(
  snapshot: Snapshot,
): Map<string, { key: string; first: string; type: string | undefined }> {
  const found = new Map<string, { key: string; first: string; type: string | undefined }>();
  for (const group of snapshot.groups ?? []) {
    const members = sortNames(group.devices);
    for (const name of members)
      found.set(name, { key: members.join(' '), first: members[0]!, type: group.type });
  }
  return found;
}

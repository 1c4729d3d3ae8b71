/** `show` for reading. */

import { acsBecause } from '../advise/acs-words.ts';
import type { ShowDevice, ShowGroup, ShowReport } from '../advise/report.ts';
import { placeWords } from './abi-text.ts';
import { type Output, type Title, titleLine, wrap } from './output.ts';

export function showText(report: ShowReport, out: Output, title: Title): string {
  return [
    ...report.groups.map((group) => groupText(group, out, title)),
    ...report.devices.map((device) => deviceText(device, out, title)),
  ].join('\n');
}

function groupText(group: ShowGroup, out: Output, title: Title): string {
  const { bold } = out.colors;
  const name = group.name === undefined ? '' : ` "${group.name}"`;
  const source = group.source === 'predicted' ? ', as the rules would form it' : '';
  return [
    `${bold(`Group ${group.id}${name}`)}${source}\n`,
    field('type', group.type ?? 'not known', out),
    ...group.devices.map((device, index) =>
      field(
        index === 0 ? 'devices' : '',
        `${title(device.address)}${device.driver ? ` [${device.driver}]` : ''}`,
        out,
      ),
    ),
    ...regions(group.reservedRegions, out),
    ...documents(group.abi, out),
  ].join('');
}

function deviceText(d: ShowDevice, out: Output, title: Title): string {
  const { device } = d;
  const rows: [string, string | undefined][] = [
    [
      'ids',
      device.vendor &&
        `${device.vendor}:${device.device}${device.revision && device.revision !== '00' ? ` (rev ${device.revision})` : ''}, class ${device.class ?? '?'}${device.progIf ?? ''}`,
    ],
    [
      'subsystem',
      device.subsystemVendor &&
        `${device.subsystemVendor}:${device.subsystemDevice}${d.subsystemName ? ` ${d.subsystemName}` : ''}`,
    ],
    ['driver', driverWords(d)],
    ['group', groupWords(d)],
    ['kind', kindWords(d)],
    ['isolation', isolationWords(d)],
    ['requester ids', d.aliases.length > 1 ? d.aliases.join(', ') : undefined],
    ['virtual', virtualWords(d)],
    ['reset', resetWords(d)],
    ['quirks', d.quirks.length > 0 ? d.quirks.join(', ') : undefined],
    ['below', d.parents.length > 0 ? d.parents.join(' ← ') : undefined],
    ['stable name', d.stableName === device.address ? undefined : d.stableName],
    ['capabilities', d.capabilities.join(', ') || undefined],
    ['not known', d.unknown.length > 0 ? d.unknown.join(', ') : undefined],
    ['IOMMU', device.iommu === null ? 'none translates it' : device.iommu],
    ['NUMA node', device.numaNode === undefined ? undefined : String(device.numaNode)],
    ['boot VGA', d.bootVga ? 'yes: the firmware and console use it' : undefined],
    ['path', d.path],
  ];
  return [
    out.colors.bold(titleLine(device.address, title, out)),
    ...rows.flatMap(([name, value]) =>
      value ? [field(name, out.unicode ? value : value.replaceAll('←', '<-'), out)] : [],
    ),
    ...regions(d.reservedRegions, out),
    ...documents(d.abi, out),
  ].join('');
}

const LABEL = 15;

function field(name: string, value: string, out: Output): string {
  return wrap(value, out, `  ${name.padEnd(LABEL)}`, ' '.repeat(LABEL + 2));
}

function regions(list: ShowGroup['reservedRegions'], out: Output): string[] {
  return (list ?? []).map((region, index) =>
    field(index === 0 ? 'reserved' : '', `${region.start}-${region.end} ${region.type}`, out),
  );
}

/** One line for each attribute that has an entry. */
function documents(links: ShowDevice['abi'], out: Output): string[] {
  return (links ?? []).map((link, index) =>
    field(index === 0 ? 'documented in' : '', `${link.attribute}: ${placeWords(link)}`, out),
  );
}

function driverWords(d: ShowDevice): string | undefined {
  const { driver } = d.device;
  const override = d.driverOverride ? ` (driver_override ${d.driverOverride})` : '';
  const modules = d.modules && d.modules.length > 0 ? `; modules: ${d.modules.join(', ')}` : '';
  if (driver === undefined) return undefined;
  return `${driver ?? 'none'}${override}${modules}`;
}

function groupWords(d: ShowDevice): string {
  if (!d.group) return 'none';
  const others = d.group.members.filter((name) => name !== d.device.address);
  const source = d.group.source === 'predicted' ? ' (predicted)' : '';
  return `${d.group.id}${source}, ${d.group.type ?? 'type not known'}, ${others.length === 0 ? 'alone' : `with ${others.join(' ')}`}`;
}

function kindWords(d: ShowDevice): string | undefined {
  if (d.pcieType === undefined) return undefined;
  const bus = d.bridge ? `, buses ${d.bridge.secondary} to ${d.bridge.subordinate}` : '';
  return `${d.pcieType ?? (d.bridge ? 'conventional PCI bridge' : 'conventional PCI')}${d.multifunction ? ', multifunction' : ''}${bus}`;
}

function isolationWords(d: ShowDevice): string | undefined {
  if (d.isolates === undefined) return undefined;
  const acs = d.acs
    ? ` (ACS offers ${d.acs.offered.join(' ') || 'nothing'}; on: ${d.acs.on.join(' ') || 'nothing'})`
    : '';
  const answer = d.isolates.known ? (d.isolates.enabled ? 'yes' : 'no') : 'not known';
  return `${answer}: ${acsBecause(d.isolates)}${acs}`;
}

function virtualWords(d: ShowDevice): string | undefined {
  if (d.physfn) return `virtual function of ${d.physfn}`;
  if (!d.sriov) return undefined;
  const vfs = d.sriov.vfs.length > 0 ? `: ${d.sriov.vfs.join(' ')}` : '';
  return `${d.sriov.enabled ? d.sriov.numVfs : 0} of ${d.sriov.totalVfs} virtual functions${vfs}`;
}

function resetWords(d: ShowDevice): string | undefined {
  const { methods, unknown, scope, from } = d.reset;
  if (methods.length === 0 && unknown.length === 0) return from === 'kernel' ? undefined : 'no method';
  const shared = scope.length > 1 ? `; a bus reset hits ${scope.join(' ')}` : '';
  const open = unknown.length > 0 ? `; not known: ${unknown.join(', ')}` : '';
  return `${methods.join(', ') || 'none known'}${open}${shared}`;
}

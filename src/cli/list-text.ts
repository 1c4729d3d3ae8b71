/** The list as text: what people paste into forums. */

import { deviceTitle } from '../advise/describe.ts';
import type { DeviceLine, GroupLine, ListReport } from '../advise/report.ts';
import { InputError } from '../kernel/errors.ts';
import { type Cell, type Output, table, wrap } from './output.ts';

type Column = {
  head: string;
  right?: boolean;
  cell(device: DeviceLine, group: GroupLine | undefined, out: Output): Cell;
};

const text = (value: string | number | null | undefined): string =>
  value === null || value === undefined ? '-' : String(value);

/** `Class: Vendor Device`, or numbers where no names are known. */
function title(device: DeviceLine): string {
  if (device.bus !== 'pci') return `device of bus ${device.bus}`;
  const known = deviceTitle(device);
  if (device.className !== undefined) return known;
  const code = device.class === undefined ? 'class unknown' : `class ${device.class}`;
  return known === '' ? code : `${code}: ${known}`;
}

function ids(device: DeviceLine): string {
  return device.vendor === undefined ? '-' : `${device.vendor}:${device.device ?? '????'}`;
}

const COLUMNS: Record<string, Column> = {
  group: {
    head: 'GROUP',
    right: true,
    cell: (_, group, out) => ({ text: text(group?.id), paint: out.colors.bold }),
  },
  type: { head: 'TYPE', cell: (_, group) => text(group?.type) },
  address: { head: 'ADDRESS', cell: (device, _, out) => ({ text: device.address, paint: out.colors.cyan }) },
  class: { head: 'CLASS', cell: (device) => text(device.class) },
  classname: { head: 'CLASS NAME', cell: (device) => text(device.className) },
  vendor: { head: 'VENDOR', cell: (device) => text(device.vendorName ?? device.vendor) },
  device: { head: 'DEVICE NAME', cell: (device) => text(device.deviceName ?? device.device) },
  ids: { head: 'IDS', cell: ids },
  subsystem: {
    head: 'SUBSYSTEM',
    cell: (d) => (d.subsystemVendor === undefined ? '-' : `${d.subsystemVendor}:${text(d.subsystemDevice)}`),
  },
  rev: { head: 'REV', cell: (device) => text(device.revision) },
  driver: {
    head: 'DRIVER',
    cell: (device, _, out) => ({ text: text(device.driver), paint: out.colors.green }),
  },
  iommu: { head: 'IOMMU', cell: (device) => text(device.iommu) },
  numa: { head: 'NUMA', right: true, cell: (device) => text(device.numaNode) },
  name: { head: 'DEVICE', cell: title },
};

const DEFAULT = 'group,address,ids,driver,name';

/**
 * @throws InputError for a column that does not exist
 */
export function listText(report: ListReport, out: Output, columns = DEFAULT): string {
  const chosen = columns.split(',').map((name) => column(name.trim().toLowerCase()));
  const domainless = [...report.groups.flatMap((group) => group.devices), ...report.ungrouped].every(
    (device) => device.bus !== 'pci' || device.address.startsWith('0000:'),
  );
  const row = (device: DeviceLine, group?: GroupLine): Cell[] => {
    const short = domainless && device.bus === 'pci';
    const shown = short ? { ...device, address: device.address.slice(5) } : device;
    return chosen.map((each) => each.cell(shown, group, out));
  };
  const head = chosen.map((each): Cell => ({ text: each.head, paint: out.colors.dim }));
  const rows = report.groups.flatMap((group) => group.devices.map((device) => row(device, group)));
  const loose = report.ungrouped.map((device) => row(device));
  const parts = stateLines(report, out);
  if (rows.length > 0) {
    // One table for both, so that their columns stand below each other.
    const right = new Set(chosen.flatMap((each, index) => (each.right ? [index] : [])));
    const lines = table([head, ...rows, ...loose], out, right).split('\n');
    parts.push(`${lines.slice(0, rows.length + 1).join('\n')}\n`);
    const heading = `${out.colors.bold('In no group')} (no IOMMU translates them)\n`;
    if (loose.length > 0) parts.push('\n', heading, lines.slice(rows.length + 1).join('\n'));
  } else {
    parts.push(loose.length > 0 ? table([head, ...loose], out) : 'No PCI devices.\n');
  }
  parts.push(...uncertainLines(report, out));
  return parts.join('');
}

function column(name: string): Column {
  const found = COLUMNS[name];
  if (found === undefined || !Object.hasOwn(COLUMNS, name)) {
    throw new InputError(
      '--columns',
      `there is no column '${name}'; there are ${Object.keys(COLUMNS).join(', ')}`,
    );
  }
  return found;
}

/** What stands above a list that is not simply the kernel's. */
export function stateLines(report: ListReport, out: Output): string[] {
  const lines: string[] = [];
  if (report.iommu.state === 'off') {
    lines.push(
      `${out.colors.yellow('No IOMMU groups on this machine')}: nothing can be handed over safely as it is.\n`,
    );
  } else if (report.iommu.state === 'unknown') {
    lines.push(`${out.colors.yellow("The recording does not show the kernel's groups.")}\n`);
  }
  for (const missing of report.iommu.missing) {
    lines.push(wrap(`- ${missing.detail}: ${missing.remedy}`, out, '', '  '));
  }
  if (report.source === 'predicted') {
    const rules =
      report.policy === 'linux-6.12' || report.policy === undefined ? 'Linux' : `policy ${report.policy}`;
    const when = report.iommu.state === 'off' ? ' with the IOMMU on' : '';
    lines.push(`${lines.length > 0 ? '\n' : ''}Groups that the rules of ${rules} form${when}:\n`);
  }
  if (lines.length > 0) lines.push('\n');
  return lines;
}

function uncertainLines(report: ListReport, out: Output): string[] {
  const lines: string[] = [];
  if (report.uncertain.length > 0) {
    const some = report.uncertain.slice(0, 6).join(', ') + (report.uncertain.length > 6 ? ', …' : '');
    lines.push(
      '\n',
      wrap(
        `${out.colors.yellow('Not certain')}: the place of ${count(report.uncertain.length)} rests on facts that were not read (${some}). Run as root, or record with \`sudo ringfence capture\`.`,
        out,
      ),
    );
  }
  // The kernel's own groups rest on nothing that could be in doubt.
  const notes = report.source === 'kernel' ? [] : report.notes;
  for (const note of notes)
    lines.push(`${lines.length === 0 ? '\n' : ''}`, wrap(`note: ${note}`, out, '', '  '));
  return lines;
}

const count = (devices: number): string => (devices === 1 ? 'one device' : `${devices} devices`);

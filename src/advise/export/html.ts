/** The explorer's page with the machine in it, as one file that needs no server. */

import { redact } from '../../host/redact.ts';
import type { PciFacts, Snapshot } from '../../host/snapshot.ts';
import { InputError } from '../../kernel/errors.ts';
import { printable } from '../../kernel/printable.ts';
import { sortNames } from '../describe.ts';
import type { Exporter, ExportInput } from './exporter.ts';

/** Where the built page has room for a machine. */
const PLACE = '<!-- machine -->';

export const html: Exporter = {
  name: 'html',
  summary: 'the explorer with this machine in it, as one file',
  scope: 'machine',
  styles: 'either',
  needsPage: true,
  write(input) {
    const { page, describer } = input;
    if (page === undefined || !page.includes(PLACE))
      throw new InputError('html', 'needs the page of `ringfence serve`, which is not here');
    const snapshot = inOrder(redact(describer.snapshot));
    const name = snapshot.board ?? 'this machine';
    const machine = `<script type="application/json" id="ringfence-machine" data-name="${attribute(name)}">${inScript(JSON.stringify(snapshot))}</script>`;
    const ids = `<script type="text/plain" id="ringfence-pci-ids">${namesOf(input)}</script>`;
    return {
      text: page.replace(PLACE, () => `${machine}\n    ${ids}`),
      notes: ['serial numbers and MAC addresses are left out, as in a capture'],
    };
  },
};

/** The same machine gives the same file, in whatever order its groups were read. */
function inOrder(snapshot: Snapshot): Snapshot {
  const { groups } = snapshot;
  if (groups === undefined) return snapshot;
  const sorted = groups.map((group) => ({ ...group, devices: sortNames(group.devices) }));
  return { ...snapshot, groups: sorted.sort((a, b) => a.id - b.id) };
}

/**
 * JSON reads the same with its angle brackets escaped, and nothing in it can end the element or begin a comment; nor
 * does a control or bidirectional character reach a terminal.
 */
const inScript = (text: string): string =>
  text.replace(/[<\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (found) => `\\u${hex(found.charCodeAt(0), 4)}`);

const attribute = (text: string): string =>
  printable(text).replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** As much of a pci.ids as names the devices of the machine. */
function namesOf({ describer }: ExportInput): string {
  const vendors = new Map<number, { name: string | undefined; devices: Map<number, string> }>();
  const classes = new Map<number, Map<number, string>>();
  const remember = (facts: PciFacts): void => {
    const line = describer.line(facts.address);
    if (facts.vendor !== undefined && line.vendorName !== undefined) {
      const vendor = vendors.get(facts.vendor) ?? { name: line.vendorName, devices: new Map() };
      vendors.set(facts.vendor, vendor);
      if (facts.device !== undefined && line.deviceName !== undefined)
        vendor.devices.set(facts.device, line.deviceName);
    }
    if (facts.class !== undefined && line.className !== undefined) {
      const base = classes.get(facts.class >>> 16) ?? new Map<number, string>();
      classes.set(facts.class >>> 16, base.set((facts.class >>> 8) & 0xff, line.className));
    }
  };
  for (const facts of describer.snapshot.devices) remember(facts);
  // The first line of a pci.ids names nothing; class 00 begins the list of classes.
  const lines = ['# names of this machine'];
  for (const [id, { name, devices }] of sorted(vendors)) {
    lines.push(`${hex(id, 4)}  ${oneLine(name ?? '')}`);
    for (const [device, deviceName] of sorted(devices))
      lines.push(`\t${hex(device, 4)}  ${oneLine(deviceName)}`);
  }
  lines.push('C 00  Unclassified device');
  for (const [base, subclasses] of sorted(classes)) {
    if (base !== 0) lines.push(`C ${hex(base, 2)}  ${oneLine([...subclasses.values()][0]!)}`);
    for (const [subclass, name] of sorted(subclasses)) lines.push(`\t${hex(subclass, 2)}  ${oneLine(name)}`);
  }
  return `${lines.join('\n')}\n`;
}

const oneLine = (text: string): string => printable(text).replace(/\s+/g, ' ').replaceAll('<', '‹').trim();

const sorted = <T>(map: ReadonlyMap<number, T>): [number, T][] => [...map].sort(([a], [b]) => a - b);

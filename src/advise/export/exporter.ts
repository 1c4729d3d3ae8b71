/** What a format of `export` is: one file a format behind this interface, one row of the table in formats.ts. */

import type { PciFacts } from '../../host/snapshot.ts';
import type { Machine } from '../../machine/machine.ts';
import type { Describer } from '../describe.ts';
import type { DeviceLine } from '../report.ts';
import type { FormedGroups } from './groups.ts';

/** How the consumer reaches the devices: group and container, or iommufd and a node per device. */
export type Style = 'legacy' | 'iommufd';

export interface ExportDevice {
  address: string;
  facts: PciFacts;
  line: DeviceLine;
  /** What it is, in one line: `VGA compatible controller: NVIDIA GP104`. */
  title: string;
  /** What the host uses it for right now, in words; absent: nothing, or not known. */
  inUse?: string;
  group: ExportGroup;
}

/** A group of which at least one device is exported. */
export interface ExportGroup {
  id: number;
  type?: string;
  name?: string;
  /** Every member by name, bridges and devices of other buses too. */
  members: string[];
  devices: ExportDevice[];
}

export interface ExportOptions {
  style: Style;
  /** libvirt binds and gives back the devices itself. */
  managed: boolean;
  /** Name of the machine in its cluster, for formats that ask for it. */
  node?: string;
  /** DNS domain that names of resources begin or end with. */
  domain: string;
  /** The explorer's page in one file, for the format that writes a machine into it. */
  page?: string;
}

export interface ExportInput extends ExportOptions {
  describer: Describer;
  machine: Machine;
  /** In numeric order of address. Empty for formats of the whole machine. */
  devices: ExportDevice[];
  /** In the order of their first device. */
  groups: ExportGroup[];
  /** `predicted`: it is not known which groups the kernel formed, nor their numbers; these are those of the rules. */
  source: FormedGroups['source'];
  /** For formats of the whole machine: names to restrict it to, with their groups; absent: everything. */
  names?: ReadonlySet<string>;
}

/** Why there is nothing to write: it cannot be done, or data is missing. */
export interface Problem {
  verdict: 'no' | 'cannot tell';
  what: string;
}

export interface Written {
  text: string;
  /** What whoever uses the text has to know, a sentence each. */
  notes?: string[];
  problems?: Problem[];
}

export interface Exporter {
  name: string;
  /** One line for help. */
  summary: string;
  /** `devices`: of the devices named. `machine`: of the whole machine, or of the groups of the devices named. */
  scope: 'devices' | 'machine';
  /** `either`: the text is the same in both. Otherwise the styles that the consumer knows. */
  styles: 'either' | readonly Style[];
  /** Asks for `--node`: a DNS name, or one without dots. */
  needsNode?: 'name' | 'label';
  /** Asks for the explorer's page. */
  needsPage?: true;
  /**
   * What of the kernel's groups the text rests on, in formats of devices. `numbers`: it has their numbers in it.
   * `presence`: its devices can be handed over. `nothing`: it is right without an IOMMU too.
   */
  groups?: 'numbers' | 'presence' | 'nothing';
  write(input: ExportInput): Written;
}

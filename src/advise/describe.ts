/** One device of a snapshot as a line of a report: ids as text, names where there is a pci.ids. */

import { redactCommandLine } from '../host/redact-command-line.ts';
import type { OtherFacts, PciFacts, Snapshot } from '../host/snapshot.ts';
import { printable } from '../kernel/printable.ts';
import { compareAddresses } from '../pci/address.ts';
import type { PciIds } from '../pci/ids.ts';
import type { Shorten } from './reason-words.ts';
import type { DeviceLine, HostLine } from './report.ts';
import { shortener } from './shorten.ts';

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Turns device names of one snapshot into report lines; each line is made once. */
export class Describer {
  readonly snapshot: Snapshot;
  readonly #ids: PciIds;
  readonly #pci = new Map<string, PciFacts>();
  readonly #others = new Map<string, OtherFacts>();
  #shorten: Shorten | undefined;

  constructor(snapshot: Snapshot, ids: PciIds) {
    this.snapshot = snapshot;
    this.#ids = ids;
    for (const facts of snapshot.devices) this.#pci.set(facts.address, facts);
    for (const facts of snapshot.others) this.#others.set(facts.name, facts);
  }

  facts(address: string): PciFacts | undefined {
    return this.#pci.get(address);
  }

  /** The report line of a device by name; a name the snapshot has no facts of gives a line of just that name. */
  line(name: string): DeviceLine {
    const pci = this.#pci.get(name);
    if (pci !== undefined) return this.#pciLine(pci);
    const other = this.#others.get(name);
    return {
      address: name,
      bus: other?.bus ?? 'unknown',
      ...(other?.driver !== undefined && { driver: other.driver }),
      ...(other?.iommu !== undefined && { iommu: other.iommu }),
    };
  }

  /** Lines in numeric order of address, other buses' devices after PCI's. */
  lines(names: Iterable<string>): DeviceLine[] {
    return sortNames(names).map((name) => this.line(name));
  }

  /** `00:01.0 PCI bridge: Intel Corporation Device a70d`, as far as known; without ids. For reading: printable. */
  title(name: string): string {
    return printable([name, deviceTitle(this.line(name))].filter(Boolean).join(' '));
  }

  /** The same with a short address where the machine has only domain 0. */
  shortTitle(name: string): string {
    this.#shorten ??= shortener(this.snapshot);
    return printable(this.#shorten(name)) + this.title(name).slice(name.length);
  }

  /** Name of the board or card maker's product, where ids and a pci.ids tell it. */
  subsystemName(facts: PciFacts): string | undefined {
    const { vendor, device, subsystemVendor, subsystemDevice } = facts;
    if (
      vendor === undefined ||
      device === undefined ||
      subsystemVendor === undefined ||
      subsystemDevice === undefined
    ) {
      return undefined;
    }
    return (
      this.#ids.subsystemName(vendor, device, subsystemVendor, subsystemDevice) ??
      this.#ids.vendorName(subsystemVendor)
    );
  }

  host(): HostLine {
    const { board, arch, kernel, iommus } = this.snapshot;
    return {
      ...(board !== undefined && { board }),
      ...(arch !== undefined && { arch }),
      ...(kernel.release !== undefined && { kernel: kernel.release }),
      ...(kernel.cmdline !== undefined && { cmdline: redactCommandLine(kernel.cmdline) }),
      ...(iommus !== undefined && { iommus: iommus.map((iommu) => iommu.name) }),
    };
  }

  #pciLine(facts: PciFacts): DeviceLine {
    const { vendor, device, subsystemVendor, subsystemDevice, revision } = facts;
    const code = facts.class;
    const className = code === undefined ? undefined : this.#ids.className(code);
    const vendorName = vendor === undefined ? undefined : this.#ids.vendorName(vendor);
    const deviceName =
      vendor === undefined || device === undefined ? undefined : this.#ids.deviceName(vendor, device);
    return {
      address: facts.address,
      bus: 'pci',
      ...(code !== undefined && { class: hex(code >> 8, 4), progIf: hex(code & 0xff, 2) }),
      ...(vendor !== undefined && { vendor: hex(vendor, 4) }),
      ...(device !== undefined && { device: hex(device, 4) }),
      ...(subsystemVendor !== undefined && { subsystemVendor: hex(subsystemVendor, 4) }),
      ...(subsystemDevice !== undefined && { subsystemDevice: hex(subsystemDevice, 4) }),
      ...(revision !== undefined && { revision: hex(revision, 2) }),
      ...(className !== undefined && { className }),
      ...(vendorName !== undefined && { vendorName }),
      ...(deviceName !== undefined && { deviceName }),
      ...(facts.driver !== undefined && { driver: facts.driver }),
      ...(facts.iommu !== undefined && { iommu: facts.iommu }),
      ...(facts.numaNode !== undefined && facts.numaNode >= 0 && { numaNode: facts.numaNode }),
    };
  }
}

/** PCI addresses in numeric order, then other names in alphabetical. */
export function sortNames(names: Iterable<string>): string[] {
  return [...names].sort(compareAddresses);
}

/** `PCI bridge: Intel Raptor Lake PCIe 4.0 Graphics Port`; nothing where there are no names. */
export function deviceTitle({ className, vendorName, deviceName }: DeviceLine): string {
  const maker = vendorName === undefined ? undefined : shortVendor(vendorName);
  return [className, [maker, deviceName].filter(Boolean).join(' ')].filter(Boolean).join(': ');
}

const LEGAL_FORM =
  /,? +(?:Co|Corp|Corporation|Inc|Incorporated|LLC|Ltd|Limited|GmbH|AG|S\.?A|B\.?V|Pte|Technologies|Technology)\b\.?,?/g;

/** The name people use: what stands in brackets, `[AMD]`, else the name without its legal form. */
function shortVendor(name: string): string {
  const bracketed = /\[([^\]/]+)(?:\/[^\]]*)?\]/.exec(name)?.[1];
  return bracketed ?? (name.replace(LEGAL_FORM, '').trim() || name);
}

/**
 * virtio-iommu. Its module comes late, and 6.12 then groups only devices that a driver probes, in that order. What
 * was covered and in which order is told by the recording; without one, by VIOT.
 */

import type { Bus } from '../../device/bus.ts';
import type { Device } from '../../device/device.ts';
import { formatAddress } from '../../pci/address.ts';
import { PciDevice } from '../../pci/device.ts';
import type { IommuDriver } from '../driver.ts';
import { readTable } from '../firmware/read-table.ts';
import { parseViot, type ViotIommu, viotIommuOf } from '../firmware/viot.ts';
import { RegionType, type ReservedRegion } from '../reserved-region.ts';
import { HardwareDriver } from './hardware.ts';
import type { DetectedIommu, DetectInput, Found, RecordedIommu } from './input.ts';
import { interruptIsolation } from './interrupt-remapping.ts';
import { SOFTWARE_MSI_WINDOW } from './smmu.ts';

const PAGE_SIZES = 0xffff_ffff_ffff_f000n;
/** What hosts on x86 let through untranslated, being their own interrupt window. */
const X86_MSI_WINDOW: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };

/** `viommu_ops`. */
class VirtioDriver extends HardwareDriver {
  readonly #msi: ReservedRegion;

  constructor(input: DetectInput) {
    super({
      name: 'virtio-iommu',
      pageSizes: PAGE_SIZES,
      pciPolicy: input.pciPolicy,
      statics: { identity: false, blocked: false },
      capabilities: ['cache-coherency', 'deferred-flush'],
    });
    this.#msi = isX86(input.arch) ? X86_MSI_WINDOW : SOFTWARE_MSI_WINDOW;
  }

  /** `viommu_get_resv_regions` */
  getResvRegions(): ReservedRegion[] {
    return [this.#msi];
  }
}

class VirtioIommu implements DetectedIommu {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly device?: Device;
  readonly forcesStrict = false;
  readonly #input: DetectInput;
  readonly #byTable: (device: Device) => boolean;
  readonly #recorded: boolean;
  readonly #child: string | undefined;

  constructor(
    name: string,
    driver: IommuDriver,
    device: PciDevice | undefined,
    input: DetectInput,
    byTable: (device: Device) => boolean,
  ) {
    this.name = name;
    const path = input.iommus?.find((recorded) => recorded.name === name)?.path;
    this.#child = /\/(virtio\d{1,5})\/iommu\/[^/]+$/.exec(path ?? '')?.[1];
    this.driver = driver;
    if (device !== undefined) this.device = device;
    this.#input = input;
    this.#byTable = byTable;
    this.#recorded = [...input.recorded.values()].some(({ iommu }) => iommu === name);
  }

  /** The virtio device, which is the function's only child. */
  get parentPath(): string | undefined {
    const path = this.device?.kobj?.path;
    return path && this.#child && `${path}/${this.#child}`;
  }

  covers(device: Device): boolean {
    if (device === this.device) return false;
    if (this.#recorded) return this.#input.recorded.get(device.name)?.iommu === this.name;
    return this.#byTable(device);
  }

  /** Order of binding, as far as group numbers tell; members of one group in the order of the device list. */
  probeOrder(_bus: Bus, devices: readonly Device[]): readonly Device[] {
    if (!this.#recorded) return devices;
    const number = (device: Device) =>
      this.#input.recorded.get(device.name)?.group ?? Number.MAX_SAFE_INTEGER;
    return devices.filter((device) => this.covers(device)).sort((a, b) => number(a) - number(b));
  }

  whyNotCovered(device: Device): string {
    if (device === this.device) return 'it is the IOMMU itself';
    return this.#recorded && this.#byTable(device)
      ? 'no driver had probed it, and a late virtio-iommu takes only devices that one does'
      : 'VIOT does not list it';
  }

  /** It has no part in interrupts; another translation service of the platform may. */
  isolatedMsi(): boolean | undefined {
    return interruptIsolation(this.#input).isolated;
  }
}

/** virtio-iommu devices that were recorded, or else those VIOT names. */
export function detectVirtio(input: DetectInput): Found {
  const found: Found = { instances: [], notes: [] };
  const viot = readTable(input.acpi, 'VIOT', parseViot, found.notes);
  const driver = new VirtioDriver(input);
  const seen = new Set<string>();
  const add = (name: string, node: ViotIommu | undefined) => {
    if (seen.has(name)) return;
    seen.add(name);
    const byTable = (device: Device) =>
      device instanceof PciDevice &&
      viot !== undefined &&
      node !== undefined &&
      viotIommuOf(viot, device.domain, device.rid) === node;
    found.instances.push(new VirtioIommu(name, driver, input.topology.find(name), input, byTable));
  };
  const nodes = new Map((viot?.iommus ?? []).map((node) => [nodeName(node), node]));
  for (const iommu of input.iommus ?? []) if (isVirtio(iommu, nodes)) add(iommu.name, nodes.get(iommu.name));
  if (input.iommus === undefined || input.assumeOn) {
    for (const [name, node] of nodes) add(name, node);
  }
  return found;
}

/** The instance has the name of the device that carries it; its directory tells what kind that is. */
function isVirtio({ name, path }: RecordedIommu, nodes: ReadonlyMap<string, ViotIommu>): boolean {
  return nodes.has(name) || path?.split('/').some((part) => /^virtio\d+$/.test(part)) === true;
}

/** Whether `detectVirtio` takes care of an entry of /sys/class/iommu. */
export function isVirtioIommu(input: DetectInput, iommu: RecordedIommu): boolean {
  const viot = readTable(input.acpi, 'VIOT', parseViot);
  return isVirtio(iommu, new Map((viot?.iommus ?? []).map((node) => [nodeName(node), node])));
}

function nodeName(node: ViotIommu): string {
  if (node.kind === 'mmio') return `${node.address.toString(16)}.virtio_mmio`;
  return formatAddress({
    domain: node.segment,
    bus: node.requesterId >> 8,
    devfn: node.requesterId & 0xff,
  });
}

function isX86(arch: string | undefined): boolean {
  return arch === undefined || /^(?:x86_64|i[3-6]86)$/.test(arch);
}

/**
 * The facts of one machine, as every reader leaves them and everything else takes them.
 *
 * Plain data: what stands here is what stands in a snapshot file (`schema/snapshot.json`, made from
 * `schema.ts`). Absent optional fields are *unknown*; `null` and empty lists are *known to be none*.
 */

import type { FunctionFacts } from '../pci/facts.ts';

export const SNAPSHOT_VERSION = 1;

/** How the facts came: decides what an absent field may mean and which advice is given to learn more. */
export type SnapshotForm = 'live' | 'sysfs' | 'lspci' | 'hexdump';

/**
 * How much to read of a sysfs tree. `names`: ids, classes, drivers and the kernel's groups. `grouping`: also
 * configuration space, links and firmware tables, all that forming groups needs. `all`: everything.
 */
export type Detail = 'names' | 'grouping' | 'all';

export interface Snapshot {
  ringfence: 'snapshot';
  version: typeof SNAPSHOT_VERSION;
  form: SnapshotForm;
  /** Board or product name, e.g. `ASRock X570 PG Velocita`. */
  board?: string;
  /** Machine architecture as uname prints it: `x86_64`, `aarch64`. */
  arch?: string;
  kernel: { release?: string; version?: string; cmdline?: string };
  devices: PciFacts[];
  /** Members of groups that are not PCI functions (platform, ACPI, AMBA …). */
  others: OtherFacts[];
  /** Groups as the kernel formed them; `undefined`: not known; empty: there are none. */
  groups?: GroupFacts[];
  /** IOMMU instances of /sys/class/iommu; `undefined`: not known; empty: there are none. */
  iommus?: IommuFacts[];
  /** ACPI tables that decide translation, lower-case hex, by signature: DMAR, IVRS, VIOT, IORT. */
  acpi: Record<string, string>;
  /** Addresses in the order of the kernel's device list (/proc/bus/pci/devices), where recorded. */
  deviceOrder?: string[];
  /** What the host uses its devices for; `undefined`: not known, as in everything not read from a running machine. */
  usage?: UsageFacts[];
  /** What the reader had to leave out or could not learn, one line each, for the report. */
  notes?: string[];
}

/** One PCI function. `driver: null` is "no driver bound". */
export interface PciFacts {
  /** Full address, lower case: `0000:01:00.0`; domains of more than four digits occur (VMD). */
  address: string;
  /** Below /sys/devices: `pci0000:00/0000:00:01.0/0000:01:00.0`. */
  path?: string;
  vendor?: number;
  device?: number;
  subsystemVendor?: number;
  subsystemDevice?: number;
  /** 24 bits: base class, sub-class, programming interface. */
  class?: number;
  revision?: number;
  config?: ConfigFacts;
  /** Decoded facts, where the source had words and no bytes. With `config` they are decoded from it. */
  said?: FunctionFacts;
  /** Names as the source printed them; used only where no pci.ids is at hand. */
  label?: string;
  driver?: string | null;
  driverOverride?: string | null;
  /** Kernel modules that claim the device (lspci -k, modalias). */
  modules?: string[];
  /** Address of the physical function; `null`: not a virtual function. */
  physfn?: string | null;
  /** Name of the IOMMU instance that translates it; `null`: none does. */
  iommu?: string | null;
  numaNode?: number;
  irq?: number;
  /** Reset methods the kernel offers, in its order (`reset_method`). */
  resetMethods?: string[];
  /**
   * Its node below /dev/vfio/devices, `vfio0`: there is one while a vfio driver has it. `null`: the kernel makes no
   * such nodes (no CONFIG_VFIO_DEVICE_CDEV). Absent too when no vfio driver has it.
   */
  vfioDevice?: string | null;
  powerState?: string;
  bootVga?: boolean;
  /** `removable` attribute: `fixed`, `removable`, `unknown`. Removable devices are not trusted. */
  removable?: string;
  /** Memory and I/O regions: start and inclusive end as hex text, flags. */
  resources?: { start: string; end: string; flags: string }[];
}

/** Configuration space: bytes that were read, and how long the kernel says it is. */
export interface ConfigFacts {
  /** Lower-case hex. Bytes past its end, up to `read`, are zero. */
  bytes: string;
  /** How many bytes were read: 64 without privilege, else 256 or 4096. */
  read: number;
  /** Size of the space as the kernel knows it (256 or 4096); absent: unknown. */
  size?: number;
}

export interface OtherFacts {
  name: string;
  /** Bus name below /sys/bus: `platform`, `acpi`, `amba` … */
  bus?: string;
  path?: string;
  driver?: string | null;
  iommu?: string | null;
}

export interface GroupFacts {
  id: number;
  /** `type` attribute: DMA, DMA-FQ, identity, blocked, unmanaged, unknown. */
  type?: string;
  name?: string;
  /** Lines of `reserved_regions`; absent: unknown. */
  reservedRegions?: { start: string; end: string; type: string }[];
  /** Link names in the kernel's `devices` directory, PCI addresses and others. */
  devices: string[];
}

export interface IommuFacts {
  /** Link name in /sys/class/iommu: dmar0, ivhd0, smmu3.0x…, 0000:00:01.0 (virtio). */
  name: string;
  /** VT-d attributes, hex text as sysfs shows them. */
  registers?: Record<string, string>;
  path?: string;
}

/**
 * `volume`: part of an array or volume, of which nothing need be mounted. `network`: the default route leads through
 * it; `route`: another route does. `display`: a monitor is connected. `input`: a keyboard or pointing device.
 */
export type UsageKind = 'root' | 'mount' | 'swap' | 'volume' | 'network' | 'route' | 'display' | 'input';

export interface UsageFacts {
  /** The PCI function it comes through; `null`: in use, and through which function cannot be told. */
  device: string | null;
  kind: UsageKind;
  /** Mount point, swap file, volume, interface of the route, connector, or what kind of input device. */
  detail: string;
  /** What hangs from the function: block device, network interface, USB port. */
  through?: string;
}

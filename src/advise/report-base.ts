/**
 * What all reports have in common.
 *
 * Ids are lower-case hex text as lspci prints them ("8086"), addresses are full. A field that is absent is not
 * known; `null` is known to be none.
 */

export const REPORT_VERSION = 1;

export interface Report<Kind extends string> {
  report: Kind;
  version: typeof REPORT_VERSION;
  host: HostLine;
}

/** Which machine a report speaks of. */
export interface HostLine {
  board?: string;
  arch?: string;
  kernel?: string;
  cmdline?: string;
  /** IOMMU instances by name. */
  iommus?: string[];
}

/** One device, as lists show it. */
export interface DeviceLine {
  /** PCI address, or the name of a device of another bus. */
  address: string;
  /** `pci`, or the bus of a device that is not PCI. */
  bus: string;
  /** Class and sub-class, four hex digits. */
  class?: string;
  progIf?: string;
  vendor?: string;
  device?: string;
  subsystemVendor?: string;
  subsystemDevice?: string;
  revision?: string;
  className?: string;
  vendorName?: string;
  deviceName?: string;
  driver?: string | null;
  iommu?: string | null;
  numaNode?: number;
}

export interface GroupLine {
  id: number;
  type?: string;
  name?: string;
  devices: DeviceLine[];
}

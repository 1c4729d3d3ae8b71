/**
 * Ringfence as a library. Everything a program may use is named here; what is not is no promise.
 *
 * @packageDocumentation
 */

// A machine in …
export { readHost, readLiveHost, type ReadOptions } from './host/read-host.ts';
export { writeSnapshot, type WriteOptions } from './host/writer.ts';
export { factsOf } from './host/facts.ts';
export { readPciIds } from './host/pci-ids.ts';
export type {
  ConfigFacts,
  Detail,
  GroupFacts,
  IommuFacts,
  OtherFacts,
  PciFacts,
  Snapshot,
  SnapshotForm,
} from './host/snapshot.ts';

// … its groups, and the reason for every one …
export { boot, type BootOptions } from './machine/boot.ts';
export { type GroupView, Machine, type RegionView } from './machine/machine.ts';
export type { Reason, Step } from './iommu/grouping/reason.ts';
export type { GroupingPolicy } from './iommu/grouping/policy.ts';
export { DEFAULT_POLICY, isPolicyName, POLICY_NAMES, type PolicyName } from './iommu/grouping/index.ts';

// … as reports, and in words.
export { Describer } from './advise/describe.ts';
export { diffReport } from './advise/diff.ts';
export { kernelList, predictedList } from './advise/list.ts';
export { reasonWords } from './advise/reason-words.ts';
export { selectDevice, selectDevices } from './advise/select.ts';
export { showReport } from './advise/show.ts';
export { verifyReport } from './advise/verify.ts';
export { whyReport } from './advise/why.ts';
export type * from './advise/report.ts';

// The model underneath: the kernel's own terms.
export { DeviceCore } from './device/core.ts';
export { Bus, type BusEvent } from './device/bus.ts';
export { Device } from './device/device.ts';
export type { Driver } from './device/driver.ts';
export { Iommu } from './iommu/iommu.ts';
export { Group } from './iommu/group.ts';
export { Domain, DomainType } from './iommu/domain.ts';
export type { IommuDriver, IommuInstance } from './iommu/driver.ts';
export { DisabledGroups } from './iommu/disabled.ts';
export { LegacyGroups } from './iommu/legacy.ts';
export { withUsbCompanions } from './iommu/usb-companion.ts';
export { MockDriver, MockIommu } from './iommu/drivers/mock.ts';
export type { ReservedRegion } from './iommu/reserved-region.ts';
export { ERRNO, type ErrnoName, InputError, KernelError } from './kernel/errors.ts';
export { Sysfs } from './kernel/sysfs.ts';
export { ReferenceTracker } from './kernel/reference.ts';
export { acsEnabled, type AcsVerdict, AcsContext } from './pci/acs.ts';
export { ConfigSpace } from './pci/config-space.ts';
export { decodeConfig } from './pci/decode.ts';
export type { FunctionFacts } from './pci/facts.ts';
export { PciDevice } from './pci/device.ts';
export { PciIds } from './pci/ids.ts';
export { PciTopology } from './pci/topology.ts';
export { type CommandLine, parseCommandLine } from './pci/command-line.ts';

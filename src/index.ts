/**
 * Ringfence as a library. Everything a program may use is named here; what is not is no promise.
 *
 * @packageDocumentation
 */

// What Linux promises.
export { type AbiEntry, type AbiField, type AbiFile, type AbiTree, entriesOf, fieldOf } from './abi/entry.ts';
export { AbiIndex, type AbiMatch } from './abi/index.ts';
export { parseAbiFile } from './abi/parse.ts';
export { htmlOf, markdownOf } from './abi/render.ts';
export { readAbiTree } from './abi/tree.ts';
export { findUndefined, type UndefinedFiles } from './abi/undefined.ts';
export { type AbiUse, findUses } from './abi/uses.ts';
// Verdicts, hand-over, exports.
export { checkReport } from './advise/check.ts';
// … as reports, and in words.
export { Describer } from './advise/describe.ts';
export { diffReport } from './advise/diff.ts';
export { exportReport } from './advise/export/export.ts';
export { EXPORTERS } from './advise/export/formats.ts';
export { goalReport } from './advise/goal.ts';
export { kernelList, predictedList } from './advise/list.ts';
export { planReport } from './advise/plan.ts';
export { DEFAULT_CHECK_POLICY } from './advise/policy.ts';
export { reasonWords } from './advise/reason-words.ts';
export type * from './advise/report.ts';
export { selectDevice, selectDevices } from './advise/select.ts';
export { showReport } from './advise/show.ts';
export { verifyReport } from './advise/verify.ts';
export { type WhatIfOptions, whatIf } from './advise/whatif.ts';
export { whyReport } from './advise/why.ts';
export { Bus, type BusEvent } from './device/bus.ts';
// The model underneath: the kernel's own terms.
export { DeviceCore } from './device/core.ts';
export { Device } from './device/device.ts';
export type { Driver } from './device/driver.ts';
export { factsOf } from './host/facts.ts';
export { readPciIds } from './host/pci-ids.ts';
// A machine in …
export { type ReadOptions, readHost, readLiveHost } from './host/read-host.ts';
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
export { type WriteOptions, writeSnapshot } from './host/writer.ts';
export { DisabledGroups } from './iommu/disabled.ts';
export { DeviceDma, DmaFault, type DmaFaultReason } from './iommu/dma.ts';
export { Domain, DomainType } from './iommu/domain.ts';
export type { IommuDriver, IommuInstance } from './iommu/driver.ts';
export { MockDriver, MockIommu } from './iommu/drivers/mock.ts';
export { FaultInjector } from './iommu/fault-injector.ts';
export { FrameRuns } from './iommu/frame-runs.ts';
export { Group } from './iommu/group.ts';
export { DEFAULT_POLICY, isPolicyName, POLICY_NAMES, type PolicyName } from './iommu/grouping/index.ts';
export type { GroupingPolicy } from './iommu/grouping/policy.ts';
export type { Reason, Step } from './iommu/grouping/reason.ts';
export { Iommu } from './iommu/iommu.ts';
export { LegacyGroups } from './iommu/legacy.ts';
export { AmdV1 } from './iommu/pagetable/amd-v1.ts';
export type { IoPageTable, Leaf, PageAccess, PageTable, WalkStep } from './iommu/pagetable/io-page-table.ts';
export { MockTable2K } from './iommu/pagetable/mock-table-2k.ts';
export { VtdSecondLevel } from './iommu/pagetable/vtd-second-level.ts';
export { type Backing, type FrameRange, PhysicalMemory } from './iommu/physical-memory.ts';
export { RegionType, type ReservedRegion } from './iommu/reserved-region.ts';
export { withUsbCompanions } from './iommu/usb-companion.ts';
// iommufd: what a program that has /dev/iommu open can do, in-process.
export { Access, type AccessOps } from './iommufd/access.ts';
export { Arena, type ArenaInit } from './iommufd/arena.ts';
export * as calls from './iommufd/calls/index.ts';
export { Context } from './iommufd/context.ts';
export { IommufdDevice } from './iommufd/device.ts';
export {
  type ContextPicture,
  describeContext,
  describeIommufd,
  type IommufdPicture,
} from './iommufd/dump.ts';
export { FaultQueue, type HwptPageResponse, type HwptPgfault } from './iommufd/fault-queue.ts';
export { HwptNested } from './iommufd/hwpt-nested.ts';
export { HwptPaging } from './iommufd/hwpt-paging.ts';
export { Ioas } from './iommufd/ioas.ts';
export { Iommufd, type IommufdInit } from './iommufd/iommufd.ts';
export { MemoryFile, type MemoryFileInit } from './iommufd/memory-file.ts';
export { IommufdObject, type ObjectType } from './iommufd/object.ts';
export type { Held, ObjectTable } from './iommufd/object-table.ts';
export { FileTable, type OpenFile, type OpenFiles } from './iommufd/open-files.ts';
export {
  makeProcess,
  makeUser,
  type Process,
  type ProcessCapability,
  type ProcessInit,
  type User,
} from './iommufd/process.ts';
export { ProcessMemory } from './iommufd/process-memory.ts';
export type { PageSource, UserMemory } from './iommufd/user-memory.ts';
export type * from './iommufd/vfio/bind-requests.ts';
export type { VfioDevice } from './iommufd/vfio/device.ts';
export type { VfioDeviceFile } from './iommufd/vfio/device-file.ts';
export type * from './iommufd/vfio/device-ops.ts';
export type { VfioGroup } from './iommufd/vfio/group.ts';
export type { VfioGroupFile, VfioGroupStatusRequest } from './iommufd/vfio/group-file.ts';
export { type VfioPciOptions, vfioPciDriver } from './iommufd/vfio/pci/driver.ts';
export { Vfio } from './iommufd/vfio/vfio.ts';
// Isolation: who forms groups, who owns them, how much is enough.
export { DisabledIsolation } from './isolation/disabled.ts';
export { isolate } from './isolation/isolate.ts';
export { Isolation } from './isolation/isolation.ts';
export { LACKS } from './isolation/lacks.ts';
export { IsolationManager } from './isolation/manager.ts';
export type { IsolationProvider } from './isolation/provider.ts';
export { ERRNO, type ErrnoName, InputError, KernelError } from './kernel/errors.ts';
export { ReferenceTracker } from './kernel/reference.ts';
export { Sysfs } from './kernel/sysfs.ts';
// … its groups, and the reason for every one …
export { type BootOptions, boot } from './machine/boot.ts';
export { changeText, type MachineChange, parseChange } from './machine/change.ts';
export { type GroupView, Machine, type RegionView } from './machine/machine.ts';
export { AcsContext, type AcsVerdict, acsEnabled } from './pci/acs.ts';
export { type CommandLine, parseCommandLine } from './pci/command-line.ts';
export { ConfigSpace } from './pci/config-space.ts';
export { decodeConfig } from './pci/decode.ts';
export { PciDevice } from './pci/device.ts';
export type { FunctionFacts } from './pci/facts.ts';
export { PciIds } from './pci/ids.ts';
export { PciTopology } from './pci/topology.ts';

/** What detection of IOMMUs is told of a snapshot, and registering what it finds. */

import type { Device } from '../device/device.ts';
import { hasGroups } from '../host/formed.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { ivrsAliasTable } from '../iommu/drivers/amdvi.ts';
import { detectIommus } from '../iommu/drivers/detect.ts';
import type { RecordedDevice } from '../iommu/drivers/input.ts';
import type { PolicyName } from '../iommu/grouping/index.ts';
import { createPolicy } from '../iommu/grouping/index.ts';
import type { Iommu } from '../iommu/iommu.ts';
import { KernelError } from '../kernel/errors.ts';
import type { AcsContext } from '../pci/acs.ts';
import type { CommandLine } from '../pci/command-line.ts';
import type { PciTopology } from '../pci/topology.ts';

/** Registers every IOMMU of the machine, each of which takes its devices; returns what was doubtful. */
export function registerIommus(
  iommu: Iommu,
  snapshot: Snapshot,
  model: {
    topology: PciTopology;
    acs: AcsContext;
    commandLine: CommandLine;
    policy: PolicyName;
    others: Iterable<Device>;
    /** Taken as on although the recorded kernel ran without. */
    on?: boolean;
  },
): string[] {
  const { topology, acs, commandLine, policy, others, on } = model;
  const aliasTable = ivrsAliasTable(snapshot.acpi);
  const pciPolicy = createPolicy(policy, {
    acs,
    groupMf: commandLine.iommu.groupMf,
    ...(aliasTable !== undefined && { aliasTable }),
    instanceOf: (device) => iommu.instances.find((instance) => instance.covers(device))?.name ?? 'the IOMMU',
    willBeGrouped: (device) => iommu.instances.some((instance) => instance.covers(device)),
  });
  const found = detectIommus({
    topology,
    acpi: snapshot.acpi,
    iommus: snapshot.iommus,
    commandLine,
    commandLineUnknown: snapshot.kernel.cmdline === undefined,
    arch: snapshot.arch,
    recorded: recordedDevices(snapshot),
    pciPolicy,
    assumeOn: on === true || !hasGroups(snapshot),
  });
  const notes = [...found.notes];
  for (const instance of found.instances) {
    if (instance.forcesStrict) iommu.setDmaStrict();
    try {
      iommu.registerDevice(instance);
    } catch (error) {
      // The drivers do not look at the answer either: the IOMMU is then simply not there.
      if (!(error instanceof KernelError)) throw error;
      notes.push(`${instance.name} was unregistered again: ${error.message}`);
    }
  }
  // VT-d takes devices that ACPI names only after all its units (`probe_acpi_namespace_devices`).
  for (const device of others) {
    try {
      iommu.probeDevice(device);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error; // The reason is kept with the device.
    }
  }
  return notes;
}

function recordedDevices(snapshot: Snapshot): Map<string, RecordedDevice> {
  const recorded = new Map<string, RecordedDevice>();
  for (const { address, iommu } of snapshot.devices) recorded.set(address, { iommu });
  for (const { name, iommu } of snapshot.others) recorded.set(name, { iommu });
  for (const group of snapshot.groups ?? []) {
    for (const name of group.devices) {
      recorded.set(name, { ...recorded.get(name), group: group.id, groupType: group.type });
    }
  }
  return recorded;
}

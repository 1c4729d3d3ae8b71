/** Which IOMMUs a machine has, in the order they are registered. */

import { parseDmar } from '../firmware/dmar.ts';
import { readTable } from '../firmware/read-table.ts';
import { AMD_NAME, amdDetected, detectAmd } from './amdvi.ts';
import { detectGeneric } from './generic-hardware.ts';
import { anyRecorded, type DetectInput, type Found } from './input.ts';
import { detectSmmu, isSmmuName } from './smmu.ts';
import { detectVirtio, isVirtioIommu } from './virtio.ts';
import { detectVtd, VTD_NAME } from './vtd.ts';

/**
 * The IOMMUs of a machine. A table decides what it describes; a recorded link to an IOMMU of another kind takes a
 * device out of it. Without any table, links and groups decide. None: the kernel had, or has, no IOMMU in use.
 *
 * Nothing is thrown for bad tables: what is wrong with them stands in `notes`.
 */
export function detectIommus(input: DetectInput): Found {
  const found: Found = { instances: [], notes: [] };
  for (const detect of [detectVtd, detectAmd, detectSmmu, detectVirtio]) {
    const { instances, notes } = detect(input);
    found.instances.push(...instances);
    found.notes.push(...notes);
  }
  const unknown = (input.iommus ?? [])
    .filter((iommu) => !VTD_NAME.test(iommu.name) && !AMD_NAME.test(iommu.name) && !isSmmuName(iommu.name))
    .filter((iommu) => !isVirtioIommu(input, iommu))
    .map(({ name }) => name);
  const last = found.instances.length === 0 && mustHaveOne(input);
  found.instances.push(...detectGeneric(input, unknown, last).instances);
  return found;
}

/** Devices have groups, or nobody looked, or it is asked what would be. */
function mustHaveOne(input: DetectInput): boolean {
  if (input.assumeOn || anyRecorded(input, ({ group }) => group !== undefined)) return true;
  const { commandLine, iommus, acpi } = input;
  const off = commandLine.iommu.off || ('DMAR' in acpi && commandLine.intelIommu.enabled === false);
  return iommus === undefined && !off && !('DMAR' in acpi) && !('IVRS' in acpi);
}

/**
 * Whether detection of the machine's IOMMU makes the kernel switch ACS on while it enumerates
 * (`pci_request_acs`). `undefined`: neither table nor recording tells.
 */
export function requestsAcs(input: DetectInput): boolean | undefined {
  const { acpi, commandLine, iommus } = input;
  if (commandLine.iommu.off) return false;
  // The AMD driver asks as soon as there is a table, before it looks into it, and even if it is told to stay off.
  if (amdDetected(input)) return true;
  if ('VIOT' in acpi) return true;
  if (detectVtd(input).instances.length > 0 || dmarOptsIn(acpi)) return true;
  if (iommus !== undefined) return iommus.length > 0;
  return 'DMAR' in acpi ? false : undefined;
}

/** `dmar_platform_optin`: firmware wants DMA protection, so ACS is asked for even if VT-d stays off. */
function dmarOptsIn(acpi: Readonly<Record<string, string>>): boolean {
  const dmar = readTable(acpi, 'DMAR', parseDmar);
  return dmar !== undefined && dmar.refused === undefined && dmar.optIn;
}

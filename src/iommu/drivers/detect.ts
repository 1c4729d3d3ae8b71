/** Which IOMMUs a machine has, in the order they are registered. */

import { AMD_NAME, detectAmd } from './amdvi.ts';
import { detectGeneric } from './generic-hardware.ts';
import { anyRecorded, type DetectInput, type Found, VTD_NAME } from './input.ts';
import { detectSmmu, isSmmuName } from './smmu.ts';
import { detectVirtio, isVirtioIommu } from './virtio.ts';
import { detectVtd } from './vtd.ts';

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

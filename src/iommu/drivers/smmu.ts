/**
 * Arm SMMU, versions 1 to 3. Which devices one translates stands in IORT or the device tree, in terms of stream
 * ids; here the recorded links tell.
 */

import { PciDevice } from '../../pci/device.ts';
import { GenericGrouping } from '../grouping/generic.ts';
import { StreamIdGrouping } from '../grouping/stream-id.ts';
import { RegionType, type ReservedRegion } from '../reserved-region.ts';
import { HardwareDriver } from './hardware.ts';
import type { DetectInput, Found } from './input.ts';
import { byFirstGroup, isLinked, LinkedIommu } from './linked.ts';

/** Pages of 4 KiB, 2 MiB and 1 GiB. */
const PAGE_SIZES = 0x4020_1000n;
/** Where software maps the doorbell of message signalled interrupts (`MSI_IOVA_BASE`). */
export const SOFTWARE_MSI_WINDOW: ReservedRegion = {
  start: 0x800_0000n,
  last: 0x80f_ffffn,
  type: RegionType.SoftwareMsi,
};

/** Names the drivers give: `smmu3.0x00004f8000000000`, `smmu.0x...`, `arm-smmu...`. */
const SMMU_NAME = /^(?:smmu3?\.|arm-smmu)/;
const SMMU_V3_NAME = /^(?:smmu3\.|arm-smmu-v3)/;

/** `arm_smmu_ops` of one generation. */
class SmmuDriver extends HardwareDriver {
  constructor(input: DetectInput, generation: 'v3' | 'v1/v2') {
    const streamsOf = (name: string) => input.recorded.get(name)?.streamIds;
    const byStream = new StreamIdGrouping((device) => streamsOf(device.name), {
      name: 'by kind of device',
      deviceGroup: (device, groupOf) =>
        (device instanceof PciDevice ? input.pciPolicy : new GenericGrouping()).deviceGroup(device, groupOf),
    });
    super({
      name: generation === 'v3' ? 'arm-smmu-v3' : 'arm-smmu',
      pageSizes: PAGE_SIZES,
      ...(generation === 'v3'
        ? { pciPolicy: input.pciPolicy }
        : { pciPolicy: byStream, otherPolicy: byStream }),
      statics: { identity: true, blocked: true },
      capabilities: ['cache-coherency', 'deferred-flush'],
    });
  }

  /** `arm_smmu_get_resv_regions` */
  getResvRegions(): ReservedRegion[] {
    return [SOFTWARE_MSI_WINDOW];
  }
}

/** SMMUs in the order their groups were numbered. */
export function detectSmmu(input: DetectInput): Found {
  const names = byFirstGroup(input, SMMU_NAME).map(({ name }) => name);
  const v3 = new SmmuDriver(input, 'v3');
  const older = new SmmuDriver(input, 'v1/v2');
  const instances = names.map(
    (name) =>
      new LinkedIommu(input, name, SMMU_V3_NAME.test(name) ? v3 : older, (device) =>
        isLinked(input, device, name, names.length === 1),
      ),
  );
  return { instances, notes: [] };
}

/** Whether a name below /sys/class/iommu is that of an SMMU. */
export function isSmmuName(name: string): boolean {
  return SMMU_NAME.test(name);
}

/**
 * Hardware nobody described: an entry of /sys/class/iommu of unknown kind, or a machine of which only the groups
 * are known, or not even those. PCI functions are grouped by topology, as nearly every driver does.
 */

import type { Device } from '../../device/device.ts';
import { DomainType, type WantedType } from '../domain.ts';
import { isIommuFunction } from './amdvi.ts';
import { HardwareDriver } from './hardware.ts';
import { anyRecorded, type DetectInput, type Found } from './input.ts';
import { isLinked, LinkedIommu } from './linked.ts';

const PAGE_SIZES = 0x4020_1000n;
const TYPES: Readonly<Record<string, WantedType>> = {
  DMA: DomainType.Dma,
  identity: DomainType.Identity,
};

class GenericDriver extends HardwareDriver {
  readonly #input: DetectInput;

  constructor(input: DetectInput) {
    super({
      name: 'generic',
      pageSizes: PAGE_SIZES,
      pciPolicy: input.pciPolicy,
      statics: { identity: true, blocked: true },
      capabilities: ['cache-coherency', 'deferred-flush'],
    });
    this.#input = input;
  }

  /** What an unknown driver wants is only known by what came of it. */
  defDomainType(device: Device): WantedType {
    return TYPES[this.#input.recorded.get(device.name)?.groupType ?? ''] ?? 0;
  }
}

/**
 * @param unknown names below /sys/class/iommu that no other driver claims
 * @param last whether nothing else was found, so that something has to stand for the IOMMU there must be
 */
export function detectGeneric(input: DetectInput, unknown: readonly string[], last: boolean): Found {
  const driver = new GenericDriver(input);
  const named = unknown.map(
    (name) =>
      new LinkedIommu(input, name, driver, (device) =>
        isLinked(input, device, name, last && unknown.length === 1),
      ),
  );
  if (named.length > 0 || !last) return { instances: named, notes: [] };
  return { instances: [new LinkedIommu(input, 'iommu', driver, coverage(input))], notes: [] };
}

/** Devices with a group, as far as groups are known; else every function but the IOMMU itself. */
function coverage(input: DetectInput): (device: Device) => boolean {
  const grouped = anyRecorded(input, ({ group }) => group !== undefined);
  if (grouped) return (device) => input.recorded.get(device.name)?.group !== undefined;
  return (device) => !isIommuFunction(device);
}

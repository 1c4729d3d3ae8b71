/** IOMMUs that no table describes: what they translate is what was recorded of each device. */

import type { Device } from '../../device/device.ts';
import type { IommuDriver } from '../driver.ts';
import type { DetectedIommu, DetectInput, RecordedIommu } from './input.ts';
import { interruptIsolation } from './interrupt-remapping.ts';

/**
 * Whether a device is translated by the IOMMU called `name`: its link says so, or, where links were not recorded,
 * that it has a group and `name` is the only IOMMU that can be meant.
 */
export function isLinked(input: DetectInput, device: Device, name: string, onlyOne: boolean): boolean {
  const recorded = input.recorded.get(device.name);
  if (recorded?.iommu !== undefined) return recorded.iommu === name;
  return onlyOne && recorded?.group !== undefined;
}

/**
 * Recorded IOMMUs whose name fits, in the order their lowest group numbers tell: who is registered first numbers
 * first. Those without groups follow, by number in their name.
 */
export function byFirstGroup(input: DetectInput, pattern: RegExp): RecordedIommu[] {
  const first = new Map<string, number>();
  for (const { iommu, group } of input.recorded.values()) {
    if (typeof iommu !== 'string' || group === undefined) continue;
    first.set(iommu, Math.min(first.get(iommu) ?? group, group));
  }
  const place = ({ name }: RecordedIommu) => first.get(name) ?? Number.MAX_SAFE_INTEGER;
  return (input.iommus ?? [])
    .filter(({ name }) => pattern.test(name))
    .sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name, 'en', { numeric: true }));
}

export class LinkedIommu implements DetectedIommu {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly forcesStrict = false;
  readonly #covers: (device: Device) => boolean;
  readonly #isolatedMsi: boolean | undefined;

  constructor(input: DetectInput, name: string, driver: IommuDriver, covers: (device: Device) => boolean) {
    this.name = name;
    this.driver = driver;
    this.#covers = covers;
    this.#isolatedMsi = interruptIsolation(input).isolated;
  }

  covers(device: Device): boolean {
    return this.#covers(device);
  }

  whyNotCovered(): string {
    return 'the recording shows it untranslated';
  }

  isolatedMsi(): boolean | undefined {
    return this.#isolatedMsi;
  }
}

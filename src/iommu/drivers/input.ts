/** What detection of IOMMUs is told of a machine: plain facts, whoever recorded them, and its topology. */

import type { CommandLine } from '../../pci/command-line.ts';
import type { PciTopology } from '../../pci/topology.ts';
import type { IommuInstance } from '../driver.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';

/** Names the VT-d driver gives its units. */
export const VTD_NAME = /^dmar\d+$/;

/** What the kernel made of one device when it was recorded. Absent: unknown. */
export interface RecordedDevice {
  /** Name of the IOMMU that translated it; `null`: none did. */
  iommu?: string | null | undefined;
  group?: number | undefined;
  /** Word of its group's `type` file. */
  groupType?: string | undefined;
  /** Stream ids on its SMMU, where the source knows them. */
  streamIds?: readonly number[] | undefined;
}

/** An entry of /sys/class/iommu. */
export interface RecordedIommu {
  name: string;
  path?: string | undefined;
  /** Register attributes below it, hex text: `cap`, `ecap`, `features`. */
  registers?: Readonly<Record<string, string>> | undefined;
}

export interface DetectInput {
  topology: PciTopology;
  /** ACPI tables by signature, hex: DMAR, IVRS, VIOT. */
  acpi: Readonly<Record<string, string>>;
  /** Absent: not known. Empty: there was none. */
  iommus?: readonly RecordedIommu[] | undefined;
  commandLine: CommandLine;
  /** True: `commandLine` is empty because nobody recorded it. */
  commandLineUnknown?: boolean | undefined;
  /** As uname prints it. */
  arch?: string | undefined;
  /** By device name, PCI or not. */
  recorded: ReadonlyMap<string, RecordedDevice>;
  /** How PCI functions are grouped, for every driver that leaves it to the topology. */
  pciPolicy: GroupingPolicy;
  /** Takes IOMMUs as on although the machine ran without: what would be if they were. */
  assumeOn?: boolean | undefined;
}

/** An IOMMU that was found. */
export interface DetectedIommu extends IommuInstance {
  /** Its driver calls `iommu_set_dma_strict()` before it is registered. */
  readonly forcesStrict: boolean;
}

/** What a driver's detection found out. */
export interface Found {
  /** In the order they are registered. */
  instances: DetectedIommu[];
  /** Doubts and refusals, one line each, for the report. */
  notes: string[];
}

/** Whether the recording tells of any device which IOMMU or which group it has. */
export function anyRecorded(input: DetectInput, test: (device: RecordedDevice) => boolean): boolean {
  for (const device of input.recorded.values()) if (test(device)) return true;
  return false;
}

/** A register attribute as a number; sysfs writes plain hex. */
export function register(iommu: RecordedIommu | undefined, name: string): bigint | undefined {
  const text = iommu?.registers?.[name]?.trim().replace(/^0x/i, '');
  return text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** What of an IOMMU makes its driver flush strictly, as virtual hardware has it. */
export interface Strictness {
  /** Name of the IOMMU. */
  name: string;
  /** What its registers say; `undefined`: they were not recorded, or do not tell by themselves. */
  forced: boolean | undefined;
  /** Taken where neither registers nor types of groups tell. */
  otherwise?: boolean;
  translates(device: string): boolean;
}

/**
 * Whether a driver calls `iommu_set_dma_strict()` for an IOMMU. Where its registers do not tell the effect does:
 * groups that are all `DMA`, with nothing on the command line that says so, can have no other cause.
 */
export function forcesStrict(input: DetectInput, strict: Strictness, notes: string[]): boolean {
  if (strict.forced !== undefined) return strict.forced;
  const { iommuStrict, iommuPassthrough } = input.commandLine;
  if (iommuStrict !== undefined || iommuPassthrough) return false;
  let seen = false;
  for (const [name, { groupType }] of input.recorded) {
    if (groupType === undefined || !strict.translates(name)) continue;
    if (groupType === 'DMA-FQ') return false;
    if (groupType === 'DMA') seen = true;
  }
  if (seen) notes.push(`${strict.name}: taken to flush strictly, since all its groups are of type DMA`);
  return seen || strict.otherwise === true;
}

/** Whether a bit of a register is set; `undefined`: the register was not recorded. */
export function bitOf(value: bigint | undefined, bit: bigint): boolean | undefined {
  return value === undefined ? undefined : (value & bit) !== 0n;
}

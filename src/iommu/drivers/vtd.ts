/** Intel VT-d: units of the DMAR table, the devices they translate, and what their driver asks for. */

import type { Bus } from '../../device/bus.ts';
import type { Device } from '../../device/device.ts';
import { PciDevice } from '../../pci/device.ts';
import { DomainType, type WantedType } from '../domain.ts';
import type { IommuDriver } from '../driver.ts';
import { type Dmar, type DmarUnit, parseDmar } from '../firmware/dmar.ts';
import { readTable } from '../firmware/read-table.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';
import { RegionType, type ReservedRegion } from '../reserved-region.ts';
import { HardwareDriver } from './hardware.ts';
import {
  anyRecorded,
  bitOf,
  type DetectedIommu,
  type DetectInput,
  type Found,
  forcesStrict,
  type RecordedIommu,
  register,
  VTD_NAME,
} from './input.ts';
import { interruptIsolation } from './interrupt-remapping.ts';
import { byFirstGroup } from './linked.ts';
import { VtdCoverage } from './vtd-coverage.ts';

/** Pages of 4 KiB, 2 MiB and 1 GiB. */
const PAGE_SIZES = 0x4020_1000n;
/** Message signalled interrupts of x86. */
const MSI_WINDOW: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
/** Floppy controllers behind ISA bridges reach the first 16 MiB (`CONFIG_INTEL_IOMMU_FLOPPY_WA`). */
const ISA_WINDOW: ReservedRegion = { start: 0n, last: 0xff_ffffn, type: RegionType.DirectRelaxable };

const CLASS_ISA_BRIDGE = 0x0601;
const CLASS_USB = 0x0c03;
const DISPLAY = 0x03;
const INTEL = 0x8086;
const CAP_CACHING_MODE = 1n << 7n;
const ECAP_PASS_THROUGH = 1n << 6n;
const ECAP_SCALABLE_MODE = 1n << 43n;
const ECAP_SECOND_LEVEL = 1n << 46n;
const ECAP_FIRST_LEVEL = 1n << 47n;

/** `intel_iommu_ops`. */
class VtdDriver extends HardwareDriver {
  readonly #coverage: VtdCoverage | undefined;
  readonly #bypassGraphics: boolean;
  readonly #canPassThrough: (device: Device) => boolean | undefined;

  constructor(
    pciPolicy: GroupingPolicy,
    coverage: VtdCoverage | undefined,
    bypassGraphics: boolean,
    canPassThrough: (device: Device) => boolean | undefined,
  ) {
    super({
      name: 'intel',
      pageSizes: PAGE_SIZES,
      pciPolicy,
      statics: { identity: true, blocked: true, release: true },
      capabilities: ['cache-coherency', 'deferred-flush'],
    });
    this.#coverage = coverage;
    this.#bypassGraphics = bypassGraphics;
    this.#canPassThrough = canPassThrough;
  }

  /** `device_def_domain_type` */
  defDomainType(device: Device): WantedType {
    if (this.#canPassThrough(device) === false) return DomainType.Dma;
    const integrated = device instanceof PciDevice && device.vendor === INTEL && device.pciBus.isRoot;
    return this.#bypassGraphics && integrated && isClass(device, DISPLAY) ? DomainType.Identity : 0;
  }

  /** `intel_iommu_get_resv_regions` */
  getResvRegions(device: Device): ReservedRegion[] {
    if (!(device instanceof PciDevice)) return [MSI_WINDOW];
    const relaxable = isClass(device, DISPLAY) || (device.class ?? 0) >>> 8 === CLASS_USB;
    const type = relaxable ? RegionType.DirectRelaxable : RegionType.Direct;
    const regions: ReservedRegion[] = (this.#coverage?.reservedFor(device) ?? []).map(({ start, last }) => ({
      start,
      last,
      type,
    }));
    if ((device.class ?? 0) >>> 8 === CLASS_ISA_BRIDGE) regions.push(ISA_WINDOW);
    regions.push(MSI_WINDOW);
    return regions;
  }
}

/** One unit, or a name of which no table tells what it covers. */
class VtdUnit implements DetectedIommu {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly forcesStrict: boolean;
  readonly #covers: (device: Device) => boolean;
  readonly #why: (device: Device) => string | undefined;
  readonly #isolatedMsi: boolean | undefined;

  constructor(init: {
    name: string;
    driver: IommuDriver;
    forcesStrict: boolean;
    covers(device: Device): boolean;
    why?(device: Device): string | undefined;
    isolatedMsi: boolean | undefined;
  }) {
    this.name = init.name;
    this.driver = init.driver;
    this.forcesStrict = init.forcesStrict;
    this.#covers = init.covers;
    this.#why = init.why ?? (() => undefined);
    this.#isolatedMsi = init.isolatedMsi;
  }

  covers(device: Device): boolean {
    return this.#covers(device);
  }

  whyNotCovered(device: Device): string | undefined {
    return this.#why(device);
  }

  /** Devices of the ACPI namespace are probed one by one once all units are registered. */
  probeOrder(_bus: Bus, devices: readonly Device[]): readonly Device[] {
    return devices.filter((device) => device instanceof PciDevice);
  }

  isolatedMsi(): boolean | undefined {
    return this.#isolatedMsi;
  }
}

/**
 * `detect_intel_iommu` and `intel_iommu_init`: units in the order they are registered, none if the kernel leaves
 * VT-d off.
 */
export function detectVtd(input: DetectInput): Found {
  const found: Found = { instances: [], notes: [] };
  if (!isOn(input)) return found;
  const dmar = readTable(input.acpi, 'DMAR', parseDmar, found.notes);
  if (dmar === undefined) return { ...found, instances: linkedUnits(input, found.notes) };

  const coverage = new VtdCoverage(dmar, input.topology, input.commandLine.intelIommu.igfxOff);
  const [mismatch] = coverage.mismatches;
  // Where the recorded kernel did use VT-d, it did not see what we take for a reason to leave it off.
  const used = anyRecorded(input, ({ iommu }) => typeof iommu === 'string' && VTD_NAME.test(iommu));
  const refused = dmar.refused ?? (mismatch && `the table takes ${mismatch.name} for another kind of device`);
  if (refused !== undefined) {
    found.notes.push(`DMAR: the kernel does not use this table: ${refused}`);
    if (!used) return found;
  }
  found.instances = tableUnits(input, dmar, coverage, found.notes);
  return found;
}

/** `dmar_disabled` and friends: what was recorded counts before the command line, that before how kernels are built. */
function isOn({ iommus, commandLine, assumeOn, recorded, acpi }: DetectInput): boolean {
  const named = iommus?.some(({ name }) => VTD_NAME.test(name)) === true;
  if (assumeOn || named) return assumeOn ? 'DMAR' in acpi || named : true;
  if (commandLine.iommu.off || commandLine.intelIommu.enabled === false) return false;
  if (iommus !== undefined) return false;
  if (!('DMAR' in acpi)) return false;
  const grouped = [...recorded.values()].filter(
    (device) => device.group !== undefined || device.iommu !== undefined,
  );
  return commandLine.intelIommu.enabled === true || grouped.length > 0;
}

function tableUnits(input: DetectInput, dmar: Dmar, coverage: VtdCoverage, notes: string[]): DetectedIommu[] {
  const nameOf = new Map<DmarUnit, string>(dmar.units.map((unit, index) => [unit, `dmar${index}`]));
  const known = (unit: DmarUnit) => input.iommus?.find(({ name }) => name === nameOf.get(unit));
  const unitOf = (device: Device): DmarUnit | undefined => {
    const link = input.recorded.get(device.name)?.iommu;
    // Hardware of another kind that the table does not know of translates it.
    if (typeof link === 'string' && !VTD_NAME.test(link)) return undefined;
    if (device instanceof PciDevice) return coverage.lookup(device).unit;
    return dmar.units.find((unit) => nameOf.get(unit) === link);
  };
  const canPassThrough = (device: Device) => {
    const unit = unitOf(device);
    const ecap = unit && register(known(unit), 'ecap');
    return ecap === undefined ? undefined : (ecap & ECAP_PASS_THROUGH) !== 0n;
  };
  const bypassGraphics = input.commandLine.intelIommu.mapIntegratedGraphics === false;
  const driver = new VtdDriver(input.pciPolicy, coverage, bypassGraphics, canPassThrough);
  const units: DetectedIommu[] = [];
  const active = coverage.units.filter((unit) => coverage.ignored(unit) === undefined);
  const firstLevel = firstLevelByDefault(input, active.map(known));
  const isolatedMsi = interruptIsolation(input).isolated;
  for (const unit of active) {
    const name = nameOf.get(unit) ?? '';
    units.push(
      new VtdUnit({
        name,
        driver,
        forcesStrict: forcesStrict(
          input,
          {
            name,
            ...strictness(known(unit), firstLevel),
            translates: (member) => {
              const device = input.topology.find(member);
              return device !== undefined && unitOf(device) === unit;
            },
          },
          notes,
        ),
        covers: (device) => unitOf(device) === unit,
        why: (device) => (device instanceof PciDevice ? whyNot(coverage, device) : undefined),
        isolatedMsi,
      }),
    );
  }
  return units;
}

function whyNot(coverage: VtdCoverage, device: PciDevice): string | undefined {
  const lookup = coverage.lookup(device);
  return lookup.unit === undefined ? lookup.why : 'another unit translates it';
}

/** Units known by name only: what they cover is what was linked to them. */
function linkedUnits(input: DetectInput, notes: string[]): DetectedIommu[] {
  const driver = new VtdDriver(input.pciPolicy, undefined, false, () => undefined);
  const recorded = byFirstGroup(input, VTD_NAME);
  const firstLevel = firstLevelByDefault(input, recorded);
  const isolatedMsi = interruptIsolation(input).isolated;
  return recorded.map((iommu) => {
    const { name } = iommu;
    const linked = (member: string) => input.recorded.get(member)?.iommu === name;
    return new VtdUnit({
      name,
      driver,
      forcesStrict: forcesStrict(
        input,
        { name, ...strictness(iommu, firstLevel), translates: linked },
        notes,
      ),
      covers: (device) => linked(device.name),
      isolatedMsi,
    });
  });
}

/** A unit that caches what is not there flushes strictly, unless DMA is translated by first-level tables. */
function strictness(unit: RecordedIommu | undefined, firstLevel: boolean | undefined) {
  const caching = bitOf(register(unit, 'cap'), CAP_CACHING_MODE);
  if (caching !== true) return { forced: caching };
  // Units that could do without are few: by themselves they are taken not to.
  return { forced: firstLevel === undefined ? undefined : !firstLevel, otherwise: true };
}

/** `first_level_by_default` for DMA domains; it takes all units being able. `undefined`: not known. */
function firstLevelByDefault(
  { commandLine }: DetectInput,
  units: readonly (RecordedIommu | undefined)[],
): boolean | undefined {
  const { scalableMode } = commandLine.intelIommu;
  const ecaps = units.map((unit) => register(unit, 'ecap'));
  const all = (bit: bigint): boolean | undefined => {
    const answers = ecaps.map((ecap) => bitOf(ecap, bit));
    return answers.includes(false) ? false : answers.includes(undefined) ? undefined : true;
  };
  const scalable = scalableMode === false ? false : all(ECAP_SCALABLE_MODE);
  if (scalable === false) return false;
  const [first, second] = [all(ECAP_FIRST_LEVEL), all(ECAP_SECOND_LEVEL)];
  if (first === false && second === true) return false;
  return scalable && scalableMode && first !== undefined && second !== undefined ? true : undefined;
}

function isClass(device: PciDevice, base: number): boolean {
  return device.class !== undefined && device.class >>> 16 === base;
}

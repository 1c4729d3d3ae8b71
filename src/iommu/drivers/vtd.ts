/** Intel VT-d: units of the DMAR table, the devices they translate, and what their driver asks for. */

import type { Bus } from '../../device/bus.ts';
import type { Device } from '../../device/device.ts';
import { PciDevice } from '../../pci/device.ts';
import type { IommuDriver } from '../driver.ts';
import { type Dmar, type DmarUnit, parseDmar } from '../firmware/dmar.ts';
import { readTable } from '../firmware/read-table.ts';
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
import { VtdDriver } from './vtd-driver.ts';
import { Cap, Ecap } from './vtd-registers.ts';

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
  const bypassGraphics = input.commandLine.intelIommu.mapIntegratedGraphics === false;
  const active = coverage.units.filter((unit) => coverage.ignored(unit) === undefined);
  const driver = new VtdDriver({
    pciPolicy: input.pciPolicy,
    coverage,
    bypassGraphics,
    scalableMode: input.commandLine.intelIommu.scalableMode !== false,
    registers: {
      all: (name) => active.map((unit) => register(known(unit), name)),
      of: (device, name) => {
        const unit = unitOf(device);
        return unit && register(known(unit), name);
      },
    },
  });
  const units: DetectedIommu[] = [];
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
  const recorded = byFirstGroup(input, VTD_NAME);
  const driver = new VtdDriver({
    pciPolicy: input.pciPolicy,
    coverage: undefined,
    bypassGraphics: false,
    scalableMode: input.commandLine.intelIommu.scalableMode !== false,
    registers: {
      all: (name) => recorded.map((unit) => register(unit, name)),
      of: (device, name) => {
        const link = input.recorded.get(device.name)?.iommu;
        const unit = recorded.find((each) => each.name === link);
        return register(unit, name);
      },
    },
  });
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
  const caching = bitOf(register(unit, 'cap'), Cap.CachingMode);
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
  const scalable = scalableMode === false ? false : all(Ecap.ScalableMode);
  if (scalable === false) return false;
  const [first, second] = [all(Ecap.FirstLevel), all(Ecap.SecondLevel)];
  if (first === false && second === true) return false;
  return scalable && scalableMode && first !== undefined && second !== undefined ? true : undefined;
}

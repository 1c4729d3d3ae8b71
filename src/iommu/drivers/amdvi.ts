/** AMD-Vi: IOMMUs of the IVRS table, the ids they translate, and what their driver asks for. */

import type { Device } from '../../device/device.ts';
import { PciDevice } from '../../pci/device.ts';
import type { IommuDriver } from '../driver.ts';
import { parseIvrs } from '../firmware/ivrs.ts';
import { readTable } from '../firmware/read-table.ts';
import { AmdDriver, AmdTables } from './amdvi-driver.ts';
import { type DetectedIommu, type DetectInput, type Found, forcesStrict, register } from './input.ts';
import { byFirstGroup } from './linked.ts';

/** Capability header: the IOMMU may cache entries that are not present, so it is a virtual one. */
const CAP_NP_CACHE = 1n << 26n;
const FEATURE_PPR = 1n << 1n;
const FEATURE_GT = 1n << 4n;
const IOMMU_CLASS = 0x0806;

/** Names the driver gives its units. */
export const AMD_NAME = /^ivhd\d+$/;

/** One IOMMU. */
class AmdUnit implements DetectedIommu {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly device?: Device;
  readonly forcesStrict: boolean;
  readonly #covers: (device: Device) => boolean;
  readonly #why: (device: Device) => string;

  constructor(init: {
    name: string;
    driver: IommuDriver;
    device: Device | undefined;
    forcesStrict: boolean;
    covers(device: Device): boolean;
    why(device: Device): string;
  }) {
    this.name = init.name;
    this.driver = init.driver;
    if (init.device !== undefined) this.device = init.device;
    this.forcesStrict = init.forcesStrict;
    this.#covers = init.covers;
    this.#why = init.why;
  }

  covers(device: Device): boolean {
    return this.#covers(device);
  }

  whyNotCovered(device: Device): string {
    return this.#why(device);
  }

  isolatedMsi(): boolean {
    return true;
  }
}

/** `amd_iommu_detect` and `amd_iommu_init`: units in IVRS order, none if the kernel leaves AMD-Vi off. */
export function detectAmd(input: DetectInput): Found {
  const found: Found = { instances: [], notes: [] };
  if (!isOn(input)) return found;
  const ivrs = readTable(input.acpi, 'IVRS', parseIvrs, found.notes);
  if (ivrs === undefined) return { ...found, instances: linkedUnits(input, found.notes) };
  if (ivrs.refused !== undefined) {
    found.notes.push(`IVRS: the kernel does not use this table: ${ivrs.refused}`);
    if (!input.iommus?.some(({ name }) => AMD_NAME.test(name))) return found;
  }
  found.instances = tableUnits(input, new AmdTables(ivrs), found.notes);
  return found;
}

const ATI = 0x1002;
const STONEY_GRAPHICS = 0x98e4;

/** `detect_ivrs`: there is a table, and no Stoney Ridge graphics, on which it does not work. */
export function amdDetected({ acpi, topology, commandLine }: DetectInput): boolean {
  if (!('IVRS' in acpi)) return false;
  const devices = topology.findBus(0, 0)?.devices ?? [];
  const stoney = devices.some(
    ({ vendor, device, func }) => vendor === ATI && device === STONEY_GRAPHICS && func === 0,
  );
  return !stoney || commandLine.amdIommu.forceEnable;
}

/** The IVRS alias table, for the 2012 policy (`amd_iommu_alias_table`); absent: there is no table. */
export function ivrsAliasTable(
  acpi: Readonly<Record<string, string>>,
): ((segment: number, requesterId: number) => number) | undefined {
  const ivrs = readTable(acpi, 'IVRS', parseIvrs);
  if (ivrs === undefined) return undefined;
  const tables = new AmdTables(ivrs);
  return (segment, requesterId) => tables.segment(segment)?.aliasOf(requesterId) ?? requesterId;
}

function isOn(input: DetectInput): boolean {
  const { iommus, commandLine, assumeOn } = input;
  const named = iommus?.some(({ name }) => AMD_NAME.test(name)) === true;
  if (named) return true;
  if (!amdDetected(input)) return false;
  if (assumeOn) return true;
  return !commandLine.iommu.off && !commandLine.amdIommu.off && iommus === undefined;
}

function tableUnits(input: DetectInput, tables: AmdTables, notes: string[]): DetectedIommu[] {
  const known = (index: number) => input.iommus?.find(({ name }) => name === `ivhd${index}`);
  const features = tables.units[0]?.features ?? featureRegister(known(0)?.registers?.features);
  const driver = new AmdDriver(input.pciPolicy, tables, identityForPasid(input, features));
  const unitOf = (device: Device) => {
    const link = input.recorded.get(device.name)?.iommu;
    return typeof link === 'string' && !AMD_NAME.test(link) ? undefined : tables.unitOf(device);
  };
  return tables.units.map((unit, index) => {
    const device = input.topology.findBus(unit.segment, unit.deviceId >> 8)?.deviceAt(unit.deviceId & 0xff);
    const capability = device?.facts.iommuCapability ?? undefined;
    const cap = capability === undefined ? register(known(index), 'cap') : BigInt(capability);
    return new AmdUnit({
      name: `ivhd${index}`,
      driver,
      device,
      forcesStrict: forcesStrict(
        input,
        {
          name: `ivhd${index}`,
          value: cap,
          bit: CAP_NP_CACHE,
          translates: (name) => {
            const member = input.topology.find(name);
            return member !== undefined && unitOf(member) === index;
          },
        },
        notes,
      ),
      covers: (candidate) => unitOf(candidate) === index,
      why: (candidate) => {
        if (candidate === device) return 'it is the IOMMU itself';
        return unitOf(candidate) === undefined ? 'IVRS does not list its id' : 'another IOMMU translates it';
      },
    });
  });
}

/** Units known by name only: what they cover is what was linked to them. */
function linkedUnits(input: DetectInput, notes: string[]): DetectedIommu[] {
  const driver = new AmdDriver(input.pciPolicy, undefined, false);
  return byFirstGroup(input, AMD_NAME).map((iommu) => {
    const linked = (name: string) => input.recorded.get(name)?.iommu === iommu.name;
    return new AmdUnit({
      name: iommu.name,
      driver,
      device: undefined,
      forcesStrict: forcesStrict(
        input,
        { name: iommu.name, value: register(iommu, 'cap'), bit: CAP_NP_CACHE, translates: linked },
        notes,
      ),
      covers: (device) => linked(device.name),
      why: (device) =>
        isIommuFunction(device) ? 'it is an IOMMU itself' : 'the recording shows it untranslated',
    });
  });
}

/** The function of an AMD IOMMU. */
export function isIommuFunction(device: Device): boolean {
  return device instanceof PciDevice && (device.class ?? 0) >>> 8 === IOMMU_CLASS;
}

/** sysfs has `features` as one number, or two with a colon; the first is the feature register. */
function featureRegister(text: string | undefined): bigint | undefined {
  const first = text?.trim().split(':')[0];
  return first !== undefined && /^[0-9a-f]{1,16}$/i.test(first) ? BigInt(`0x${first}`) : undefined;
}

/** Devices with PASIDs are passed through where the IOMMU can serve them, memory is not encrypted, and nobody forbids it. */
function identityForPasid({ commandLine }: DetectInput, features: bigint | undefined): boolean {
  if (features === undefined || (features & FEATURE_GT) === 0n || (features & FEATURE_PPR) === 0n)
    return false;
  return !commandLine.amdIommu.forceIsolation || commandLine.iommuPassthrough === true;
}

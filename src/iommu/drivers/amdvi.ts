/** AMD-Vi: IOMMUs of the IVRS table, the ids they translate, and what their driver asks for. */

import type { Device } from '../../device/device.ts';
import { PciDevice } from '../../pci/device.ts';
import { ClassCode, hasClass } from '../../pci/numbers.ts';
import type { IommuDriver } from '../driver.ts';
import { type Ivrs, parseIvrs } from '../firmware/ivrs.ts';
import { readTable } from '../firmware/read-table.ts';
import { AmdDriver, AmdTables } from './amdvi-driver.ts';
import { bitOf, type DetectedIommu, type DetectInput, type Found, forcesStrict, register } from './input.ts';
import { interruptIsolation } from './interrupt-remapping.ts';
import { byFirstGroup } from './linked.ts';

/** Capability header: the IOMMU may cache entries that are not present, so it is a virtual one. */
const CAP_NP_CACHE = 1n << 26n;
const FEATURE_PPR = 1n << 1n;
const FEATURE_GT = 1n << 4n;
const FEATURE_EPHSUP = 1n << 50n;
const PASID_FEATURES = FEATURE_PPR | FEATURE_GT | FEATURE_EPHSUP;
/** IVinfo: the feature registers that IVHD blocks have copies of are to be trusted. */
const IVINFO_EFR_SUPPORTED = 1;

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
  readonly #isolatedMsi: boolean | undefined;

  constructor(init: {
    name: string;
    driver: IommuDriver;
    device: Device | undefined;
    forcesStrict: boolean;
    covers(device: Device): boolean;
    why(device: Device): string;
    isolatedMsi: boolean | undefined;
  }) {
    this.name = init.name;
    this.driver = init.driver;
    if (init.device !== undefined) this.device = init.device;
    this.forcesStrict = init.forcesStrict;
    this.#covers = init.covers;
    this.#why = init.why;
    this.#isolatedMsi = init.isolatedMsi;
  }

  covers(device: Device): boolean {
    return this.#covers(device);
  }

  whyNotCovered(device: Device): string {
    return this.#why(device);
  }

  isolatedMsi(): boolean | undefined {
    return this.#isolatedMsi;
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
  found.instances = tableUnits(input, ivrs, found.notes);
  return found;
}

const ATI = 0x1002;
const STONEY_GRAPHICS = 0x98e4;

/** `detect_ivrs`: there is a table, and no Stoney Ridge graphics, on which it does not work. */
function amdDetected({ acpi, topology, commandLine }: DetectInput): boolean {
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

function tableUnits(input: DetectInput, ivrs: Ivrs, notes: string[]): DetectedIommu[] {
  const tables = new AmdTables(ivrs);
  const known = (index: number) => input.iommus?.find(({ name }) => name === `ivhd${index}`);
  const features = featureRegister(known(0)?.registers?.features) ?? featuresOfTable(ivrs, tables);
  const passPasid = identityForPasid(input, features);
  const driver = new AmdDriver(input.pciPolicy, tables, passPasid, features);
  const isolatedMsi = interruptIsolation(input).isolated;
  const unitOf = (device: Device) => {
    const link = input.recorded.get(device.name)?.iommu;
    return typeof link === 'string' && !AMD_NAME.test(link) ? undefined : tables.unitOf(device);
  };
  if (passPasid) noteUnknownPasids(input, unitOf, notes);
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
          forced: bitOf(cap, CAP_NP_CACHE),
          translates: (name) => {
            const member = input.topology.find(name);
            return member !== undefined && unitOf(member) === index;
          },
        },
        notes,
      ),
      isolatedMsi,
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
  const isolatedMsi = interruptIsolation(input).isolated;
  return byFirstGroup(input, AMD_NAME).map((iommu) => {
    const linked = (name: string) => input.recorded.get(name)?.iommu === iommu.name;
    return new AmdUnit({
      name: iommu.name,
      driver,
      device: undefined,
      forcesStrict: forcesStrict(
        input,
        { name: iommu.name, forced: bitOf(register(iommu, 'cap'), CAP_NP_CACHE), translates: linked },
        notes,
      ),
      isolatedMsi,
      covers: (device) => linked(device.name),
      why: (device) =>
        isIommuFunction(device) ? 'it is an IOMMU itself' : 'the recording shows it untranslated',
    });
  });
}

/** The function of an AMD IOMMU. */
export function isIommuFunction(device: Device): boolean {
  return device instanceof PciDevice && hasClass(device.class, ClassCode.Iommu);
}

/**
 * What all copies in the table have in common (`get_global_efr`). `undefined`: they are not to be trusted, or leave it
 * to the register of the hardware.
 */
function featuresOfTable(ivrs: Ivrs, { units }: AmdTables): bigint | undefined {
  if ((ivrs.info & IVINFO_EFR_SUPPORTED) === 0) return undefined;
  let common: bigint | undefined;
  for (const { features } of units) {
    if (features === undefined) return undefined;
    common = common === undefined ? features : common & features;
  }
  return common === 0n ? undefined : common;
}

/** Devices that could have PASIDs keep a translated domain here, and the kernel may have passed them through. */
function noteUnknownPasids(
  { topology }: DetectInput,
  unitOf: (device: Device) => number | undefined,
  notes: string[],
): void {
  const unknown = topology.devices.filter(
    (device) =>
      device.isPcie !== false &&
      !device.untrusted &&
      (device.physfn ?? device).facts.pasid === undefined &&
      unitOf(device) !== undefined,
  );
  const [first] = unknown;
  if (first === undefined) return;
  const others = unknown.length === 1 ? '' : ` and ${unknown.length - 1} more`;
  notes.push(
    `AMD-Vi: whether ${first.name}${others} can use PASIDs is not known; taken as not, so translated`,
  );
}

/** sysfs has `features` as one number, or two with a colon; the first is the feature register. */
function featureRegister(text: string | undefined): bigint | undefined {
  const first = text?.trim().split(':')[0];
  return first !== undefined && /^[0-9a-f]{1,16}$/i.test(first) ? BigInt(`0x${first}`) : undefined;
}

/** Devices with PASIDs are passed through where the IOMMU can serve them, memory is not encrypted, and nobody forbids it. */
function identityForPasid({ commandLine }: DetectInput, features: bigint | undefined): boolean {
  if (features === undefined || (features & PASID_FEATURES) !== PASID_FEATURES) return false;
  return !commandLine.amdIommu.forceIsolation || commandLine.iommuPassthrough === true;
}

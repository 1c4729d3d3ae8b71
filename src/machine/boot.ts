/**
 * Boots the model of a recorded machine, in the kernel's order: devices are found, IOMMUs registered and groups
 * formed, virtual functions added, drivers bound.
 */

import { Bus } from '../device/bus.ts';
import { DeviceCore } from '../device/core.ts';
import type { Device } from '../device/device.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { globalDefaultType } from '../iommu/default-domain.ts';
import { rootBusOrder } from '../iommu/drivers/root-buses.ts';
import { DEFAULT_POLICY, isPolicyName, POLICY_NAMES, type PolicyName } from '../iommu/grouping/index.ts';
import { Iommu } from '../iommu/iommu.ts';
import { InputError, KernelError } from '../kernel/errors.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import { AcsContext } from '../pci/acs.ts';
import { REQ_ACS_FLAGS } from '../pci/acs-bits.ts';
import { AcsControl } from '../pci/acs-control.ts';
import { type CommandLine, parseCommandLine } from '../pci/command-line.ts';
import type { PciFunctionInit } from '../pci/device.ts';
import { ClassCode, hasClass, Vendor } from '../pci/numbers.ts';
import { PciTopology } from '../pci/topology.ts';
import { bindRecordedDrivers } from './bind.ts';
import { functionInit } from './function-init.ts';
import { registerIommus } from './iommus.ts';
import { Machine } from './machine.ts';
import { otherDevices } from './others.ts';
import { recordedAcs } from './recorded-acs.ts';

export interface BootOptions {
  /** Grouping policy by name; default `linux-6.12`. */
  policy?: string;
  /** Words behind the recorded command line, for "what if". */
  extraCommandLine?: string;
  /** Leaves out `pcie_acs_override=`, which mainline kernels do not know. */
  withoutOverride?: boolean;
  /** Takes the recorded ACS words as firmware's and enables ACS anew, for trying another command line. */
  enableAcs?: boolean;
  /** `off`: no IOMMU translates. `on`: as if it did, though the recorded kernel ran without. */
  iommu?: 'on' | 'off';
  /** Quirks the kernel does not have, by name (`ACS_QUIRKS`, `ALIAS_QUIRKS`). */
  withoutQuirks?: readonly string[];
  /** Functions that are taken to show an ACS capability with all that grouping asks for, by full address. */
  showAcs?: readonly string[];
}

/**
 * @throws InputError for an unknown policy, or a snapshot whose addresses make no sense
 */
export function boot(snapshot: Snapshot, options: BootOptions = {}): Machine {
  const policy = policyName(options.policy);
  const commandLine = readCommandLine(snapshot, options);
  const sysfs = new Sysfs();
  const core = new DeviceCore(sysfs);
  const iommu = new Iommu({ sysfs, defaultType: defaultType(commandLine) });

  const pciBus = new Bus({ name: 'pci', driverOverride: true, ...iommu.dmaHooks });
  const withoutQuirks = new Set(options.withoutQuirks);
  const pci = PciTopology.build(functionInits(snapshot, options.showAcs), {
    bus: pciBus,
    withoutQuirks,
    rootBusOrder: rootBusOrder(snapshot.acpi),
    deviceOrder: snapshot.deviceOrder,
  });
  const others = otherDevices(snapshot.others, pci, iommu);
  for (const bus of new Set([pciBus, ...[...others.values()].map((device) => device.bus!)])) {
    core.addBus(bus);
    iommu.addBus(bus);
  }
  for (const device of pci.devices) if (!device.isVirtual) addWithParents(core, device);
  const strange = addOthers(core, others);

  const recorded = recordedAcs(snapshot.groups, pci.devices);
  const acs = acsContext(snapshot, commandLine, options.enableAcs ? 'enabled' : recorded.mode, withoutQuirks);
  const notes =
    options.iommu === 'off'
      ? []
      : registerIommus(iommu, snapshot, {
          topology: pci,
          acs,
          commandLine,
          policy,
          others: others.values(),
          on: options.iommu === 'on',
        });
  for (const device of pci.devices) if (device.isVirtual) addWithParents(core, device);
  bindRecordedDrivers(core, recordedDrivers(snapshot, pci, others));

  return new Machine({
    snapshot,
    options,
    policy,
    sysfs,
    core,
    pci,
    iommu,
    acs,
    others,
    notes: [...commandLine.notes, ...(options.enableAcs ? [] : recorded.notes), ...strange, ...notes],
  });
}

/** What a recording calls a device of another bus may be taken in the tree already; such are left out. */
function addOthers(core: DeviceCore, others: Map<string, Device>): string[] {
  const notes: string[] = [];
  for (const [name, device] of others) {
    try {
      addWithParents(core, device);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      others.delete(name);
      notes.push(`${name} is left out: ${error.message}`);
    }
  }
  return notes;
}

function policyName(name: string = DEFAULT_POLICY): PolicyName {
  if (isPolicyName(name)) return name;
  throw new InputError('--policy', `there is no policy '${name}'; there are ${POLICY_NAMES.join(', ')}`);
}

function readCommandLine(snapshot: Snapshot, options: BootOptions): CommandLine {
  const commandLine = parseCommandLine(`${snapshot.kernel.cmdline ?? ''} ${options.extraCommandLine ?? ''}`);
  if (options.withoutOverride) delete commandLine.acsOverride;
  return commandLine;
}

function defaultType({ iommuPassthrough, iommuStrict }: CommandLine): ReturnType<typeof globalDefaultType> {
  return globalDefaultType({
    ...(iommuPassthrough !== undefined && { passthrough: iommuPassthrough }),
    ...(iommuStrict !== undefined && { strict: iommuStrict }),
  });
}

function functionInits({ devices }: Snapshot, showAcs: readonly string[] = []): PciFunctionInit[] {
  const shown = new Set(showAcs);
  return devices.map((device) => {
    const init = functionInit(device);
    if (!shown.has(device.address)) return init;
    return { ...init, facts: { ...init.facts, acs: { capability: REQ_ACS_FLAGS, control: REQ_ACS_FLAGS } } };
  });
}

function acsContext(
  snapshot: Snapshot,
  commandLine: CommandLine,
  mode: 'recorded' | 'enabled',
  withoutQuirks: ReadonlySet<string>,
): AcsContext {
  return new AcsContext({
    control: new AcsControl({
      mode,
      disableAcsRedir: commandLine.disableAcsRedir,
      configAcs: commandLine.configAcs,
      noAts: commandLine.noAts,
    }),
    override: commandLine.acsOverride,
    ivrs: hasIvrs(snapshot),
    withoutQuirks,
  });
}

/** Whether firmware has an IVRS table; `undefined` where no table was read and no AMD IOMMU function was seen. */
function hasIvrs(snapshot: Snapshot): boolean | undefined {
  if ('IVRS' in snapshot.acpi) return true;
  if (Object.keys(snapshot.acpi).length > 0) return false;
  const amdIommu = snapshot.devices.some(
    (device) => device.vendor === Vendor.Amd && hasClass(device.class, ClassCode.Iommu),
  );
  return amdIommu ? true : undefined;
}

function addWithParents(core: DeviceCore, device: Device): void {
  if (device.kobj !== undefined) return;
  if (device.parent !== undefined) addWithParents(core, device.parent);
  core.addDevice(device);
}

function recordedDrivers(
  snapshot: Snapshot,
  pci: PciTopology,
  others: ReadonlyMap<string, Device>,
): Map<Device, string> {
  const bound = new Map<Device, string>();
  for (const { address, driver } of snapshot.devices) {
    const device = pci.find(address);
    if (device !== undefined && typeof driver === 'string') bound.set(device, driver);
  }
  for (const { name, driver } of snapshot.others) {
    const device = others.get(name);
    if (device !== undefined && typeof driver === 'string') bound.set(device, driver);
  }
  return bound;
}

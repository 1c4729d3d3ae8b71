/** For tests: detection on machines written down as trees. */

import type { Device } from '../../device/device.ts';
import { AcsContext } from '../../pci/acs.ts';
import { parseCommandLine } from '../../pci/command-line.ts';
import { createPolicy, DEFAULT_POLICY } from '../grouping/index.ts';
import { build, type Node, type TestMachine } from '../grouping/testing.ts';
import { formatRegion, mergeRegions } from '../reserved-region.ts';
import { detectIommus } from './detect.ts';
import type { DetectedIommu, DetectInput, RecordedDevice } from './input.ts';

export interface TestFacts extends Partial<Omit<DetectInput, 'commandLine' | 'recorded'>> {
  commandLine?: string;
  recorded?: Record<string, RecordedDevice>;
}

export interface TestDetection {
  machine: TestMachine;
  input: DetectInput;
  instances: DetectedIommu[];
  notes: string[];
  /** Name of the IOMMU that takes a device when all are registered in order. */
  iommuOf(name: string): string | undefined;
  /** What the device's driver reserves, as the file of a group with only this member reads. */
  regions(name: string): string;
}

/** Detection on a tree of functions, with VT-d switched on unless the command line says otherwise. */
export function detect(nodes: Node[] | TestMachine, facts: TestFacts = {}): TestDetection {
  const machine = Array.isArray(nodes) ? build(nodes) : nodes;
  const input: DetectInput = {
    topology: machine.topology,
    acpi: {},
    arch: 'x86_64',
    pciPolicy: createPolicy(DEFAULT_POLICY, { acs: new AcsContext() }),
    ...facts,
    commandLine: parseCommandLine(facts.commandLine ?? 'intel_iommu=on'),
    recorded: new Map(Object.entries(facts.recorded ?? {})),
  };
  const { instances, notes } = detectIommus(input);
  const instanceOf = (device: Device) => instances.find((instance) => instance.covers(device));
  return {
    machine,
    input,
    instances,
    notes,
    iommuOf: (name) => instanceOf(machine.get(name))?.name,
    regions: (name) => {
      const device = machine.get(name);
      const regions = instanceOf(device)?.driver.getResvRegions?.(device) ?? [];
      return mergeRegions(regions).map(formatRegion).join('');
    },
  };
}

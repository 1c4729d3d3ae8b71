/** Every grouping policy, by the name users give it. */

import type { Device } from '../../device/device.ts';
import type { AcsContext } from '../../pci/acs.ts';
import { Acs2025Grouping } from './acs-2025.ts';
import { type AliasTable, Amd2012Grouping } from './amd-2012.ts';
import { GenericGrouping } from './generic.ts';
import { PciGrouping } from './pci.ts';
import type { GroupingPolicy } from './policy.ts';
import { SingleGrouping } from './single.ts';
import { Vtd2012Grouping } from './vtd-2012.ts';

/** What policies need to know of the machine they group. Each takes what concerns it. */
export interface PolicyContext {
  /** Answers `pci_acs_enabled` for this machine. */
  acs: AcsContext;
  /** `iommu=group_mf` of the 2012 drivers. */
  groupMf?: boolean;
  /** IVRS alias table, for `amd-2012`. */
  aliasTable?: AliasTable;
  /** Name of the IOMMU that translates a device, for `single`. */
  instanceOf?(device: Device): string;
  /** Whether an IOMMU translates a device, for `acs-2025`: its probe waits for bridges that will have a group. */
  willBeGrouped?(device: Device): boolean;
}

/** The rule of today's kernels. */
export const DEFAULT_POLICY = 'linux-6.12';

const FACTORIES = {
  'linux-6.12': (context) => new PciGrouping(DEFAULT_POLICY, context.acs),
  'vtd-2012': (context) => new Vtd2012Grouping(context),
  'amd-2012': (context) => new Amd2012Grouping(context),
  'acs-2025': (context) => new Acs2025Grouping(context.acs, context),
  generic: () => new GenericGrouping(),
  single: (context) => new SingleGrouping((device) => context.instanceOf?.(device) ?? 'the IOMMU'),
} satisfies Record<string, (context: PolicyContext) => GroupingPolicy>;

export type PolicyName = keyof typeof FACTORIES;

/** All names, the default first. */
export const POLICY_NAMES = Object.keys(FACTORIES) as PolicyName[];

export function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(FACTORIES, name);
}

/** A policy for one machine; policies remember what they grouped, so each machine has its own. */
export function createPolicy(name: PolicyName, context: PolicyContext): GroupingPolicy {
  const factory: (context: PolicyContext) => GroupingPolicy = FACTORIES[name];
  return factory(context);
}

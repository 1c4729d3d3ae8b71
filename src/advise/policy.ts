/**
 * What is acceptable when a device is handed over: for every kind of finding, what it counts as. The defaults are
 * careful; a policy file changes them (docs/policy.md).
 */

export type Level = 'refusal' | 'warning' | 'note' | 'ignored';

export interface FindingKind {
  level: Exclude<Level, 'ignored'>;
  /** The kernel says so, whatever anyone finds acceptable. */
  fixed?: true;
  about: string;
}

/** Every finding by its code, which is also the name it is overridden by. */
export const FINDINGS = {
  'no-iommu': { level: 'refusal', fixed: true, about: 'no IOMMU is in use' },
  'no-group': { level: 'refusal', fixed: true, about: 'no IOMMU translates the device' },
  'no-vfio': { level: 'refusal', fixed: true, about: 'the kernel is older than VFIO (3.6)' },
  bridge: { level: 'refusal', fixed: true, about: 'the device is a bridge, which vfio-pci does not take' },
  'member-in-use': {
    level: 'refusal',
    about: 'another device of the group is bound to a driver that does not share the group',
  },
  'reserved-region': {
    level: 'refusal',
    about: 'firmware wants memory mapped one to one for a device of the group (RMRR, unity mapping)',
  },
  interrupts: { level: 'refusal', about: "the device's interrupts are not isolated" },
  'claimed-isolation': {
    level: 'refusal',
    about: 'the group is as small as it is because pcie_acs_override= says so',
  },
  'groups-differ': {
    level: 'refusal',
    about: 'the kernel splits what the rules keep together; never more than a doubt',
  },
  unread: { level: 'refusal', about: 'facts that decide over the group could not be read' },
  'boot-vga': { level: 'refusal', about: 'the firmware and the console show on it' },
  'in-use': { level: 'refusal', about: 'a mounted file system, swap or volume is on it' },
  'in-use-network': { level: 'refusal', about: 'the default route leads through it' },
  'in-use-display': { level: 'refusal', about: 'a monitor is connected to it' },
  'in-use-input': { level: 'refusal', about: 'a keyboard or pointing device hangs from it' },
  'usage-unread': {
    level: 'refusal',
    about: 'a host driver has it, and what the host uses is not in the recording; never more than a doubt',
  },
  'virtual-functions': {
    level: 'refusal',
    about: 'it is a physical function whose virtual functions are enabled and would vanish',
  },
  'reset-required': { level: 'refusal', about: 'none of the reset methods that the policy asks for' },
  'in-use-route': { level: 'warning', about: 'a route other than the default leads through it' },
  'no-reset': { level: 'warning', about: 'there is no way to reset it' },
  'reset-scope': { level: 'warning', about: 'only a bus reset is left, and it hits devices that stay' },
  'left-behind': { level: 'warning', about: 'other functions of the same card stay with the host' },
  'vf-token': { level: 'warning', about: 'its physical function belongs to vfio-pci, so it needs a token' },
  'system-device': { level: 'warning', about: 'it belongs to the platform: host bridge, ISA bridge, IOMMU' },
  'physical-function': { level: 'note', about: 'it could give virtual functions instead' },
  'identical-cards': { level: 'note', about: 'other devices have the same ids' },
  'relaxable-region': {
    level: 'note',
    about: 'firmware wants a one-to-one mapping that Linux lets go (graphics, USB)',
  },
} as const satisfies Record<string, FindingKind>;

export type FindingCode = keyof typeof FINDINGS;

/** `Object.keys` with the type it has. */
export const FINDING_CODES = Object.keys(FINDINGS) as FindingCode[];

export function isFixed(code: FindingCode): boolean {
  return 'fixed' in FINDINGS[code];
}

export interface CheckPolicy {
  /** What to call it: the file it came from. */
  name: string;
  findings: Readonly<Partial<Record<FindingCode, Level>>>;
  /** What a fact counts as that could not be read and whose finding would refuse. */
  unknown: 'cannot tell' | 'refusal' | 'note';
  /** At least one of these must be there; empty: none is asked for. */
  resetMethods: readonly string[];
}

export const DEFAULT_CHECK_POLICY: CheckPolicy = {
  name: 'default',
  findings: {},
  unknown: 'cannot tell',
  resetMethods: [],
};

/** What a finding counts as under a policy. */
export function levelOf(policy: CheckPolicy, code: FindingCode): Level {
  return isFixed(code) ? FINDINGS[code].level : (policy.findings[code] ?? FINDINGS[code].level);
}

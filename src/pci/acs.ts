/** Whether a function keeps peer-to-peer traffic from passing it by, as the kernel judges it (`pci_acs_enabled`). */

import { Acs, REQ_ACS_FLAGS } from './acs-bits.ts';
import { AcsControl, type AcsWords } from './acs-control.ts';
import { type AcsOverride, acsOverrideFor } from './acs-override.ts';
import { devSpecificAcsEnabled } from './acs-quirk-rules.ts';
import type { PciDevice } from './device.ts';
import { PcieType } from './facts.ts';

export interface AcsVerdict {
  device: string;
  enabled: boolean;
  /** False: facts are missing, and `enabled` is what is assumed. */
  known: boolean;
  because:
    | 'quirk'
    | 'override'
    | 'not-pcie'
    | 'bridge-type'
    | 'event-collector'
    | 'capability'
    | 'no-capability'
    | 'single-function'
    | 'other-type'
    | 'unknown';
  /** Name of the quirk, or the part of the override. */
  quirk?: string;
  /** The words the test was made with. */
  capability?: number;
  control?: number;
  /** Requested bits that the capability offers and the control word has off. */
  missing?: number;
}

/** A way up to the root bus, tested nearest first. */
export interface AcsPath {
  enabled: boolean;
  /** Up to and including the first that fails. */
  readonly verdicts: AcsVerdict[];
  /** The one that fails. */
  blockedBy: AcsVerdict | undefined;
}

export interface AcsContextInit {
  control?: AcsControl | undefined;
  override?: AcsOverride | undefined;
  /** The firmware has an IVRS table (AMD IOMMU). */
  ivrs?: boolean | undefined;
  /** Names of quirks (`ACS_QUIRKS`) that the kernel does not have. */
  withoutQuirks?: ReadonlySet<string> | undefined;
}

/**
 * The machine's side of every answer, and the answers given so far: registers do not change after boot, so each
 * bridge is tested once however many functions are below it.
 */
export class AcsContext {
  readonly control: AcsControl;
  readonly override: AcsOverride | undefined;
  readonly ivrs: boolean | undefined;
  readonly withoutQuirks: ReadonlySet<string> | undefined;
  #verdicts = new WeakMap<PciDevice, AcsVerdict>();
  #paths = new WeakMap<PciDevice, Path>();

  constructor(init: AcsContextInit = {}) {
    this.control = init.control ?? new AcsControl({ mode: 'recorded' });
    this.override = init.override;
    this.ivrs = init.ivrs;
    this.withoutQuirks = init.withoutQuirks;
  }

  /** Forgets the answers; after hot-plug, since functions may have become multifunction. */
  invalidate(): void {
    this.#verdicts = new WeakMap();
    this.#paths = new WeakMap();
  }

  /** The answer to `REQ_ACS_FLAGS`, remembered. */
  verdict(device: PciDevice): AcsVerdict {
    let verdict = this.#verdicts.get(device);
    if (verdict === undefined) {
      verdict = judge(device, REQ_ACS_FLAGS, this);
      this.#verdicts.set(device, verdict);
    }
    return verdict;
  }

  /** The answer to `REQ_ACS_FLAGS` for the whole way up, remembered for every bridge on it. */
  path(start: PciDevice): AcsPath {
    const fresh: PciDevice[] = [];
    let device: PciDevice | undefined = start;
    let path: Path | undefined;
    while (device !== undefined) {
      path = this.#paths.get(device);
      if (path !== undefined) break;
      fresh.push(device);
      if (!this.verdict(device).enabled) break;
      device = nextUp(device);
    }
    for (const next of fresh.reverse()) {
      const own = this.verdict(next);
      path = new Path(own, own.enabled ? path : undefined);
      this.#paths.set(next, path);
    }
    return path!;
  }
}

/** Shares what is above with every path through it. */
class Path implements AcsPath {
  readonly #own: AcsVerdict;
  readonly #above: Path | undefined;
  readonly enabled: boolean;
  readonly blockedBy: AcsVerdict | undefined;

  constructor(own: AcsVerdict, above: Path | undefined) {
    this.#own = own;
    this.#above = above;
    this.blockedBy = own.enabled ? above?.blockedBy : own;
    this.enabled = this.blockedBy === undefined;
  }

  get verdicts(): AcsVerdict[] {
    const verdicts: AcsVerdict[] = [];
    for (let at: Path | undefined = this; at !== undefined; at = at.#above) verdicts.push(at.#own);
    return verdicts;
  }
}

/** @param flags bits of the control word (`PCI_ACS_*`) that have to hold */
export function acsEnabled(
  device: PciDevice,
  flags: number = REQ_ACS_FLAGS,
  context: AcsContext,
): AcsVerdict {
  return flags === REQ_ACS_FLAGS ? context.verdict(device) : judge(device, flags, context);
}

/**
 * `pci_acs_path_enabled`: from `start` up to the root bus, or to `end`, which is tested as well; an `end` on the
 * root bus is never reached, as in the kernel.
 *
 * @param flags bits of the control word (`PCI_ACS_*`) that have to hold
 */
export function acsPath(
  start: PciDevice,
  flags: number = REQ_ACS_FLAGS,
  context: AcsContext,
  end?: PciDevice,
): AcsPath {
  if (flags === REQ_ACS_FLAGS && end === undefined) return context.path(start);
  const verdicts: AcsVerdict[] = [];
  for (let device: PciDevice | undefined = start; device !== undefined; device = nextUp(device)) {
    const verdict = acsEnabled(device, flags, context);
    verdicts.push(verdict);
    if (!verdict.enabled) return { enabled: false, verdicts, blockedBy: verdict };
    if (device === end && nextUp(device) !== undefined)
      return { enabled: true, verdicts, blockedBy: undefined };
  }
  // On the root bus the kernel answers before it looks whether this was `end`.
  return { enabled: end === undefined, verdicts, blockedBy: undefined };
}

/** `bus->self`, or nothing on a root bus and on the virtual bus of VFs, where the kernel's walk ends as well. */
function nextUp(device: PciDevice): PciDevice | undefined {
  return device.pciBus.self;
}

function judge(device: PciDevice, flags: number, context: AcsContext): AcsVerdict {
  const special = devSpecificAcsEnabled(device, flags, context);
  if (special !== undefined) {
    const { quirk, answer } = special;
    const verdict: AcsVerdict = {
      device: device.address,
      enabled: answer.enabled,
      known: answer.known,
      because: 'quirk',
      quirk: quirk.name,
    };
    return answer.words === undefined ? verdict : withWords(verdict, flags, answer.words);
  }
  const overridden = context.override === undefined ? undefined : acsOverrideFor(device, context.override);
  if (overridden !== undefined) {
    // The override never speaks for a device with a capability, and that there is none has to be known.
    const known = device.facts.acs === null;
    return { device: device.address, enabled: true, known, because: 'override', quirk: overridden };
  }
  const verdict = standard(device, flags, context);
  // Without ids a quirk may speak for the device or against it.
  if (device.vendor === undefined || device.device === undefined) verdict.known = false;
  return verdict;
}

function standard(device: PciDevice, flags: number, context: AcsContext): AcsVerdict {
  const verdict = (enabled: boolean, because: AcsVerdict['because']): AcsVerdict => ({
    device: device.address,
    enabled,
    known: because !== 'unknown',
    because,
  });
  switch (device.pcieType) {
    case undefined:
      return verdict(false, 'unknown');
    case null:
      return verdict(false, 'not-pcie');
    case PcieType.PcieBridge:
    case PcieType.PciBridge:
      return verdict(false, 'bridge-type');
    case PcieType.EventCollector:
      return verdict(false, 'event-collector');
    case PcieType.Downstream:
    case PcieType.RootPort:
      return byCapability();
    case PcieType.Endpoint:
    case PcieType.LegacyEndpoint:
    case PcieType.IntegratedEndpoint:
      return device.multifunction ? byCapability() : verdict(true, 'single-function');
    case PcieType.Upstream:
      if (device.multifunction) return byCapability();
      return { ...verdict(true, 'single-function'), known: isSingleFunction(device) };
    default:
      return verdict(true, 'other-type');
  }

  function byCapability(): AcsVerdict {
    const words = context.control.words(device);
    if (words === undefined) return verdict(false, 'unknown');
    if (words === null) return verdict(false, 'no-capability');
    const tested = withWords(verdict(false, 'capability'), flags, words);
    tested.enabled = tested.missing === 0;
    return tested;
  }
}

/**
 * A port that is the only function of its slot tells by its header bit alone what it counts as, and everything below
 * it hangs on that. An endpoint isolates nothing but itself from other functions, and without those there are none.
 */
function isSingleFunction(port: PciDevice): boolean {
  return port.isVirtual || port.func > 0 || port.facts.multifunctionBit !== undefined;
}

/** Bits the capability does not offer count as hard-wired on, egress control excepted (`pci_acs_flags_enabled`). */
function withWords(verdict: AcsVerdict, flags: number, words: AcsWords): AcsVerdict {
  const { capability, control } = words;
  return { ...verdict, capability, control, missing: flags & (capability | Acs.EC) & ~control };
}

/**
 * Which default domain a group gets (groups-core.md 5). Pure: members' wishes in, a type out; allocating and
 * attaching are in group-default.ts.
 */

import { KernelError } from '../kernel/errors.ts';
import { DomainType, domainTypeWord, type WantedType } from './domain.ts';

/** What is asked about one member of the group, in list order. */
export interface MemberWish {
  device: string;
  /** What its driver insists on: the static default domain's type, else `def_domain_type()`; 0 for no wish. */
  wants: WantedType;
  /** A PCI device firmware marks as external. */
  untrusted: boolean;
}

export interface TypeChoice {
  /** 0: the global default. */
  type: WantedType;
  /** Contradictions between members, already resolved in favour of IDENTITY; for the log. */
  conflicts: string[];
}

/**
 * `iommu_get_default_domain_type`.
 *
 * @param group how messages call the group
 * @param requested what a `type` write asked for, 0 for `auto` and at first probe
 * @throws KernelError EINVAL an untrusted member's driver insists on something else than DMA; or the request
 *   contradicts driver or trust
 */
export function defaultDomainType(
  group: string,
  members: Iterable<MemberWish>,
  requested: WantedType,
): TypeChoice {
  const conflicts: string[] = [];
  let type: WantedType = 0;
  let decidedBy = '';
  let untrusted: string | undefined;

  for (const member of members) {
    if (member.untrusted) untrusted = member.device;
    if (member.wants === 0 || member.wants === type) continue;
    if (type === 0) {
      type = member.wants;
      decidedBy = `the driver of ${member.device}`;
      continue;
    }
    conflicts.push(
      `${member.device} must be ${domainTypeWord(member.wants)}, others ${domainTypeWord(type)}`,
    );
    if (member.wants === DomainType.Identity) {
      type = member.wants;
      decidedBy = `the driver of ${member.device}`;
    }
  }

  if (untrusted !== undefined) {
    if (type !== 0 && type !== DomainType.Dma) {
      throw new KernelError(
        'EINVAL',
        group,
        `${untrusted} is not trusted and needs DMA, but ${decidedBy} insists on ${domainTypeWord(type)}`,
      );
    }
    type = DomainType.Dma;
    decidedBy = `${untrusted}, which is not trusted,`;
  }

  if (requested !== 0 && type !== 0 && requested !== type) {
    throw new KernelError(
      'EINVAL',
      group,
      `cannot become ${domainTypeWord(requested)}: ${decidedBy} insists on ${domainTypeWord(type)}`,
    );
  }
  return { type: requested === 0 ? type : requested, conflicts };
}

/** What decides the default of all groups. `undefined`: the command line does not say. */
export interface GlobalDefaultOptions {
  /** `iommu.passthrough=`, or `iommu=pt` (true) and `iommu=nopt` (false). */
  passthrough?: boolean | undefined;
  /** `iommu.strict=`; true also where an IOMMU driver forces it. */
  strict?: boolean | undefined;
  /** CONFIG_IOMMU_DEFAULT_PASSTHROUGH, CONFIG_IOMMU_DEFAULT_DMA_STRICT. */
  builtInPassthrough?: boolean;
  builtInStrict?: boolean;
  /** Memory encryption (SME, SEV, TDX) is active. */
  memoryEncryption?: boolean;
}

/** `iommu_def_domain_type` as `iommu_subsys_init` leaves it. */
export function globalDefaultType(options: GlobalDefaultOptions): DomainType {
  const builtIn = (options.builtInPassthrough ?? false) && !(options.memoryEncryption ?? false);
  if (options.passthrough ?? builtIn) return DomainType.Identity;
  return (options.strict ?? options.builtInStrict ?? false) ? DomainType.Dma : DomainType.DmaFq;
}

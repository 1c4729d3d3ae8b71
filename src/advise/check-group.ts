/** The groups of the devices asked for: who else is in them, what firmware reserves, and whether they are real. */

import { hasGroups } from '../host/formed.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { boot } from '../machine/boot.ts';
import { isVfioDriver } from '../machine/drivers.ts';
import type { Machine, RegionView } from '../machine/machine.ts';
import type { Findings } from './check-findings.ts';
import { isBridge } from './check-functions.ts';
import { SharingRules } from './check-sharing.ts';
import { enumerate, usesOf, usesWords } from './check-use.ts';
import { type Describer, sortNames } from './describe.ts';
import type { CheckGroup, CheckMember, Difference } from './report.ts';
import { shortener } from './shorten.ts';
import { verifyReport } from './verify.ts';

/** A group with devices that were asked for. */
export interface AskedGroup {
  id: number;
  source: 'kernel' | 'predicted';
  type?: string;
  members: string[];
  asked: string[];
  regions: readonly RegionView[] | undefined;
}

/** What the kernel's groups are held against. */
export class GroupCheck {
  readonly groups: AskedGroup[] = [];
  /** Devices asked for that are in no group. */
  readonly without: string[] = [];
  /** Members that stand in the way. */
  readonly blamed = new Set<string>();
  readonly #describer: Describer;
  readonly #machine: Machine;
  readonly #findings: Findings;
  readonly #formed: boolean;
  readonly #differences: readonly Difference[];
  readonly #rules: SharingRules;
  readonly #short: (name: string) => string;

  constructor(describer: Describer, machine: Machine, findings: Findings, names: readonly string[]) {
    this.#describer = describer;
    this.#machine = machine;
    this.#findings = findings;
    const { snapshot } = describer;
    this.#formed = hasGroups(snapshot);
    this.#differences = this.#formed ? verifyReport(describer, machine.options).differences : [];
    this.#rules = new SharingRules(snapshot.kernel.release);
    this.#short = shortener(snapshot);
    for (const name of names) this.#place(name);
  }

  run(): void {
    if (this.#rules.none) {
      this.#findings.add('no-vfio', {
        concerns: this.groups.flatMap((group) => group.asked),
        what: `Kernel ${this.#describer.snapshot.kernel.release} has no VFIO; 3.6 was the first.`,
      });
    }
    for (const name of this.without) this.#checkWithout(name);
    for (const group of this.groups) {
      if (!this.#rules.none) this.#checkMembers(group);
      this.#checkRegions(group);
      this.#checkClaims(group);
    }
  }

  groupOf(name: string): AskedGroup | undefined {
    return this.groups.find((group) => group.members.includes(name));
  }

  lines(): CheckGroup[] {
    return this.groups.map((group) => ({
      id: group.id,
      source: group.source,
      ...(group.type !== undefined && { type: group.type }),
      members: group.members.map((name) => ({
        ...this.#describer.line(name),
        role: this.#role(group, name),
      })),
    }));
  }

  #place(name: string): void {
    const known = this.groupOf(name);
    if (known !== undefined) {
      if (!known.asked.includes(name)) known.asked.push(name);
      return;
    }
    const formed = this.#describer.snapshot.groups?.find((group) => group.devices.includes(name));
    const predicted = this.#machine.groupOf(name);
    if (formed !== undefined) {
      this.groups.push({
        id: formed.id,
        source: 'kernel',
        ...(formed.type !== undefined && { type: formed.type }),
        members: sortNames(formed.devices),
        asked: [name],
        regions: formed.reservedRegions ?? this.#modelRegions(formed.devices),
      });
    } else if (predicted !== undefined && !this.#formed) {
      this.groups.push({
        id: predicted.id,
        source: 'predicted',
        type: predicted.type,
        members: sortNames(predicted.devices),
        asked: [name],
        regions: this.#modelRegions(predicted.devices),
      });
    } else this.without.push(name);
  }

  /** Virtio-iommu comes as a module: a device is grouped when a driver first binds to it. */
  #comesLater(name: string): boolean {
    const { snapshot } = this.#describer;
    const late = snapshot.iommus?.some((iommu) => /^(?:[0-9a-f]{4,}:|virtio)/.test(iommu.name)) === true;
    return late && this.#describer.line(name).driver === null;
  }

  #checkWithout(name: string): void {
    const about = { device: name, concerns: [name] };
    const short = this.#short(name);
    if (this.#comesLater(name)) {
      this.#findings.doubt('no-group', {
        ...about,
        what: `${short} is in no group yet: this IOMMU came after boot and groups a device when a driver binds to it.`,
        remedy: 'let a driver bind to it (vfio-pci will do), and check again',
      });
      return;
    }
    const why = this.#machine.noGroupReason(name) ?? 'the kernel formed none for it';
    this.#findings.add('no-group', { ...about, what: `${short} is in no group: ${why}.` });
  }

  /** What the firmware tables reserve for some devices; `undefined` where no table was recorded. */
  #modelRegions(names: readonly string[]): RegionView[] | undefined {
    if (Object.keys(this.#describer.snapshot.acpi).length === 0) return undefined;
    return names.flatMap((name) => this.#machine.reservedRegions(name));
  }

  #checkMembers(group: AskedGroup): void {
    for (const name of group.members) {
      const role = this.#role(group, name);
      if (role !== 'in use' && role !== 'unknown') continue;
      this.blamed.add(name);
      const { driver } = this.#describer.line(name);
      const uses = usesOf(this.#describer, name);
      const used = uses.length === 0 ? '' : ` The host uses it: ${usesWords(uses)}.`;
      const about = { device: name, concerns: [...group.asked], ...(driver && { detail: driver }) };
      const title = this.#describer.shortTitle(name);
      if (role === 'in use') {
        this.#findings.add('member-in-use', {
          ...about,
          what: `${title} is in the same group and bound to ${driver}.${used}`,
          remedy: this.#physical(group, name)
            ? 'its virtual functions live by it: put the card into a slot whose ports isolate'
            : 'hand it over too, or unbind its driver and leave it without one',
        });
      } else {
        this.#findings.doubt('member-in-use', {
          ...about,
          what:
            driver === undefined
              ? `${title} is in the same group, and the data does not tell its driver.${used}`
              : `${title} is in the same group and bound to ${driver}; whether that may share it depends on the kernel, whose release does not tell.${used}`,
        });
      }
    }
  }

  #physical(group: AskedGroup, name: string): boolean {
    return group.asked.some((asked) => this.#describer.facts(asked)?.physfn === name);
  }

  #role(group: AskedGroup, name: string): CheckMember['role'] {
    if (group.asked.includes(name)) return 'asked';
    const facts = this.#describer.facts(name);
    const { driver } = this.#describer.line(name);
    if (driver === undefined) return 'unknown';
    if (driver === null) return 'no driver';
    const allowed = this.#rules.allows({ driver, bridge: facts === undefined ? false : isBridge(facts) });
    if (allowed === undefined) return 'unknown';
    if (!allowed) return 'in use';
    return isVfioDriver(driver) ? 'vfio' : 'shares';
  }

  #checkRegions(group: AskedGroup): void {
    if (group.regions === undefined) {
      this.#findings.doubt('reserved-region', {
        concerns: [...group.asked],
        what: `Whether firmware reserves memory for a device of the group${this.#tableWord} is not recorded.`,
        remedy: 'run it on the machine, or on what `ringfence capture` recorded there',
      });
      return;
    }
    for (const [type, code] of [
      ['direct', 'reserved-region'],
      ['direct-relaxable', 'relaxable-region'],
    ] as const) {
      const regions = group.regions.filter((region) => region.type === type);
      if (regions.length === 0) continue;
      const ranges = [...new Set(regions.map(({ start, end }) => `${shortHex(start)}-${shortHex(end)}`))];
      const owners = group.members.filter((name) =>
        this.#machine.reservedRegions(name).some((region) => region.type === type),
      );
      const whose = owners.length === 0 ? 'a device of the group' : enumerate(owners.map(this.#short));
      this.#findings.add(code, {
        device: owners.length === 1 ? owners[0]! : group.asked[0]!,
        concerns: [...group.asked],
        detail: ranges[0]!,
        what:
          type === 'direct'
            ? `Firmware wants memory ${enumerate(ranges)} mapped one to one for ${whose}${this.#tableWord}, so the kernel gives no device of the group away.`
            : `Firmware wants memory ${enumerate(ranges)} mapped one to one for ${whose} until its driver takes over; Linux lets that go.`,
        ...(type === 'direct' && {
          remedy:
            'look in the firmware setup for what uses it (RAID or management options), or use other hardware',
        }),
      });
    }
  }

  /** What the platform calls such an entry of its table. */
  get #tableWord(): string {
    const { acpi, iommus } = this.#describer.snapshot;
    const unit = (name: RegExp): boolean => iommus?.some((iommu) => name.test(iommu.name)) === true;
    if (acpi.IVRS !== undefined || unit(/^ivhd/)) return ' (IVMD)';
    return acpi.DMAR !== undefined || unit(/^dmar/) ? ' (RMRR)' : '';
  }

  #checkClaims(group: AskedGroup): void {
    if (!this.#formed) {
      this.#checkPredicted(group);
      return;
    }
    for (const name of group.asked) {
      for (const difference of this.#differences) {
        const together = difference.rules.find(
          ({ id, devices }) => id !== null && devices.includes(name),
        )?.devices;
        const apart = together?.filter((other) => !group.members.includes(other)) ?? [];
        if (apart.length > 0 && group.source === 'kernel') this.#differs(name, apart, difference);
      }
    }
  }

  #differs(name: string, apart: string[], { cause, explanation, certain }: Difference): void {
    const about = { device: name, concerns: [name], detail: apart.join(',') };
    const split = `The kernel keeps ${this.#short(name)} apart from ${enumerate(apart.map(this.#short))}`;
    const { cmdline } = this.#describer.snapshot.kernel;
    if (cause === 'ACS override')
      this.#findings.add('claimed-isolation', { ...about, what: `${split}. ${explanation}` });
    else if (overrides(cmdline)) {
      this.#findings.add('claimed-isolation', {
        ...about,
        what: `${split}, which the rules do not, and pcie_acs_override= is on the command line. ${explanation}`,
        remedy: 'boot without it and look again',
      });
    } else if (cmdline === undefined) {
      this.#findings.doubt('claimed-isolation', {
        ...about,
        what: `${split}, which the rules do not, and whether pcie_acs_override= is on the command line is not known. ${explanation}`,
      });
    } else if (!certain) this.#findings.doubt('unread', { ...about, what: `${split}. ${explanation}` });
    else {
      this.#findings.doubt('groups-differ', {
        ...about,
        what: `${split}, which the rules do not (${cause}), so whether anything isolates them cannot be told. ${explanation}`,
      });
    }
  }

  /** Groups that nobody formed yet: they rest on what was read, and on the command line's word. */
  #checkPredicted(group: AskedGroup): void {
    const { snapshot } = this.#describer;
    const unread = group.members.filter((name) => !this.#machine.certain(name));
    if (unread.length > 0) {
      this.#findings.doubt('unread', {
        concerns: [...group.asked],
        what: `The capabilities that decide over ${enumerate(unread.map(this.#short))} could not be read.`,
        remedy: 'run it as root, or record the machine with `sudo ringfence capture`',
      });
    }
    const bare = mainline(snapshot, this.#machine);
    for (const name of bare === undefined ? [] : group.asked) {
      const apart = bare!.groupOf(name)?.devices.filter((other) => !group.members.includes(other)) ?? [];
      if (apart.length === 0) continue;
      this.#findings.add('claimed-isolation', {
        device: name,
        concerns: [name],
        detail: apart.join(','),
        what: `pcie_acs_override= claims that ${this.#short(name)} is apart from ${enumerate(apart.map(this.#short))}. The hardware does not isolate them.`,
      });
    }
  }
}

const overrides = (cmdline: string | undefined): boolean => /\bpcie_acs_override=/.test(cmdline ?? '');

/** The machine without the override, where there is one on the command line. */
function mainline(snapshot: Snapshot, machine: Machine): Machine | undefined {
  if (!overrides(snapshot.kernel.cmdline)) return undefined;
  return boot(snapshot, { ...machine.options, withoutOverride: true });
}

const shortHex = (text: string): string => text.replace(/^0x0*(?=.)/, '0x');

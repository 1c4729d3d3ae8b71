/** A machine for looking at: the reports of all commands about one booted model, made when they are asked for. */

import { hasGroups } from '../host/formed.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { MachineChange } from '../machine/change.ts';
import { isVfioDriver, managesDma } from '../machine/drivers.ts';
import type { Machine } from '../machine/machine.ts';
import type { PciIds } from '../pci/ids.ts';
import { checkReport } from './check.ts';
import { usesOf, usesWords } from './check-use.ts';
import { Describer } from './describe.ts';
import { diffReport } from './diff.ts';
import type { WhatIfAnswer } from './explore-what-if.ts';
import { type ExportCall, exportReport } from './export/export.ts';
import { EXPORTERS, findExporter } from './export/formats.ts';
import { deviceTree, type TreeNode } from './export/tree.ts';
import { goalReport } from './goal.ts';
import { kernelList, predictedList } from './list.ts';
import { draftPlan, planReport, refusalsOf } from './plan.ts';
import { reasonLines } from './reason-words.ts';
import {
  type DiffReport,
  type ExploreDevice,
  type ExploreNode,
  type ExploreReport,
  type ExportReport,
  type Holder,
  type PlanReport,
  REPORT_VERSION,
} from './report.ts';
import type { GoalReport } from './report-whatif.ts';
import { shortener } from './shorten.ts';
import { showReport } from './show.ts';
import { tryWhatIf } from './whatif.ts';
import { whyReport } from './why.ts';

/** One machine, booted when first asked. */
export class Explorer {
  readonly snapshot: Snapshot;
  readonly #ids: PciIds;
  readonly #options: BootOptions;
  readonly #describer: Describer;
  #machine: Machine | undefined;

  constructor(snapshot: Snapshot, ids: PciIds, options: BootOptions = {}) {
    this.snapshot = snapshot;
    this.#ids = ids;
    this.#options = options;
    this.#describer = new Describer(snapshot, ids);
  }

  get machine(): Machine {
    this.#machine ??= boot(this.snapshot, this.#options);
    return this.#machine;
  }

  /** The whole machine. */
  overview(): ExploreReport {
    return this.#overview(this.#describer, this.machine, hasGroups(this.snapshot));
  }

  /** @throws InputError when the machine has no such device */
  device(name: string): ExploreDevice {
    this.#known(name);
    const why = whyReport(this.#describer, this.machine, [name]);
    const reason = why.devices[0]?.reason;
    return {
      report: 'explore-device',
      version: REPORT_VERSION,
      host: this.#describer.host(),
      show: showReport(this.#describer, this.machine, [name], []),
      why,
      chain: reason === undefined ? [] : reasonLines(reason, shortener(this.snapshot)),
      check: checkReport(this.#describer, this.machine, [name]),
      plan: this.#plan(name),
    };
  }

  /** @throws InputError for a format or device that is not there */
  export(format: string, names: readonly string[], call: ExportCall = {}): ExportReport {
    for (const name of names) this.#known(name);
    return exportReport(this.#describer, this.machine, findExporter(format), names, call);
  }

  /** What changed from this machine to that one. */
  diff(after: Explorer): DiffReport {
    return diffReport(this.#describer, after.#describer);
  }

  /** @throws InputError for a change that cannot be made */
  whatIf(changes: readonly MachineChange[]): WhatIfAnswer {
    const describer = (snapshot: Snapshot): Describer => new Describer(snapshot, this.#ids);
    const { report, before, after, changed } = tryWhatIf(this.snapshot, changes, {
      describer,
      boot: this.#options,
    });
    return {
      report,
      before: this.#overview(this.#describer, before, false),
      after: this.#overview(describer(changed.snapshot), after, false),
    };
  }

  /** Ways to a group of its own. @throws InputError for what is no PCI function of this machine */
  goal(name: string): GoalReport {
    this.#known(name);
    if (this.#describer.facts(name) === undefined)
      throw new InputError(JSON.stringify(name), 'is no PCI function');
    return goalReport(this.#describer, name, this.#options);
  }

  /** @param formed groups as the kernel formed them; else by the rules, whatever the kernel did */
  #overview(describer: Describer, machine: Machine, formed: boolean): ExploreReport {
    const list = formed ? kernelList(describer) : predictedList(describer, machine);
    const uncertain = new Set(machine.uncertain());
    const { groups: _, ...unformed } = describer.snapshot;
    const roots = deviceTree({
      describer: formed ? describer : new Describer(unformed, this.#ids),
      machine,
      devices: [],
      groups: [],
      source: list.source,
      style: 'legacy',
      managed: true,
      domain: '',
    });
    return {
      report: 'explore',
      version: REPORT_VERSION,
      host: describer.host(),
      list,
      tree: roots.map((node) => exploreNode(describer, node, uncertain)),
      formats: EXPORTERS.filter(({ needsNode, needsPage }) => !needsNode && !needsPage).map(
        ({ name, summary, scope }) => ({ name, summary, scope }),
      ),
    };
  }

  #known(name: string): void {
    if (this.machine.device(name) === undefined)
      throw new InputError(JSON.stringify(name), 'this machine has no such device');
  }

  #plan(name: string): PlanReport | { problem: string } {
    try {
      const draft = draftPlan(this.#describer, this.machine, [name]);
      return planReport(
        this.#describer,
        draft,
        () => true,
        (devices) => refusalsOf(checkReport(this.#describer, this.machine, devices).findings),
      );
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return { problem: error.message };
    }
  }
}

function exploreNode(describer: Describer, node: TreeNode, uncertain: ReadonlySet<string>): ExploreNode {
  const { name, kind } = node;
  const children = node.children.map((child) => exploreNode(describer, child, uncertain));
  if (kind === 'bus') return { ...node, children };
  const uses = usesOf(describer, name);
  return {
    ...node,
    holder: holderOf(describer.line(name).driver),
    ...(uses.length > 0 && { inUse: usesWords(uses) }),
    ...(uncertain.has(name) && { uncertain: true as const }),
    children,
  };
}

function holderOf(driver: string | null | undefined): Holder {
  if (driver === undefined) return 'unknown';
  if (driver === null) return 'nobody';
  if (isVfioDriver(driver)) return 'vfio';
  return managesDma(driver) ? 'port' : 'host';
}

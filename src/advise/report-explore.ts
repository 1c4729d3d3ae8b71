/** Reports the explorer draws: a machine as a picture, and one device with everything that is asked of it. */

import type { ReasonLine } from './reason-words.ts';
import type { Report } from './report-base.ts';
import type { ListReport, ShowReport, WhyReport } from './report-groups.ts';
import type { CheckReport, PlanReport } from './report-handover.ts';

export type { ReasonLine };

/** Who has a device: a driver of the host, vfio, nobody; `unknown`: not recorded. */
export type Holder = 'host' | 'vfio' | 'port' | 'nobody' | 'unknown';

/** A root bus or a device, with what is below it. */
export interface ExploreNode {
  /** Address or name; a root bus has `0000:00`. */
  name: string;
  kind: 'bus' | 'device';
  title: string;
  driver?: string;
  group?: number;
  /** On bridges: `+` isolates, `-` does not, `?` not known. */
  mark?: '+' | '-' | '?';
  /** On bridges: what the mark rests on, in words. */
  because?: string;
  /** `+` rests on a claim of the command line. */
  claimed?: true;
  holder?: Holder;
  /** What the host uses it for, in words. */
  inUse?: string;
  /** Its place rests on facts that were not read. */
  uncertain?: true;
  children: ExploreNode[];
}

export interface ExploreReport extends Report<'explore'> {
  /** What `list` says. */
  list: ListReport;
  tree: ExploreNode[];
  /** Formats of `export`. */
  formats: { name: string; summary: string; scope: 'devices' | 'machine' }[];
}

/** What `show`, `why`, `check` and `plan --yes` say of one device. */
export interface ExploreDevice extends Report<'explore-device'> {
  show: ShowReport;
  why: WhyReport;
  /** The sentences of `why`, each with the devices it speaks of, to be drawn along the path. */
  chain: ReasonLine[];
  check: CheckReport;
  /** `problem`: why there is none. */
  plan: PlanReport | { problem: string };
}

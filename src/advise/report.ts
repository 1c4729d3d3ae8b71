/**
 * The reports every door prints: what `--json` writes, what the explorer reads. Field names are stable within
 * `version`; new fields may come. Documented in docs/reports.md.
 */

import type { DiffReport, ListReport, ShowReport, VerifyReport, WhyReport } from './report-groups.ts';
import type {
  ApplyReport,
  CheckReport,
  ExportReport,
  HandoverList,
  PlanReport,
  UndoReport,
} from './report-handover.ts';

export type * from './report-base.ts';
export { REPORT_VERSION } from './report-base.ts';
export type * from './report-groups.ts';
export type * from './report-handover.ts';

export type AnyReport =
  | ExportReport
  | ListReport
  | WhyReport
  | VerifyReport
  | ShowReport
  | DiffReport
  | CheckReport
  | PlanReport
  | ApplyReport
  | UndoReport
  | HandoverList;

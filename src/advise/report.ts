/**
 * The reports every door prints: what `--json` writes, what the explorer reads. Field names are stable within
 * `version`; new fields may come. Documented in docs/reports.md.
 */

import type {
  AbiCheckReport,
  AbiEntryLine,
  AbiSearchReport,
  AbiShowReport,
  AbiUndefinedReport,
} from './report-abi.ts';
import type { AbiLintReport, AbiMovesReport } from './report-abi-documents.ts';
import type { ExploreDevice, ExploreReport } from './report-explore.ts';
import type { DiffReport, ListReport, ShowReport, VerifyReport, WhyReport } from './report-groups.ts';
import type {
  ApplyReport,
  CheckReport,
  ExportReport,
  HandoverList,
  PlanReport,
  UndoReport,
} from './report-handover.ts';
import type { GoalReport, WhatIfReport } from './report-whatif.ts';

export type * from './report-abi.ts';
export type * from './report-abi-documents.ts';
export type * from './report-base.ts';
export { REPORT_VERSION } from './report-base.ts';
export type * from './report-explore.ts';
export type * from './report-groups.ts';
export type * from './report-handover.ts';
export type * from './report-whatif.ts';

export type AnyReport =
  | AbiEntryLine[]
  | AbiSearchReport
  | AbiShowReport
  | AbiUndefinedReport
  | AbiCheckReport
  | AbiLintReport
  | AbiMovesReport
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
  | HandoverList
  | WhatIfReport
  | GoalReport
  | ExploreReport
  | ExploreDevice;

/** Reports on what documents say: of entries, paths, a sysfs, programs. They speak of no machine's devices. */

import type { REPORT_VERSION } from './report-base.ts';

interface AbiReport<Kind extends string> {
  report: Kind;
  version: typeof REPORT_VERSION;
  /** Where the documents were read. */
  tree: string;
}

/** Where something is documented. */
export interface AbiPlace {
  /** The What, as it stands. */
  what: string;
  level: string;
  /** Below the tree. */
  file: string;
  line: number;
  /** Kernel version, else date, as the entry has it. */
  since?: string;
}

/** An entry with all its fields, as they stand. */
export interface AbiEntryLine {
  what: string[];
  level: string;
  file: string;
  line: number;
  date?: string;
  kernelVersion?: string;
  contact?: string;
  users?: string;
  description?: string;
}

export interface AbiSearchReport extends AbiReport<'abi-search'> {
  entries: AbiEntryLine[];
}

export interface AbiShowReport extends AbiReport<'abi-show'> {
  paths: AbiShownPath[];
}

export interface AbiShownPath {
  path: string;
  /** Other names of it: through links of the machine, else those that it has on any machine. */
  aliases: string[];
  /** The best first; empty: nothing documents it. */
  entries: (AbiEntryLine & { by: string; loose?: true })[];
  /** Nearest directory above that is documented, where the path is not. */
  above?: AbiPlace & { path: string };
}

export interface AbiUndefinedReport extends AbiReport<'abi-undefined'> {
  /** Files looked at. */
  files: number;
  undefined: string[];
  /** Documented files that are not there, though their directory is. */
  gone: (AbiPlace & { path: string })[];
  complete: boolean;
}

export interface AbiCheckReport extends AbiReport<'abi-check'> {
  verdict: 'yes' | 'no';
  programs: AbiProgram[];
}

export interface AbiProgram {
  file: string;
  /** What it depends on, in a sentence. */
  summary: string;
  uses: {
    path: string;
    /** Absent in a program: it has no lines. */
    lines?: number[];
    kind: 'documented' | 'directory' | 'elsewhere' | 'nowhere';
    documents: AbiPlace[];
  }[];
}

/** Where an attribute that `show` prints is documented. */
export interface AbiLink extends AbiPlace {
  attribute: string;
}

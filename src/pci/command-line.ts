/**
 * The kernel's command line, as far as it changes groups and the types of their domains. Read as the kernel reads
 * it: words split at blanks, quotes kept together, the last of several counts. Unknown words are passed over.
 */

import { type AcsOverride, parseAcsOverride } from './acs-override.ts';

export interface CommandLine {
  /** `pci=disable_acs_redir=`, `pci=config_acs=`: device lists as they stand. */
  disableAcsRedir?: string;
  configAcs?: string;
  /** `pci=noats`, `pci=noari` */
  noAts: boolean;
  noAri: boolean;
  /** `pcie_acs_override=` of the out-of-tree patch; a kernel without the patch ignores it. */
  acsOverride?: AcsOverride;
  intelIommu: IntelOptions;
  amdIommu: AmdOptions;
  iommu: IommuOptions;
  /** `iommu.passthrough=`; also what `iommu=pt` and `nopt` say. */
  iommuPassthrough?: boolean;
  /** `iommu.strict=`; also what the drivers' older spellings of it say. */
  iommuStrict?: boolean;
  /** What the kernel refuses, for the report. */
  notes: string[];
}

export interface IntelOptions {
  /** on, off; absent: as the kernel was built. */
  enabled?: boolean;
  /** `igfx_off`: graphics-only units are ignored. */
  igfxOff: boolean;
  /** `on` given: integrated graphics is translated even where it defaults to off; `intgpu_off` undoes it. */
  mapIntegratedGraphics?: boolean;
  strict: boolean;
  /** `sm_on`, `sm_off` */
  scalableMode?: boolean;
  /** `sp_off` */
  superPages: boolean;
  tbootNoForce: boolean;
}

export interface AmdOptions {
  off: boolean;
  fullFlush: boolean;
  /** Every device gets a translated domain, pass-through or not. */
  forceIsolation: boolean;
  forceEnable: boolean;
  pageTable?: 'v1' | 'v2';
}

export interface IommuOptions {
  off: boolean;
  force: boolean;
  /** `pt` true, `nopt` false. */
  passthrough?: boolean;
  strict?: boolean;
  /** Kernels up to 3.5: functions of one slot share a group. */
  groupMf: boolean;
  soft: boolean;
}

/** Longest line any architecture passes on is shorter (`COMMAND_LINE_SIZE`). */
const MAX_LENGTH = 16384;

/** Never throws: a kernel boots with any command line. */
export function parseCommandLine(text: string): CommandLine {
  const line: CommandLine = {
    noAts: false,
    noAri: false,
    intelIommu: { igfxOff: false, strict: false, superPages: true, tbootNoForce: false },
    amdIommu: { off: false, fullFlush: false, forceIsolation: false, forceEnable: false },
    iommu: { off: false, force: false, groupMf: false, soft: false },
    notes: [],
  };
  for (const [name, value] of splitCommandLine(text.slice(0, MAX_LENGTH))) {
    const read = PARAMETERS.get(name);
    if (read !== undefined && value !== undefined) read(line, value);
  }
  return line;
}

/** One word of a command line. */
export interface CommandWord {
  /** As it stands there, quotes included. */
  raw: string;
  /** Before the first `=`, or the whole word. Dashes and underscores are the same in it and stand as underscores. */
  name: string;
  /** Absent where there is no `=`. */
  value: string | undefined;
  /** Index behind it. */
  end: number;
}

/**
 * Words of a command line (`next_arg`): blanks split unless quoted, one pair of quotes around a value goes. Ends at
 * a lone `--`, behind which everything belongs to init.
 */
export function* wordsOf(text: string): Generator<CommandWord> {
  let at = 0;
  while (at < text.length) {
    while (at < text.length && isBlank(text[at]!)) at++;
    if (at >= text.length) break;
    const begin = at;
    let start = at;
    let inQuotes = false;
    let equals = -1;
    let quotedWhole = false;
    if (text[at] === '"') {
      start = ++at;
      inQuotes = true;
      quotedWhole = true;
    }
    for (; at < text.length; at++) {
      const char = text[at]!;
      if (isBlank(char) && !inQuotes) break;
      if (equals < 0 && char === '=' && at > start) equals = at;
      if (char === '"') inQuotes = !inQuotes;
    }
    const raw = text.slice(begin, at);
    let end = at;
    if (quotedWhole && text[end - 1] === '"' && end > start) end--;
    if (equals < 0) {
      const word = text.slice(start, end);
      if (word === '--') break;
      yield { raw, name: normal(word), value: undefined, end: at };
      continue;
    }
    let value = text.slice(equals + 1, end);
    if (value.startsWith('"'))
      value = value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value.slice(1);
    yield { raw, name: normal(text.slice(start, equals)), value, end: at };
  }
}

/** The same as pairs. */
export function splitCommandLine(text: string): [name: string, value: string | undefined][] {
  return Array.from(wordsOf(text), ({ name, value }) => [name, value]);
}

/** Dashes and underscores are the same in names (`parameq`). */
function normal(name: string): string {
  return name.replaceAll('-', '_');
}

function isBlank(char: string): boolean {
  return /\s/.test(char);
}

const PARAMETERS: ReadonlyMap<string, (line: CommandLine, value: string) => void> = new Map([
  ['pci', readPci],
  ['intel_iommu', readIntel],
  ['amd_iommu', readAmd],
  ['iommu', readIommu],
  [
    'iommu.passthrough',
    (line, value) => {
      const passthrough = kstrtobool(value);
      if (passthrough !== undefined) line.iommuPassthrough = passthrough;
    },
  ],
  [
    'iommu.strict',
    (line, value) => {
      const strict = kstrtobool(value);
      if (strict !== undefined) line.iommuStrict = strict;
    },
  ],
  [
    'pcie_acs_override',
    (line, value) => {
      const { override, notes } = parseAcsOverride(value);
      const before = line.acsOverride;
      // Handled option by option as it is met, so several add up.
      line.acsOverride = {
        downstream: override.downstream || before?.downstream === true,
        multifunction: override.multifunction || before?.multifunction === true,
        ids: [...(before?.ids ?? []), ...override.ids],
      };
      line.notes.push(...notes);
    },
  ],
]);

/** Options are compared by how they begin, as the kernel does: `onwards` is `on`. The first that fits counts. */
function* optionsOf<T extends string>(value: string, known: readonly T[]): Iterable<T> {
  for (const option of value.split(',')) {
    const found = known.find((prefix) => option.startsWith(prefix));
    if (found !== undefined) yield found;
  }
}

/** A comma ends an option, so device lists within one are separated by semicolons. */
function readPci(line: CommandLine, value: string): void {
  for (const option of value.split(',')) {
    if (option.startsWith('disable_acs_redir='))
      line.disableAcsRedir = option.slice('disable_acs_redir='.length);
    else if (option.startsWith('config_acs=')) line.configAcs = option.slice('config_acs='.length);
    else if (option.startsWith('noats')) line.noAts = true;
    else if (option.startsWith('noari')) line.noAri = true;
  }
}

const INTEL = [
  'on',
  'off',
  'igfx_off',
  'intgpu_off',
  'strict',
  'sp_off',
  'sm_on',
  'sm_off',
  'tboot_noforce',
] as const;

/** `intel_iommu_setup` */
function readIntel(line: CommandLine, value: string): void {
  const intel = line.intelIommu;
  for (const option of optionsOf(value, INTEL)) {
    if (option === 'on') {
      intel.enabled = true;
      intel.mapIntegratedGraphics = true;
    } else if (option === 'off') intel.enabled = false;
    else if (option === 'igfx_off') intel.igfxOff = true;
    else if (option === 'intgpu_off') intel.mapIntegratedGraphics = false;
    else if (option === 'sp_off') intel.superPages = false;
    else if (option === 'sm_on') intel.scalableMode = true;
    else if (option === 'sm_off') intel.scalableMode = false;
    else if (option === 'tboot_noforce') intel.tbootNoForce = true;
    else {
      intel.strict = true;
      line.iommuStrict = true;
    }
  }
}

const AMD = ['fullflush', 'force_enable', 'off', 'force_isolation', 'pgtbl_v1', 'pgtbl_v2'] as const;

/** `parse_amd_iommu_options` */
function readAmd(line: CommandLine, value: string): void {
  const amd = line.amdIommu;
  for (const option of optionsOf(value, AMD)) {
    if (option === 'force_enable') amd.forceEnable = true;
    else if (option === 'off') amd.off = true;
    else if (option === 'force_isolation') amd.forceIsolation = true;
    else if (option === 'pgtbl_v1') amd.pageTable = 'v1';
    else if (option === 'pgtbl_v2') amd.pageTable = 'v2';
    else {
      amd.fullFlush = true;
      line.iommuStrict = true;
    }
  }
}

const GENERIC = ['off', 'force', 'noforce', 'soft', 'pt', 'nopt', 'strict', 'group_mf'] as const;

/** `iommu_setup` of x86, and `group_mf` of the drivers up to 3.5. */
function readIommu(line: CommandLine, value: string): void {
  const { iommu } = line;
  for (const option of optionsOf(value, GENERIC)) {
    if (option === 'off') iommu.off = true;
    else if (option === 'force') iommu.force = true;
    else if (option === 'noforce') iommu.force = false;
    else if (option === 'soft') iommu.soft = true;
    else if (option === 'strict') iommu.strict = true;
    else if (option === 'group_mf') iommu.groupMf = true;
    else {
      iommu.passthrough = option === 'pt';
      line.iommuPassthrough = option === 'pt';
    }
  }
}

/** `kstrtobool`: y, Y, 1, t, on; n, N, 0, f, of. */
export function kstrtobool(text: string): boolean | undefined {
  if (/^(?:[yYtT1]|o[nN]|O[nN])/.test(text)) return true;
  if (/^(?:[nNfF0]|o[fF]|O[fF])/.test(text)) return false;
  return undefined;
}

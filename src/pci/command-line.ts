/**
 * The kernel's command line, as far as it changes groups and the types of their domains. Read as the kernel reads
 * it: words split at blanks, quotes kept together, the last of several counts. Unknown words are passed over.
 */

import { type AcsOverride, parseAcsOverride } from './acs-override.ts';

export interface CommandLine {
  /** `pci=disable_acs_redir=`, `pci=config_acs=`: device lists as they stand. */
  disableAcsRedir?: string;
  configAcs?: string;
  /** `pci=noats` */
  noAts: boolean;
  /** `pcie_acs_override=` of the out-of-tree patch; a kernel without the patch ignores it. */
  acsOverride?: AcsOverride;
  intelIommu: IntelOptions;
  amdIommu: AmdOptions;
  iommu: IommuOptions;
  /** `iommu.passthrough=`; also what `iommu=pt` and `nopt` say. */
  iommuPassthrough?: boolean;
  /** `iommu.strict=`; also what the drivers' older spellings of it say. */
  iommuStrict?: boolean;
  /** The word that keeps interrupts from being remapped, or remapped safely: `intremap=off`, `nointremap`. */
  interruptRemappingOff?: string;
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
  /** `sm_on`, `sm_off`; absent: as the kernel was built. */
  scalableMode?: boolean;
}

export interface AmdOptions {
  off: boolean;
  /** Every device gets a translated domain, pass-through or not. */
  forceIsolation: boolean;
  forceEnable: boolean;
  /** `ivrs_ioapic`: an I/O APIC that firmware forgot is named. */
  namesIoapic: boolean;
}

export interface IommuOptions {
  off: boolean;
  /** Kernels up to 3.5: functions of one slot share a group. */
  groupMf: boolean;
}

/** Longest line any architecture passes on is shorter (`COMMAND_LINE_SIZE`). */
const MAX_LENGTH = 16384;

/** Never throws: a kernel boots with any command line. */
export function parseCommandLine(text: string): CommandLine {
  const line: CommandLine = {
    noAts: false,
    intelIommu: { igfxOff: false },
    amdIommu: { off: false, forceIsolation: false, forceEnable: false, namesIoapic: false },
    iommu: { off: false, groupMf: false },
    notes: [],
  };
  const words = splitCommandLine(text.slice(0, MAX_LENGTH));
  for (const [name, value] of words) {
    const read = PARAMETERS.get(name);
    if (read !== undefined && value !== undefined) read(line, value);
    // This one stands in front of the number of the I/O APIC: `ivrs_ioapic[4]=00:14.0`.
    if (name.startsWith('ivrs_ioapic')) line.amdIommu.namesIoapic = true;
  }
  const off = interruptRemappingOff(words);
  if (off !== undefined) line.interruptRemappingOff = off;
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
  }
}

const INTEL = ['on', 'off', 'igfx_off', 'intgpu_off', 'strict', 'sm_on', 'sm_off'] as const;

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
    else if (option === 'sm_on') intel.scalableMode = true;
    else if (option === 'sm_off') intel.scalableMode = false;
    else line.iommuStrict = true;
  }
}

const AMD = ['fullflush', 'force_enable', 'off', 'force_isolation'] as const;

/** `parse_amd_iommu_options` */
function readAmd(line: CommandLine, value: string): void {
  const amd = line.amdIommu;
  for (const option of optionsOf(value, AMD)) {
    if (option === 'force_enable') amd.forceEnable = true;
    else if (option === 'off') amd.off = true;
    else if (option === 'force_isolation') amd.forceIsolation = true;
    else line.iommuStrict = true;
  }
}

const GENERIC = ['off', 'pt', 'nopt', 'group_mf'] as const;

/** `iommu_setup` of x86, and `group_mf` of the drivers up to 3.5. */
function readIommu(line: CommandLine, value: string): void {
  const { iommu } = line;
  for (const option of optionsOf(value, GENERIC)) {
    if (option === 'off') iommu.off = true;
    else if (option === 'group_mf') iommu.groupMf = true;
    else line.iommuPassthrough = option === 'pt';
  }
}

/**
 * `nointremap` and `intremap=` (`setup_irqremap`); of several the last one counts. Without source ids any device can
 * raise the interrupts of others, and nothing takes `nosid` back.
 */
function interruptRemappingOff(
  words: readonly [name: string, value: string | undefined][],
): string | undefined {
  let off: string | undefined;
  let noSourceIds = false;
  for (const [name, value] of words) {
    if (name === 'nointremap') off = name;
    if (name !== 'intremap') continue;
    for (const option of value?.split(',') ?? []) {
      if (option.startsWith('on')) off = undefined;
      else if (option.startsWith('off')) off = 'intremap=off';
      else if (option.startsWith('nosid')) noSourceIds = true;
    }
  }
  return off ?? (noSourceIds ? 'intremap=nosid' : undefined);
}

/** `kstrtobool`: y, Y, 1, t, on; n, N, 0, f, of. */
export function kstrtobool(text: string): boolean | undefined {
  if (/^(?:[yYtT1]|o[nN]|O[nN])/.test(text)) return true;
  if (/^(?:[nNfF0]|o[fF]|O[fF])/.test(text)) return false;
  return undefined;
}

/**
 * Whether a device could raise interrupts that are not its own (isolated MSI): a matter of the platform and of the
 * command line, the same for every device.
 */

import type { CommandLine } from '../../pci/command-line.ts';
import { parseDmar } from '../firmware/dmar.ts';
import { parseIort } from '../firmware/iort.ts';
import { parseIvrs, unitsOfIvrs } from '../firmware/ivrs.ts';
import { readTable } from '../firmware/read-table.ts';
import { bitOf, type RecordedIommu, register, VTD_NAME } from './input.ts';

/** What it follows from; parts of `DetectInput`. */
export interface InterruptFacts {
  acpi: Readonly<Record<string, string>>;
  iommus?: readonly RecordedIommu[] | undefined;
  commandLine: CommandLine;
  /** Absent: what stands in `commandLine` is all there was. */
  commandLineUnknown?: boolean | undefined;
  arch?: string | undefined;
}

/** `isolated` undefined: not known. `detail` names the word, the IOMMU or the fault the answer rests on. */
export type InterruptIsolation =
  | { isolated: true; because: 'vt-d' | 'amd-vi' | 'its' }
  | { isolated: false; because: 'command-line' | 'unit'; detail: string }
  | { isolated: false; because: 'dmar-flag' | 'no-ioapic' | 'no-its' | 'no-table' }
  | { isolated: undefined; because: 'bad-table'; detail: string }
  | { isolated: undefined; because: 'unread-tables' | 'unread-command-line' };

const ECAP_INTERRUPT_REMAPPING = 1n << 3n;

/** `irq_remapping_prepare`, and what interrupt controllers of Arm do without it. */
export function interruptIsolation(facts: InterruptFacts): InterruptIsolation {
  const off = facts.commandLine.interruptRemappingOff;
  if (off !== undefined) return { isolated: false, because: 'command-line', detail: off };
  const platform = byPlatform(facts);
  if (platform.isolated === true && facts.commandLineUnknown === true) {
    return { isolated: undefined, because: 'unread-command-line' };
  }
  return platform;
}

function byPlatform(facts: InterruptFacts): InterruptIsolation {
  const { acpi, arch } = facts;
  if ('DMAR' in acpi) return byDmar(facts);
  if ('IVRS' in acpi) return byIvrs(facts);
  if ('IORT' in acpi) return byIort(facts);
  // Units that are known without their table: one of them can rule it out, none can vouch for firmware.
  const unable = unableUnit(facts);
  if (unable !== undefined) return unable;
  return Object.keys(acpi).length > 0 && arch === 'x86_64'
    ? { isolated: false, because: 'no-table' }
    : { isolated: undefined, because: 'unread-tables' };
}

/**
 * `intel_prepare_irq_remapping`: firmware offers it, and every unit is able to. Firmware has to offer it only where
 * all are, so it is believed of units whose registers were not recorded.
 */
function byDmar(facts: InterruptFacts): InterruptIsolation {
  const notes: string[] = [];
  const dmar = readTable(facts.acpi, 'DMAR', parseDmar, notes);
  if (dmar === undefined) return badTable(notes);
  if (!dmar.interruptRemapping) return { isolated: false, because: 'dmar-flag' };
  return unableUnit(facts) ?? { isolated: true, because: 'vt-d' };
}

function unableUnit({ iommus }: InterruptFacts): InterruptIsolation | undefined {
  const unable = iommus?.find(
    (iommu) =>
      VTD_NAME.test(iommu.name) && bitOf(register(iommu, 'ecap'), ECAP_INTERRUPT_REMAPPING) === false,
  );
  return unable && { isolated: false, because: 'unit', detail: unable.name };
}

/** `check_ioapic_information`: without the I/O APIC in its table the driver switches remapping off. */
function byIvrs({ acpi, commandLine }: InterruptFacts): InterruptIsolation {
  const notes: string[] = [];
  const ivrs = readTable(acpi, 'IVRS', parseIvrs, notes);
  if (ivrs === undefined) return badTable(notes);
  const listed = unitsOfIvrs(ivrs).some((unit) =>
    unit.entries.some((entry) => entry.kind === 'special' && entry.what === 'ioapic'),
  );
  return listed || commandLine.amdIommu.namesIoapic
    ? { isolated: true, because: 'amd-vi' }
    : { isolated: false, because: 'no-ioapic' };
}

/** On Arm the interrupt controller's translation service isolates by device id. */
function byIort({ acpi }: InterruptFacts): InterruptIsolation {
  const notes: string[] = [];
  const iort = readTable(acpi, 'IORT', parseIort, notes);
  if (iort === undefined) return badTable(notes);
  return iort.translatesInterrupts
    ? { isolated: true, because: 'its' }
    : { isolated: false, because: 'no-its' };
}

function badTable(notes: readonly string[]): InterruptIsolation {
  return { isolated: undefined, because: 'bad-table', detail: notes.at(-1) ?? '' };
}

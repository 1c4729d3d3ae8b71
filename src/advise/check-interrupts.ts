/**
 * Whether a device could raise interrupts that are not its own (isolated MSI): a matter of the platform and of the
 * command line, the same for every device.
 */

import type { Snapshot } from '../host/snapshot.ts';
import { bytesOfHex, readAcpiTable } from '../iommu/firmware/acpi-table.ts';
import { parseDmar } from '../iommu/firmware/dmar.ts';
import { parseIvrs, unitsOfIvrs } from '../iommu/firmware/ivrs.ts';
import { InputError } from '../kernel/errors.ts';
import { splitCommandLine } from '../pci/command-line.ts';

export interface InterruptIsolation {
  /** `undefined`: not known. */
  isolated: boolean | undefined;
  because: string;
  remedy?: string;
}

const ECAP_INTERRUPT_REMAPPING = 1n << 3n;
/** IORT: how many nodes, where they begin; type of a node that stands for a GIC's translation service. */
const IORT_COUNT = 36;
const IORT_FIRST = 40;
const ITS_GROUP = 0;

export function interruptIsolation(snapshot: Snapshot): InterruptIsolation {
  const { acpi, arch, kernel } = snapshot;
  const off = switchedOff(kernel.cmdline);
  if (off !== undefined) return off;
  const platform = fromTables(snapshot);
  if (platform.isolated === true && kernel.cmdline === undefined) {
    return { isolated: undefined, because: 'the kernel command line, which may switch it off, is not known' };
  }
  if (platform.isolated !== undefined || Object.keys(acpi).length === 0 || arch !== 'x86_64') return platform;
  return {
    isolated: false,
    because: 'neither a DMAR nor an IVRS table is there, so nothing remaps interrupts',
    remedy: 'in a virtual machine, give it an IOMMU with interrupt remapping',
  };
}

/** `intremap=`, `nointremap` (`setup_irqremap`); of several the last one counts. */
function switchedOff(cmdline: string | undefined): InterruptIsolation | undefined {
  let off: string | undefined;
  let noSid = false;
  for (const [name, value] of splitCommandLine(cmdline ?? '')) {
    if (name === 'nointremap') off = name;
    if (name !== 'intremap') continue;
    for (const option of value?.split(',') ?? []) {
      if (option.startsWith('on')) off = undefined;
      else if (option.startsWith('off')) off = 'intremap=off';
      else if (option.startsWith('nosid')) noSid = true;
    }
  }
  const word = off ?? (noSid ? 'intremap=nosid' : undefined);
  if (word === undefined) return undefined;
  return {
    isolated: false,
    because: `the kernel command line says ${word}`,
    remedy: 'remove it from the boot loader configuration',
  };
}

function fromTables(snapshot: Snapshot): InterruptIsolation {
  const { acpi } = snapshot;
  try {
    if (acpi.DMAR !== undefined) return fromDmar(acpi.DMAR, snapshot);
    if (acpi.IVRS !== undefined) return fromIvrs(acpi.IVRS, snapshot.kernel.cmdline);
    if (acpi.IORT !== undefined) return fromIort(acpi.IORT);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { isolated: undefined, because: `the firmware table cannot be read (${error.message})` };
  }
  return {
    isolated: undefined,
    because: 'the firmware tables that tell are not recorded',
    remedy: 'run it on the machine as root, or on what `sudo ringfence capture` recorded there',
  };
}

/** `dmar_ir_support`, and every unit must be able to. */
function fromDmar(hex: string, { iommus }: Snapshot): InterruptIsolation {
  if (!parseDmar(bytesOfHex('DMAR', hex)).interruptRemapping) {
    return {
      isolated: false,
      because: "firmware's DMAR table does not offer interrupt remapping",
      remedy: 'look for VT-d or interrupt remapping in the firmware setup',
    };
  }
  const unable = iommus?.find(({ registers }) => {
    const ecap = registers?.ecap;
    if (ecap === undefined || !/^[0-9a-f]{1,16}$/i.test(ecap)) return false;
    return (BigInt(`0x${ecap}`) & ECAP_INTERRUPT_REMAPPING) === 0n;
  });
  return unable === undefined
    ? { isolated: true, because: 'VT-d remaps interrupts' }
    : { isolated: false, because: `${unable.name} cannot remap interrupts, so the kernel does without` };
}

/** `check_ioapic_information`: without the I/O APIC in its table the driver switches remapping off. */
function fromIvrs(hex: string, cmdline = ''): InterruptIsolation {
  const entries = unitsOfIvrs(parseIvrs(bytesOfHex('IVRS', hex))).flatMap((unit) => unit.entries);
  const listed = entries.some((entry) => entry.kind === 'special' && entry.what === 'ioapic');
  if (listed || /(^|\s)ivrs_ioapic/.test(cmdline))
    return { isolated: true, because: 'AMD-Vi remaps interrupts' };
  return {
    isolated: false,
    because: "firmware's IVRS table does not list the I/O APIC, so the kernel does not remap interrupts",
    remedy: 'update the firmware, or name it with ivrs_ioapic= on the kernel command line',
  };
}

/** On Arm the interrupt controller's translation service isolates by device id. */
function fromIort(hex: string): InterruptIsolation {
  const { bytes } = readAcpiTable('IORT', bytesOfHex('IORT', hex));
  const count = bytes.u32(IORT_COUNT);
  let at = bytes.u32(IORT_FIRST);
  for (let i = 0; i < count && at + 4 <= bytes.length; i++) {
    if (bytes.u8(at) === ITS_GROUP) return { isolated: true, because: 'the GIC isolates interrupts (ITS)' };
    const length = bytes.u16(at + 1);
    if (length === 0) break;
    at += length;
  }
  return { isolated: false, because: "firmware's IORT table names no interrupt translation service" };
}

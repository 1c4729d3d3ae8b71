/** Whether a device could raise interrupts that are not its own (isolated MSI): the drivers' answer in words. */

import type { Snapshot } from '../host/snapshot.ts';
import * as drivers from '../iommu/drivers/interrupt-remapping.ts';
import { parseCommandLine } from '../pci/command-line.ts';

export interface InterruptIsolation {
  /** `undefined`: not known. */
  isolated: boolean | undefined;
  because: string;
  remedy?: string;
}

export function interruptIsolation({ acpi, iommus, kernel, arch }: Snapshot): InterruptIsolation {
  const answer = drivers.interruptIsolation({
    acpi,
    iommus,
    commandLine: parseCommandLine(kernel.cmdline ?? ''),
    commandLineUnknown: kernel.cmdline === undefined,
    arch,
  });
  return { isolated: answer.isolated, ...inWords(answer) };
}

function inWords(answer: drivers.InterruptIsolation): { because: string; remedy?: string } {
  switch (answer.because) {
    case 'vt-d':
      return { because: 'VT-d remaps interrupts' };
    case 'amd-vi':
      return { because: 'AMD-Vi remaps interrupts' };
    case 'its':
      return { because: 'the GIC isolates interrupts (ITS)' };
    case 'command-line':
      return {
        because: `the kernel command line says ${answer.detail}`,
        remedy: 'remove it from the boot loader configuration',
      };
    case 'unit':
      return { because: `${answer.detail} cannot remap interrupts, so the kernel does without` };
    case 'dmar-flag':
      return {
        because: "firmware's DMAR table does not offer interrupt remapping",
        remedy: 'look for VT-d or interrupt remapping in the firmware setup',
      };
    case 'no-ioapic':
      return {
        because: "firmware's IVRS table does not list the I/O APIC, so the kernel does not remap interrupts",
        remedy: 'update the firmware, or name it with ivrs_ioapic= on the kernel command line',
      };
    case 'no-its':
      return { because: "firmware's IORT table names no interrupt translation service" };
    case 'no-table':
      return {
        because: 'neither a DMAR nor an IVRS table is there, so nothing remaps interrupts',
        remedy: 'in a virtual machine, give it an IOMMU with interrupt remapping',
      };
    case 'bad-table':
      return { because: `the firmware table cannot be read (${answer.detail})` };
    case 'unread-tables':
      return {
        because: 'the firmware tables that tell are not recorded',
        remedy: 'run it on the machine as root, or on what `sudo ringfence capture` recorded there',
      };
    case 'unread-command-line':
      return { because: 'the kernel command line, which may switch it off, is not known' };
  }
}

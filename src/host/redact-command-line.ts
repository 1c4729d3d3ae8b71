/**
 * The kernel command line without what identifies one specimen of a machine or lets somebody in: disks by serial
 * number, file systems by UUID, addresses, host names, passwords of installers. They come in too many notations to
 * be searched for, so the rule is the other way round: values stay where their parameter is known to hold nothing of
 * the kind, and everywhere else only the parameter's name does.
 *
 * Reports are made with the same function, so that those of a machine and of its capture are the same.
 */

import { wordsOf } from '../pci/command-line.ts';

const REMOVED = '…';

/** Parameters that the rules read: their values stay to the letter. */
const DECIDES = /^(?:pci|pcie_acs_override|iommu|iommu\.\w+|intel_iommu|amd_iommu|intremap)$/;

/** Others whose values are words, numbers and ids of kinds of devices, by what they are looked at for. */
const HARMLESS: readonly RegExp[] = [
  // Isolation, and who gets which device.
  /^(?:pcie_\w+|pciehp|vfio\w*|iommufd|pci_stub|xen_pciback|arm_smmu\w*|virtio_iommu|kvm(?:_intel|_amd)?)(?:\.\w+)?$/,
  /^(?:amd_iommu_\w+|ivrs_\w+(?:\[[^\]]*\])?|swiotlb|iomem|memory_corruption_check)$/,
  /^(?:\w+\.)?mod(?:s|ules|ules_load)$/,
  /^(?:module_blacklist|modprobe\.blacklist|rd\.driver\.(?:blacklist|pre|post)|initcall_blacklist)$/,
  // Who has the display.
  /^(?:video|vga|fbcon|efifb|(?:i915|xe|nouveau|nvidia\w*|amdgpu|radeon|snd_hda_intel|drm)\.\w+)$/,
  // Memory and processors set aside for guests.
  /^(?:hugepages|hugepagesz|default_hugepagesz|transparent_hugepage|isolcpus|nohz_full|rcu_nocbs|mem|crashkernel|cma)$/,
  // How the machine was brought up.
  /^(?:console|earlycon|earlyprintk|loglevel|log_buf_len|panic|oops|mitigations|tsc|clocksource|nmi_watchdog)$/,
  /^(?:acpi|acpi_\w+|apic|efi|reboot|lsm|security|selinux|apparmor|audit|preempt|maxcpus|nr_cpus|init_on_alloc)$/,
  /^(?:intel_idle|processor|intel_pstate|amd_pstate|nvme_core|random|usbcore|cryptomgr)(?:\.\w+)?$/,
];

/** A switch tells nothing, whatever it switches; nor does the address of a PCI function (and how many of it). */
const SWITCH = /^(?:on|off|yes|no|y|n|true|false|auto|none|0|1)$/i;
const PCI_FUNCTIONS =
  /^(?:[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\/\d{1,3})?)(?:,[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])*$/i;

/** Six hex pairs, three hex quadruples with points, UUIDs and long hex numbers: no value that stays looks like one. */
const IDENTITY = /[0-9a-f]{2}(?:[-:.][0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}|[0-9a-f]{12}/i;
/** What names of parameters look like. */
const NAME = /^[a-z0-9_][\w.[\]-]{0,63}$/i;
const NO_NAME = /^[\d.]+$|\d{5}|[0-9a-f]{8}/i;

/** Doing it twice changes nothing more; what the rules read of the line is the same before and after. */
export function redactCommandLine(line: string): string {
  const words: string[] = [];
  let end = 0;
  for (const word of wordsOf(line)) {
    end = word.end;
    words.push(
      word.value === undefined ? redactName(word.raw) : redactValue(word.raw, word.name, word.value),
    );
  }
  // What stands behind a lone `--` is init's.
  if (line.slice(end).trim() !== '') words.push('--', REMOVED);
  return words.join(' ');
}

function redactName(word: string): string {
  return NAME.test(word) && !NO_NAME.test(word) && !IDENTITY.test(word) ? word : REMOVED;
}

function redactValue(raw: string, name: string, value: string): string {
  if (DECIDES.test(name)) return raw;
  const harmless =
    value === '' || SWITCH.test(value) || PCI_FUNCTIONS.test(value) || HARMLESS.some((p) => p.test(name));
  if (harmless && !IDENTITY.test(value) && redactName(name) === name) return raw;
  const own = raw.replace(/^"/, '').split('=', 1)[0]!;
  return `${redactName(own)}=${REMOVED}`;
}

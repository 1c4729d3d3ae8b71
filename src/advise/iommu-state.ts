/** Whether an IOMMU translates on this machine, and what is missing where none does. */

import { hasGroups } from '../host/formed.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { parseCommandLine } from '../pci/command-line.ts';
import { ClassCode, hasClass, Vendor } from '../pci/numbers.ts';
import type { IommuState } from './report.ts';

type Maker = 'intel' | 'amd' | 'arm' | 'unknown';

/** The state of the IOMMU on the recorded machine, with what to mend first. */
export function iommuState(snapshot: Snapshot): IommuState {
  if (hasGroups(snapshot)) return { state: 'on', missing: [] };
  if (snapshot.groups === undefined) {
    return {
      state: 'unknown',
      missing: [
        {
          what: 'unknown',
          detail: 'the recording does not tell which groups the kernel formed',
          remedy:
            'record it with `ringfence capture`, or with `lspci -vvnn` of pciutils 3.7 or newer as root',
        },
      ],
    };
  }
  return { state: 'off', missing: missing(snapshot) };
}

function missing(snapshot: Snapshot): IommuState['missing'] {
  const words = parseCommandLine(snapshot.kernel.cmdline ?? '');
  const maker = makerOf(snapshot);
  const tables = ['DMAR', 'IVRS', 'VIOT', 'IORT'].filter((name) => name in snapshot.acpi);
  const found: IommuState['missing'] = [];

  if (tables.length === 0 && (snapshot.iommus?.length ?? 0) === 0 && !hasIommuFunction(snapshot)) {
    found.push(
      maker === 'intel' || maker === 'amd'
        ? {
            what: 'firmware',
            detail: `no IOMMU shows in the firmware (no ${maker === 'intel' ? 'DMAR' : 'IVRS'} table was seen)`,
            remedy: `switch on ${maker === 'intel' ? 'VT-d' : 'IOMMU (AMD-Vi)'} in the firmware setup; a virtual machine needs one from its host`,
          }
        : {
            what: 'hardware',
            detail: 'no IOMMU was found',
            remedy:
              'a virtual machine needs one from its host; on hardware, look for it in the firmware setup',
          },
    );
  }
  if (words.iommu.off) {
    found.push({
      what: 'command line',
      detail: 'the kernel command line says iommu=off',
      remedy: 'remove it from the boot loader configuration',
    });
  }
  if (maker === 'amd' && words.amdIommu.off) {
    found.push({
      what: 'command line',
      detail: 'the kernel command line says amd_iommu=off',
      remedy: 'remove it from the boot loader configuration',
    });
  }
  if (maker === 'intel' && words.intelIommu.enabled !== true) {
    found.push({
      what: 'command line',
      detail:
        words.intelIommu.enabled === false
          ? 'the kernel command line says intel_iommu=off'
          : 'most distribution kernels leave VT-d off until told otherwise',
      remedy: 'boot with intel_iommu=on',
    });
  }
  if (found.length === 0) {
    found.push({
      what: 'kernel',
      detail: 'an IOMMU is there, and the kernel formed no groups',
      remedy: 'look for DMAR or AMD-Vi messages in `dmesg`; the kernel may lack the driver',
    });
  }
  return found;
}

function makerOf(snapshot: Snapshot): Maker {
  if (snapshot.arch?.startsWith('aarch64') || snapshot.arch?.startsWith('arm')) return 'arm';
  if ('DMAR' in snapshot.acpi) return 'intel';
  if ('IVRS' in snapshot.acpi) return 'amd';
  for (const device of snapshot.devices) {
    if (!hasClass(device.class, ClassCode.HostBridge)) continue;
    if (device.vendor === Vendor.Intel) return 'intel';
    if (device.vendor === Vendor.Amd) return 'amd';
  }
  return 'unknown';
}

function hasIommuFunction(snapshot: Snapshot): boolean {
  return snapshot.devices.some((device) => hasClass(device.class, ClassCode.Iommu));
}

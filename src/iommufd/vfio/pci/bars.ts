/** Base address registers as a program sees them. */

import { type PciResource, ROM_RESOURCE } from './hardware.ts';
import type { RegisterBytes } from './register-bytes.ts';
import { Header, ROM_ENABLE } from './registers.ts';

/** Lowest bits of a BAR (`PCI_BASE_ADDRESS_*`). */
const BarBits = { Io: 0x1, Wide: 0x4, Prefetchable: 0x8 } as const;

export function isBar(at: number): boolean {
  return (at >= Header.FirstBar && at < Header.LastBar + 4) || (at >= Header.Rom && at < Header.Rom + 4);
}

/**
 * `vfio_bar_fixup`: whatever a program wrote, the BARs answer as hardware would, so that it can find their sizes by
 * writing ones.
 */
export function shapeBars(shown: RegisterBytes, resources: readonly (PciResource | undefined)[]): void {
  for (let bar = 0; bar < ROM_RESOURCE; bar++) {
    const at = Header.FirstBar + 4 * bar;
    const resource = resources[bar];
    const mask = sizeMask(resource);
    shown.write(at, 4, (shown.read(at, 4) & Number(mask & 0xffff_ffffn)) | kindBits(resource));
    if (mask === 0n || resource?.wide !== true || bar + 1 === ROM_RESOURCE) continue;
    bar++;
    shown.write(at + 4, 4, shown.read(at + 4, 4) & Number(mask >> 32n));
  }
  const mask = Number(sizeMask(resources[ROM_RESOURCE]) & 0xffff_ffffn);
  shown.write(Header.Rom, 4, shown.read(Header.Rom, 4) & (mask === 0 ? 0 : mask | ROM_ENABLE));
}

/** Bits of an address that can be set. What the host gave no address is not there for a program. */
function sizeMask(resource: PciResource | undefined): bigint {
  return resource === undefined || resource.start === 0n ? 0n : BigInt.asUintN(64, ~(resource.size - 1n));
}

/** `vfio_generate_bar_flags`. */
function kindBits(resource: PciResource | undefined): number {
  if (resource === undefined || resource.start === 0n) return 0;
  if (resource.kind === 'io') return BarBits.Io;
  return (
    (resource.prefetchable === true ? BarBits.Prefetchable : 0) | (resource.wide === true ? BarBits.Wide : 0)
  );
}

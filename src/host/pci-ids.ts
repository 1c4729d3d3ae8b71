/** Where Linux distributions keep pci.ids, and reading it. Without one, devices have numbers only. */

import { readFileSync } from 'node:fs';
import { PciIds } from '../pci/ids.ts';

/** Debian's package pci.ids, then hwdata's (Fedora, Arch), in this order. */
const PLACES = ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids'];

/** The first readable pci.ids of this machine; an empty one where there is none. */
export function readPciIds(places: readonly string[] = PLACES): PciIds {
  return new PciIds(readPciIdsFile(places) ?? '');
}

/** Its bytes. */
export function readPciIdsFile(places: readonly string[] = PLACES): Uint8Array | undefined {
  for (const place of places) {
    try {
      return readFileSync(place);
    } catch {
      // Not here: the next place, and numbers in the end.
    }
  }
  return undefined;
}

/** Which functions are never handed over: bridges stay with the host, whatever group they are in. */

import { factsOf } from '../../host/facts.ts';
import type { PciFacts } from '../../host/snapshot.ts';

const BRIDGES = 0x06;
/** "Other bridge" is what NVSwitch and non-transparent bridges call themselves, and those are handed over. */
const OTHER_BRIDGE = 0x80;

/**
 * vfio-pci takes only functions with an ordinary header (`PCI_HEADER_TYPE_NORMAL`); host and ISA bridges have one
 * and are still no use to anybody else.
 */
export function isBridge(facts: PciFacts): boolean {
  const { headerType } = factsOf(facts);
  if (headerType !== undefined && headerType !== 0) return true;
  if (facts.class === undefined) return false;
  return facts.class >> 16 === BRIDGES && ((facts.class >> 8) & 0xff) !== OTHER_BRIDGE;
}

/**
 * Intel VMD: one PCI function that holds a whole domain behind it, and makes all of that domain's DMA in its own
 * name (`pci_real_dma_dev`). sysfs paths tell which; without them the order does, since each VMD function takes
 * the next free domain above ffff when its driver binds.
 */

import { busKey, type FunctionRecord } from './records.ts';

/** Domains of four hex digits are the firmware's. */
const FIRST_VMD_DOMAIN = 0x10000;

const VMD_DEVICES: ReadonlySet<number> = new Set([
  0x201d, 0x28c0, 0x467f, 0x4c3d, 0xa77f, 0x7d0b, 0xad0b, 0x9a0b, 0xb60b, 0xb06f,
]);

/** Fills in owners the paths did not name, where there is exactly one VMD function for each such domain. */
export function ownVmdDomains(
  roots: Map<number, FunctionRecord | undefined>,
  records: readonly FunctionRecord[],
): void {
  const domains = new Set<number>();
  for (const { address } of records) if (address.domain >= FIRST_VMD_DOMAIN) domains.add(address.domain);
  if (domains.size === 0) return;
  const owners = records.filter(
    ({ init, address }) =>
      address.domain < FIRST_VMD_DOMAIN &&
      init.vendor === 0x8086 &&
      init.device !== undefined &&
      VMD_DEVICES.has(init.device),
  );
  if (owners.length !== domains.size) return;
  const byDomain = new Map([...domains].map((domain, i) => [domain, owners[i]]));
  for (const [key, owner] of roots) {
    const domain = Math.floor(key / busKey(1, 0));
    if (owner === undefined && byDomain.has(domain)) roots.set(key, byDomain.get(domain));
  }
}

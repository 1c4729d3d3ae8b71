/**
 * Machines of any size, the same for the same seed: root ports with endpoints, switches, conventional buses and
 * virtual functions behind them, over as many PCI domains as the size needs.
 *
 * The generator knows which groups it builds, without the rules of `src/`: each shape it places has one known
 * outcome (grouping.md section 11). So a machine comes with its partition, and the two can be held against each
 * other.
 */

import type { Snapshot } from '../../src/host/snapshot.ts';
import { DomainBuilder } from './generate-domain.ts';
import { type FunctionSpec, machine } from './machine.ts';
import { Random } from './random.ts';

export interface Generated {
  snapshot: Snapshot;
  /** Addresses by group, in the order in which a kernel with one IOMMU would number them. */
  partition: string[][];
}

/** About as many functions as one domain of a large server has. */
const DOMAIN_SIZE = 2048;

/** @param devices 1 to 65,536 PCI functions, met exactly */
export function generate(devices: number, seed = 1): Generated {
  const random = new Random(seed);
  const functions: FunctionSpec[] = [];
  const domains: DomainBuilder[] = [];
  while (functions.length < devices) {
    const builder = new DomainBuilder(
      domains.length,
      random,
      Math.min(devices - functions.length, DOMAIN_SIZE),
    );
    builder.fill();
    domains.push(builder);
    for (const one of builder.functions) functions.push(one);
  }
  const partition = partitionOf(domains);
  const snapshot = machine({
    board: `Generated machine of ${devices} devices`,
    kernel: { release: '6.12.0-generated', cmdline: 'intel_iommu=on' },
    functions,
    iommus: [{ name: 'dmar0' }],
    groups: partition.map((members, id) => ({
      id,
      type: 'DMA-FQ',
      reservedRegions: [{ start: '0x00000000fee00000', end: '0x00000000feefffff', type: 'msi' }],
      devices: [...members].sort(),
    })),
  });
  return { snapshot, partition };
}

/** Groups by their first member; virtual functions come to be after everything else. */
function partitionOf(domains: readonly DomainBuilder[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const kind of ['physical', 'virtual'] as const) {
    for (const domain of domains) {
      for (const { address, group } of domain.scanned(kind)) {
        const members = groups.get(group);
        if (members === undefined) groups.set(group, [address]);
        else members.push(address);
      }
    }
  }
  return [...groups.values()];
}

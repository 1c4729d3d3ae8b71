/** Under which requester ids a function's DMA can appear (`pci_for_each_dma_alias`). */

import { rid } from './address.ts';
import { type PciDevice, PciFlag } from './device.ts';
import { PcieType } from './facts.ts';

/** Where a requester id comes from; the same words as in a group's reasons. */
export type AliasOrigin = 'self' | 'alias-mask' | 'real-dma-device' | 'bridge-own' | 'bridge-subordinate';

export interface AliasNote {
  /** The quirk that makes it so. */
  quirk?: string;
  /** A fact that was not known, and what was taken instead. */
  assumed?: string;
}

/**
 * Calls back for every requester id DMA of `device` may carry, from the device up to its root bus.
 *
 * A bridge of unknown type is taken for a conventional one, which puts its own id on what passes: the assumption
 * that joins more.
 *
 * @param callback gets the device that owns the id; an answer other than undefined ends the walk
 * @returns that answer
 */
export function forEachDmaAlias<T>(
  device: PciDevice,
  callback: (device: PciDevice, requesterId: number, how: AliasOrigin, note: AliasNote) => T | undefined,
): T | undefined {
  const source = device.realDmaDevice;
  const own: AliasNote = {};
  if (source.dmaAliasUnknown !== undefined) {
    own.assumed = `${source.address}: ${source.dmaAliasUnknown} cannot be read, taken for none`;
  }
  const answer = callback(source, source.rid, source === device ? 'self' : 'real-dma-device', own);
  if (answer !== undefined) return answer;

  if (source.dmaAliasMask !== undefined) {
    const note = source.dmaAliasQuirk === undefined ? {} : { quirk: source.dmaAliasQuirk };
    for (const devfn of source.dmaAliasMask) {
      const answer = callback(source, rid(source.pciBus.number, devfn), 'alias-mask', note);
      if (answer !== undefined) return answer;
    }
  }

  for (let bus = source.pciBus; bus.parent !== undefined; bus = bus.parent) {
    const bridge = bus.self;
    if (bridge === undefined) continue;
    if ((bridge.flags & PciFlag.BridgeXlateRoot) !== 0) return undefined;
    const origin = bridgeOrigin(bridge);
    if (origin === undefined) continue;
    const id = origin.how === 'bridge-subordinate' ? rid(bus.number, 0) : bridge.rid;
    const answer = callback(bridge, id, origin.how, origin.note);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function bridgeOrigin(bridge: PciDevice): { how: AliasOrigin; note: AliasNote } | undefined {
  switch (bridge.pcieType) {
    case PcieType.PciBridge:
      return { how: 'bridge-subordinate', note: {} };
    case PcieType.PcieBridge:
      return { how: 'bridge-own', note: {} };
    case undefined:
      return {
        how: 'bridge-own',
        note: { assumed: `${bridge.address}: type unknown, taken for a conventional bridge` },
      };
    case null:
      if ((bridge.flags & PciFlag.PcieBridgeAlias) !== 0) {
        return { how: 'bridge-subordinate', note: { quirk: 'PCIe-to-PCI bridge without a PCIe capability' } };
      }
      return { how: 'bridge-own', note: {} };
    default:
      return undefined;
  }
}

/** Either may use the other's requester id (`pci_devs_are_dma_aliases`). Compare functions of one bus only. */
export function devsAreDmaAliases(a: PciDevice, b: PciDevice): boolean {
  return (
    a.dmaAliasMask?.has(b.devfn) === true ||
    b.dmaAliasMask?.has(a.devfn) === true ||
    (a !== b && (a.realDmaDevice === b || b.realDmaDevice === a))
  );
}

/** Addresses for reading: the domain is dropped where the whole machine has only domain 0. */

import type { Snapshot } from '../host/snapshot.ts';
import type { Shorten } from './reason-words.ts';

export function shortener(snapshot: Pick<Snapshot, 'devices'>): Shorten {
  const single = snapshot.devices.every((device) => device.address.startsWith('0000:'));
  return (address) => (single && address.startsWith('0000:') ? address.slice(5) : address);
}

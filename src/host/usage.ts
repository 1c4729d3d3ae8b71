/**
 * What the machine uses its devices for right now: disks, network, monitors, keyboards. Read from the live system,
 * or from a copy of /proc and /sys that has it.
 */

import type { HostTree } from './host-tree.ts';
import type { Notes } from './notes.ts';
import type { UsageFacts } from './snapshot.ts';
import { UsageList } from './usage-list.ts';
import { readNetworkUse } from './usage-network.ts';
import { readDisplayUse, readInputUse } from './usage-seat.ts';
import { readStorageUse } from './usage-storage.ts';

/** @returns `undefined` where mounts are not recorded: nobody looked at what is in use */
export function readUsage(tree: HostTree, notes: Notes): UsageFacts[] | undefined {
  const list = new UsageList();
  const storage = readStorageUse(tree, list, notes);
  if (storage === undefined) return undefined;
  if (!readNetworkUse(tree, list, notes, storage.networkRoot))
    list.add(null, 'network', 'routes are not recorded');
  if (!readDisplayUse(tree, list)) list.add(null, 'display', 'monitors are not recorded');
  if (!readInputUse(tree, list)) list.add(null, 'input', 'input devices are not recorded');
  if (list.dropped > 0) notes.add(`${list.dropped} more uses of devices than can be listed; left out`);
  const rest = list.cut.map((kind) => ({ device: null, kind, detail: 'more than can be listed' }));
  return [...list.entries, ...rest];
}

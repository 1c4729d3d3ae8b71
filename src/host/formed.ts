/** Whether a recording has groups that its kernel formed; without, there are only predictions. */

import type { Snapshot } from './snapshot.ts';

export function hasGroups({ groups }: Pick<Snapshot, 'groups'>): boolean {
  return groups !== undefined && groups.length > 0;
}

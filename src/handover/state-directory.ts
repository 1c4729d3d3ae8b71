/** Where journals and locks lie. */

import { join } from 'node:path';
import { InputError } from '../kernel/errors.ts';

/**
 * `$XDG_STATE_HOME/ringfence` where that is set (an absolute path, or it does not count), root's
 * `/var/lib/ringfence`, `~/.local/state/ringfence` of others.
 * @throws InputError without any of them
 */
export function stateDirectory(env: Record<string, string | undefined>, uid: number | undefined): string {
  const { XDG_STATE_HOME, HOME } = env;
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'ringfence');
  if (uid === 0) return '/var/lib/ringfence';
  if (HOME?.startsWith('/')) return join(HOME, '.local/state/ringfence');
  throw new InputError('HOME', 'is not set, nor is XDG_STATE_HOME: there is no place for the journal');
}

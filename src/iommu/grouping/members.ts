/** Who shares by some key, for rules that need nothing but the key. */

import type { Device } from '../../device/device.ts';

export class SharedBy<K> {
  readonly #members = new Map<K, Device[]>();

  /**
   * The first device of this key that has a group, and that group; `device` belongs to the key from now on.
   * Whoever has left, or was never added after all, is forgotten on the way.
   */
  join<G>(
    key: K,
    device: Device,
    groupOf: (device: Device) => G | undefined,
  ): { group: G; through: Device } | undefined {
    let members = this.#members.get(key);
    if (members === undefined) {
      members = [];
      this.#members.set(key, members);
    }
    let found: { group: G; through: Device } | undefined;
    while (members[0] !== undefined && found === undefined) {
      const group = groupOf(members[0]);
      if (group === undefined) members.shift();
      else found = { group, through: members[0] };
    }
    members.push(device);
    return found;
  }
}

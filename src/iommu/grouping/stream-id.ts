/**
 * Arm SMMU v1/v2: devices that share a stream-map entry share a group (`arm_smmu_device_group`); else the topology
 * decides.
 */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { GroupingPolicy } from './policy.ts';
import type { Decision } from './search.ts';

export class StreamIdGrouping implements GroupingPolicy {
  readonly name = 'stream-id';
  readonly #fallback: GroupingPolicy;
  readonly #streamsOf: (device: Device) => readonly number[] | undefined;
  readonly #users = new Map<number, Device[]>();

  /** @param streamsOf stream ids of a device, where anybody knows them */
  constructor(streamsOf: (device: Device) => readonly number[] | undefined, fallback: GroupingPolicy) {
    this.#streamsOf = streamsOf;
    this.#fallback = fallback;
  }

  /** @throws KernelError EINVAL when the device's streams belong to two groups; what the fallback refuses */
  deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined): Decision<G> {
    const streams = this.#streamsOf(device) ?? [];
    let found: { group: G; through: Device; stream: number } | undefined;
    for (const stream of streams) {
      for (const user of this.#users.get(stream) ?? []) {
        const group = groupOf(user);
        if (group === undefined) continue;
        if (found !== undefined && found.group !== group) {
          throw new KernelError(
            'EINVAL',
            device.name,
            `shares streams with ${found.through.name} and ${user.name}`,
          );
        }
        found ??= { group, through: user, stream };
      }
    }
    for (const stream of streams) {
      const users = this.#users.get(stream);
      if (users === undefined) this.#users.set(stream, [device]);
      else users.push(device);
    }
    if (found === undefined) return this.#fallback.deviceGroup(device, groupOf);
    const key = `stream 0x${found.stream.toString(16)}`;
    return {
      group: found.group,
      reason: {
        device: device.name,
        policy: this.name,
        steps: [{ step: 'firmware', key, table: 'the stream map', grouped: true }],
        joined: { through: found.through.name, step: 'firmware' },
        assumed: [],
      },
    };
  }
}

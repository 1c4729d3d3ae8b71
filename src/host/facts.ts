/** What a recorded function says of itself: decoded from its bytes where there are any, else as its words were read. */

import { ConfigSpace } from '../pci/config-space.ts';
import { decodeConfig } from '../pci/decode.ts';
import type { FunctionFacts } from '../pci/facts.ts';
import type { PciFacts } from './snapshot.ts';

const UNREAD = new ConfigSpace(new Uint8Array(0));

export function factsOf(device: PciFacts): FunctionFacts {
  const config = configOf(device);
  return config === undefined ? (device.said ?? decodeConfig(UNREAD)) : decodeConfig(config);
}

/** The recorded configuration space, where bytes were read. */
export function configOf(device: PciFacts): ConfigSpace | undefined {
  const { config } = device;
  return config && ConfigSpace.fromHex(config.bytes, config.read, config.size, `${device.address} config`);
}

/** Speed and width of a PCIe link, in sysfs's words. */

import type { FunctionRegisters } from './config-registers.ts';

const EXPRESS = 0x10;
const LINK_CAPABILITIES = 0x0c;
const LINK_STATUS = 0x12;
const LINK_CAPABILITIES_2 = 0x2c;

/** `pci_speed_string`, by the number in the link registers. */
const SPEEDS = ['Unknown', '2.5', '5.0', '8.0', '16.0', '32.0', '64.0'];

function speedWord(number: number): string {
  const speed = SPEEDS[number];
  return speed === undefined || number === 0 ? 'Unknown' : `${speed} GT/s PCIe`;
}

export interface LinkWords {
  maxSpeed: string;
  maxWidth: number;
  speed: string;
  width: number;
}

/** `pcie_get_speed_cap`, `pcie_get_width_cap` and the status register. */
export function linkWords({ bytes, find }: FunctionRegisters): LinkWords {
  const at = find(EXPRESS);
  if (at === undefined) return { maxSpeed: 'Unknown', maxWidth: 0, speed: 'Unknown', width: 0 };
  const capabilities = bytes.read(at + LINK_CAPABILITIES, 4);
  const status = bytes.read(at + LINK_STATUS, 2);
  const second = (bytes.read(at + 2, 1) & 0xf) >= 2;
  const vector = second ? (bytes.read(at + LINK_CAPABILITIES_2, 4) >>> 1) & 0x7f : 0;
  const most = vector === 0 ? capabilities & 0xf : 32 - Math.clz32(vector);
  return {
    maxSpeed: speedWord(most),
    maxWidth: (capabilities >>> 4) & 0x3f,
    speed: speedWord(status & 0xf),
    width: (status >>> 4) & 0x3f,
  };
}

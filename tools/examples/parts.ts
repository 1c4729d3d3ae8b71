/** What the example machines are put together from. */

import { PcieType } from '../../src/pci/facts.ts';
import type { FunctionSpec } from '../../test/support/machine.ts';

export interface Example {
  /** Without groups: those come from a kernel that was shown this machine. */
  functions: FunctionSpec[];
  board: string;
  kernel: { release: string; version: string; cmdline: string };
  acpi: Record<string, Uint8Array>;
  iommus: { name: string; path?: string; registers: Record<string, string> }[];
  /** Name of the instance that translates a function; `null`: none does. */
  iommuOf(address: string): string | null;
  /** Instances in the order in which the kernel registers them: groups are numbered in it. */
  numberedBy: string[];
  typeOf(members: readonly FunctionSpec[]): string;
  regionsOf(members: readonly FunctionSpec[]): { start: string; end: string; type: string }[];
}

type Ids = `${string}:${string}`;
type More = Partial<FunctionSpec>;

/** A function that is not PCIe: what chipsets integrate. */
export function conventional(
  at: string,
  ids: Ids,
  code: number,
  driver: string | null,
  more: More = {},
): FunctionSpec {
  return { at, ...parse(ids), class: code, driver, ...more };
}

/** An endpoint behind a port. */
export function endpoint(
  at: string,
  ids: Ids,
  code: number,
  driver: string | null,
  more: More = {},
): FunctionSpec {
  return {
    at,
    ...parse(ids),
    class: code,
    driver,
    pm: { reset: false },
    msi: true,
    pcie: { type: PcieType.Endpoint, flr: true, link: [3, 4] },
    ...more,
  };
}

/** A PCIe function of the root complex itself. */
export function integrated(
  at: string,
  ids: Ids,
  code: number,
  driver: string | null,
  more: More = {},
): FunctionSpec {
  return endpoint(at, ids, code, driver, { pcie: { type: PcieType.IntegratedEndpoint }, ...more });
}

/** A root, upstream or downstream port to the buses from `secondary` to `subordinate`. */
export function port(
  at: string,
  ids: Ids,
  type: number,
  [secondary, subordinate]: readonly [number, number],
  more: More = {},
): FunctionSpec {
  return {
    at,
    ...parse(ids),
    class: 0x060400,
    driver: 'pcieport',
    bridge: { primary: Number.parseInt(at.split(':')[0]!, 16), secondary, subordinate },
    pm: { reset: false },
    msi: true,
    pcie: { type, slot: type !== PcieType.Upstream, link: [3, 4] },
    ...more,
  };
}

/** A bridge to a conventional bus that has no PCIe capability. */
export function pciBridge(
  at: string,
  ids: Ids,
  buses: readonly [number, number],
  more: More = {},
): FunctionSpec {
  const { pcie: _, ...bridge } = port(at, ids, PcieType.PciBridge, buses);
  return { ...bridge, driver: null, ...more };
}

export function ids(text: Ids): [vendor: number, device: number] {
  const { vendor, device } = parse(text);
  return [vendor, device];
}

function parse(text: Ids): { vendor: number; device: number } {
  const [vendor, device] = text.split(':') as [string, string];
  return { vendor: Number.parseInt(vendor, 16), device: Number.parseInt(device, 16) };
}

export function region(
  start: bigint,
  last: bigint,
  type: string,
): { start: string; end: string; type: string } {
  const wide = (value: bigint) => `0x${value.toString(16).padStart(16, '0')}`;
  return { start: wide(start), end: wide(last), type };
}

/** Where message-signalled interrupts are written on x86: reserved in every group. */
export const MSI_WINDOW = region(0xfee00000n, 0xfeefffffn, 'msi');

export { PcieType };

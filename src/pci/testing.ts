/** For tests: configuration spaces and facts, written down by what they say. */

import { ConfigSpace } from './config-space.ts';
import { unknownFacts } from './decode.ts';
import type { PciFunctionInit } from './device.ts';
import type { AcsFacts, FunctionFacts } from './facts.ts';

/** A function with everything known; what is not named is known to be absent. */
export function facts(
  init: Partial<FunctionFacts> & { type?: number; acsWords?: [number, number] },
): FunctionFacts {
  const { type, acsWords, ...rest } = init;
  const acs: AcsFacts | null =
    acsWords === undefined ? null : { capability: acsWords[0], control: acsWords[1] };
  return {
    ...unknownFacts(),
    headerType: rest.bridge ? 1 : 0,
    multifunctionBit: false,
    bridge: null,
    pcie: type === undefined ? null : { type, flr: false, ariForwarding: false, ariForwardingEnabled: false },
    acs,
    ari: null,
    sriov: null,
    pmReset: null,
    afFlr: null,
    pasid: null,
    ats: null,
    iommuCapability: null,
    cxlPort: null,
    ...rest,
  };
}

type FunctionInit = Parameters<typeof facts>[0] & Partial<Omit<PciFunctionInit, 'facts' | 'address'>>;

/** One function; ids that no quirk knows unless given. */
export function pciFunction(address: string, init: FunctionInit = {}): PciFunctionInit {
  const { vendor, device, subsystemVendor, subsystemDevice, class: code, ...more } = init;
  const { revision, path, physfn, config, untrusted, ...said } = more;
  return {
    address,
    facts: facts(said),
    vendor: vendor ?? 0x1af4,
    device: device ?? 0x1041,
    subsystemVendor,
    subsystemDevice,
    class: code,
    revision,
    path,
    physfn,
    config,
    untrusted,
  };
}

/** A bridge to `secondary`; the last bus behind it is `subordinate`. */
export function pciBridge(
  address: string,
  secondary: number,
  subordinate: number,
  init: FunctionInit = {},
): PciFunctionInit {
  const primary = Number.parseInt(address.split(':').at(-2)!, 16);
  return pciFunction(address, { class: 0x060400, bridge: { primary, secondary, subordinate }, ...init });
}

/** Writable bytes of a configuration space, with capabilities chained as they are added. */
export class ConfigBuilder {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #lastPointer: number;
  #lastExtended: number | undefined;

  constructor(length: 64 | 256 | 4096 = 4096, headerType = 0) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
    this.word(0x00, 0x1af4).word(0x02, 0x1041);
    this.byte(0x0e, headerType);
    this.#lastPointer = (headerType & 0x7f) === 2 ? 0x14 : 0x34;
  }

  byte(at: number, value: number): this {
    this.#view.setUint8(at, value);
    return this;
  }

  word(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  dword(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  capability(id: number, at: number): this {
    this.word(0x06, 0x10);
    this.byte(this.#lastPointer, at);
    this.#lastPointer = at + 1;
    return this.byte(at, id);
  }

  /** PCI Express, version 2 of the capability. */
  express(type: number, at = 0x40): this {
    return this.capability(0x10, at).word(at + 2, (type << 4) | 2);
  }

  extended(id: number, at = 0x100): this {
    const last = this.#lastExtended;
    if (last !== undefined) this.dword(last, this.#view.getUint32(last, true) + at * 0x100000);
    this.#lastExtended = at;
    return this.dword(at, 0x10000 + id);
  }

  space(read = this.bytes.length, size?: number): ConfigSpace {
    return new ConfigSpace(this.bytes.slice(0, read), read, size);
  }
}

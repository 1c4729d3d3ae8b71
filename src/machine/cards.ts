/** Cards to put into a machine that has none like them, by name: what decides over groups, and nothing else. */

import type { PciFacts } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { Acs, REQ_ACS_FLAGS } from '../pci/acs-bits.ts';
import { type FunctionFacts, PcieType } from '../pci/facts.ts';

/** A function of a card, on the bus behind the port; `below`: what is on the bus behind this one. */
export interface CardFunction {
  facts: PciFacts;
  devfn: number;
  below?: CardFunction[];
}

/** Kinds and what they are, for help. */
export const CARD_KINDS: Readonly<Record<string, string>> = {
  card: 'a PCI Express card; card:2 has two functions that do not isolate each other',
  'acs-card': 'a card whose functions isolate each other; acs-card:2 has two',
  switch: 'a switch whose ports isolate, with two slots; switch:4 has four',
  'plain-switch': 'a switch whose ports do not isolate, with a card in each of its slots',
  'pci-bridge': 'a bridge to conventional PCI, with a conventional card; pci-bridge:2 has two',
};

/** ACS as switches and cards offer it, switched on as Linux does. */
const OFFERED = { capability: REQ_ACS_FLAGS | Acs.TB | Acs.DT, control: REQ_ACS_FLAGS };
const MOST = 8;

/** Ids of virtual hardware that no quirk knows. */
const ID = {
  endpoint: [0x1b36, 0x0010],
  upstream: [0x104c, 0x8232],
  downstream: [0x104c, 0x8233],
  bridge: [0x1b36, 0x000e],
} as const;
const CLASS = { endpoint: 0x020000, bridge: 0x060400 } as const;

/**
 * @param text a name of `CARD_KINDS`, with a count behind a colon
 * @throws InputError for another
 */
export function cardOf(text: string): CardFunction[] {
  const [kind = '', number, ...rest] = text.split(':');
  const usual = kind.endsWith('switch') ? 2 : 1;
  const count = number === undefined ? usual : Number(number);
  if (!Object.hasOwn(CARD_KINDS, kind) || rest.length > 0 || !/^[1-8]$/.test(String(count))) {
    const kinds = Object.keys(CARD_KINDS).join(', ');
    throw new InputError(
      `'${text}'`,
      `is no card: name one that is there to have a second of, or ${kinds}, with :1 to :${MOST} behind it`,
    );
  }
  const many = <T>(make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
  switch (kind) {
    case 'card':
    case 'acs-card':
      return many((at) => endpoint(at, count > 1, kind === 'acs-card'));
    case 'switch':
    case 'plain-switch': {
      const plain = kind === 'plain-switch';
      const ports = many((at) => ({
        ...bridge(ID.downstream, at << 3, PcieType.Downstream, !plain),
        below: plain ? [endpoint(0, false, false)] : [],
      }));
      return [{ ...bridge(ID.upstream, 0, PcieType.Upstream, false), below: ports }];
    }
    default: {
      const cards = many((at) => conventional((at + 1) << 3));
      return [{ ...bridge(ID.bridge, 0, PcieType.PciBridge, false), below: cards }];
    }
  }
}

function endpoint(devfn: number, several: boolean, acs: boolean): CardFunction {
  return card(ID.endpoint, CLASS.endpoint, devfn, {
    headerType: 0,
    multifunctionBit: several,
    pcie: { type: PcieType.Endpoint, flr: true, ariForwarding: false, ariForwardingEnabled: false },
    acs: acs ? OFFERED : null,
  });
}

function conventional(devfn: number): CardFunction {
  return card(ID.endpoint, CLASS.endpoint, devfn, { headerType: 0, pcie: null });
}

function bridge(ids: readonly [number, number], devfn: number, type: number, acs: boolean): CardFunction {
  return card(ids, CLASS.bridge, devfn, {
    headerType: 1,
    bridge: { primary: 0, secondary: 0, subordinate: 0 },
    pcie: { type, flr: false, ariForwarding: false, ariForwardingEnabled: false },
    acs: acs ? OFFERED : null,
  });
}

function card(
  [vendor, device]: readonly [number, number],
  code: number,
  devfn: number,
  said: Partial<FunctionFacts>,
): CardFunction {
  const facts: FunctionFacts = {
    headerType: 0,
    multifunctionBit: false,
    bridge: null,
    pcie: null,
    acs: null,
    ari: null,
    sriov: null,
    pmReset: null,
    afFlr: null,
    pasid: null,
    ats: null,
    iommuCapability: null,
    cxlPort: null,
    ...said,
  };
  return {
    facts: { address: '', vendor, device, class: code, revision: 0, said: facts, driver: null, physfn: null },
    devfn,
  };
}

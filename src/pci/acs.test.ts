import { describe, expect, test } from 'vitest';
import { AcsContext, type AcsContextInit, type AcsVerdict, acsEnabled, acsPath } from './acs.ts';
import { Acs, acsBitNames, REQ_ACS_FLAGS } from './acs-bits.ts';
import { AcsControl } from './acs-control.ts';
import { parseAcsOverride } from './acs-override.ts';
import type { PciDevice } from './device.ts';
import { ConfigBuilder, pciBridge, pciFunction } from './testing.ts';
import { PciTopology } from './topology.ts';

type Init = NonNullable<Parameters<typeof pciFunction>[1]>;

/** A function at 00:1c.0, or below a port at 01:00.0. */
function device(init: Init, address = '0000:00:1c.0'): PciDevice {
  const port = pciBridge('0000:00:01.0', 1, 1, { type: 4 });
  return PciTopology.build([port, pciFunction(address, init)]).find(address)!;
}

function verdict(init: Init, context: AcsContextInit = {}, flags = REQ_ACS_FLAGS): AcsVerdict {
  return acsEnabled(device(init), flags, new AcsContext(context));
}

describe('grouping.md 4: pci_acs_enabled', () => {
  test('flags asked for are SV, RR, CR, UF', () => {
    expect(REQ_ACS_FLAGS).toBe(0x1d);
    expect(acsBitNames(REQ_ACS_FLAGS)).toEqual(['SrcValid', 'ReqRedir', 'CmpltRedir', 'UpstreamFwd']);
  });

  test('no PCIe capability', () => {
    expect(verdict({ multifunctionBit: false })).toMatchObject({
      enabled: false,
      known: true,
      because: 'not-pcie',
    });
  });

  test.each([
    [8, 'bridge-type'],
    [7, 'bridge-type'],
    [10, 'event-collector'],
  ])('type %i never, even with the capability', (type, because) => {
    expect(verdict({ type, acsWords: [0x1d, 0x1d] })).toMatchObject({ enabled: false, known: true, because });
  });

  test.each([4, 6])('type %i is tested whether or not it is multifunction', (type) => {
    expect(verdict({ type })).toMatchObject({ enabled: false, because: 'no-capability' });
    expect(verdict({ type, acsWords: [0x1d, 0x1d] })).toMatchObject({ enabled: true, because: 'capability' });
  });

  test.each([0, 1, 5, 9])('type %i is tested only as multifunction', (type) => {
    expect(verdict({ type })).toMatchObject({ enabled: true, because: 'single-function' });
    expect(verdict({ type, multifunctionBit: true })).toMatchObject({
      enabled: false,
      because: 'no-capability',
    });
    expect(verdict({ type, multifunctionBit: true, acsWords: [0x1d, 0x1d] }).enabled).toBe(true);
  });

  test('types nobody has heard of are taken for isolated', () => {
    expect(verdict({ type: 13 })).toMatchObject({ enabled: true, because: 'other-type' });
  });

  test.each([
    ['all zero: fully isolated', 0, 0, true, 0],
    ['bits not offered count as on', 0x13, 0x11, true, 0],
    ['one offered bit off', 0x1d, 0x15, false, 0x08],
    ['all offered bits off', 0x5f, 0, false, 0x1d],
    ['EC, DT and TB on do no harm', 0x7f, 0x7f, true, 0],
  ])('capability test: %s', (_what, capability, control, enabled, missing) => {
    expect(verdict({ type: 4, acsWords: [capability, control] })).toMatchObject({
      enabled,
      known: true,
      missing,
      capability,
      control,
    });
  });

  test('egress control counts as offered when it is asked for', () => {
    expect(verdict({ type: 4, acsWords: [0, 0] }, {}, Acs.EC)).toMatchObject({
      enabled: false,
      missing: Acs.EC,
    });
  });

  test('a VF is always isolated by itself', () => {
    expect(verdict({ type: 0, physfn: '0000:00:01.0', multifunctionBit: true }).because).toBe(
      'single-function',
    );
  });
});

describe('what is not known is assumed not to isolate, and said', () => {
  test('whether it is PCIe', () => {
    expect(verdict({ pcie: undefined })).toMatchObject({ enabled: false, known: false, because: 'unknown' });
  });

  test('the capability of a port', () => {
    expect(verdict({ type: 4, acs: undefined })).toMatchObject({
      enabled: false,
      known: false,
      because: 'unknown',
    });
  });

  test('but not where it does not matter', () => {
    expect(verdict({ type: 0, acs: undefined })).toMatchObject({ enabled: true, known: true });
  });

  test('an upstream port without a header bit: taken as single-function; an endpoint decides nothing by it', () => {
    expect(verdict({ type: 5, multifunctionBit: undefined })).toMatchObject({
      enabled: true,
      known: false,
      because: 'single-function',
    });
    expect(verdict({ type: 5, multifunctionBit: false })).toMatchObject({ enabled: true, known: true });
    for (const type of [0, 1, 9]) {
      expect(verdict({ type, multifunctionBit: undefined })).toMatchObject({ enabled: true, known: true });
    }
  });

  test('an upstream port whose slot shows a second function: multifunction, and known', () => {
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 1, { type: 4 }),
      pciFunction('0000:01:00.0', { type: 5, multifunctionBit: undefined }),
      pciFunction('0000:01:00.1', { type: 0 }),
    ]);
    const answer = acsEnabled(topology.find('01:00.0')!, REQ_ACS_FLAGS, new AcsContext());
    expect(answer).toMatchObject({ enabled: false, known: true, because: 'no-capability' });
  });

  test('whether there is a capability that makes the override keep out of it', () => {
    const override = parseAcsOverride('downstream').override;
    expect(verdict({ type: 4, acs: undefined }, { override })).toMatchObject({
      enabled: true,
      known: false,
      because: 'override',
    });
    expect(verdict({ type: 4 }, { override })).toMatchObject({ known: true, because: 'override' });
  });

  test('without ids a quirk might speak', () => {
    const topology = PciTopology.build([{ ...pciFunction('0000:00:1c.0', { type: 4 }), vendor: undefined }]);
    const answer = acsEnabled(topology.find('00:1c.0')!, REQ_ACS_FLAGS, new AcsContext());
    expect(answer).toMatchObject({ enabled: false, known: false, because: 'no-capability' });
  });
});

describe('grouping.md 7: quirks', () => {
  const port = (vendor: number, id: number, rest: Init = {}): Init => ({
    type: 4,
    vendor,
    device: id,
    ...rest,
  });

  test('mf_endpoint: isolated although multifunction without ACS; not for EC', () => {
    const init: Init = { type: 0, multifunctionBit: true, vendor: 0x8086, device: 0x10c9 };
    expect(verdict(init)).toMatchObject({ enabled: true, because: 'quirk', quirk: 'Intel 82576' });
    expect(verdict(init, {}, Acs.EC).enabled).toBe(false);
  });

  test('rciep: Intel, type 9 only', () => {
    const init: Init = { vendor: 0x8086, device: 0x1234, multifunctionBit: true };
    expect(verdict({ ...init, type: 9 })).toMatchObject({ enabled: true, because: 'quirk' });
    expect(verdict({ ...init, type: 0 })).toMatchObject({ enabled: false, because: 'no-capability' });
  });

  test('amd_sb: multifunction, on a root bus, with an IVRS table', () => {
    const init: Init = { vendor: 0x1022, device: 0x780f, multifunctionBit: true };
    expect(verdict(init, { ivrs: true })).toMatchObject({ enabled: true, known: true, quirk: 'AMD FCH' });
    expect(verdict(init, { ivrs: false })).toMatchObject({ enabled: false, because: 'not-pcie' });
    expect(verdict(init)).toMatchObject({ enabled: true, known: false });
    expect(verdict({ ...init, multifunctionBit: false }, { ivrs: true }).enabled).toBe(false);
    const below = device(init, '0000:01:00.0');
    expect(acsEnabled(below, REQ_ACS_FLAGS, new AcsContext({ ivrs: true })).because).toBe('not-pcie');
    expect(verdict(init, { ivrs: true }, Acs.EC).enabled).toBe(false);
    expect(verdict(init, { ivrs: true }, Acs.SV).enabled).toBe(true);
  });

  test.each([
    ['zhaoxin port in the list', port(0x1d17, 0x0719), true],
    [
      'zhaoxin port not in the list, although it has ACS',
      port(0x1d17, 0x0722, { acsWords: [0x1d, 0x1d] }),
      false,
    ],
    ['zhaoxin function', { type: 0, vendor: 0x1d17, device: 0x3038, multifunctionBit: true }, true],
    ['wangxun in the list', { type: 0, vendor: 0x8088, device: 0x010f, multifunctionBit: true }, true],
    ['any other wangxun, even with a single function', { type: 0, vendor: 0x8088, device: 0x0110 }, false],
    ['cavium root port', port(0x177d, 0xa7ff), true],
    ['cavium function', { type: 0, vendor: 0x177d, device: 0xa026, multifunctionBit: true }, true],
    ['annapurna root port', port(0x1c36, 0x0031), true],
    ['ampere root port', port(0x1def, 0xe005), true],
    ['nxp root port', port(0x1957, 0x8db1), true],
  ] as [string, Init, boolean][])('%s', (_what, init, enabled) => {
    expect(verdict(init)).toMatchObject({ enabled, known: true, because: 'quirk' });
  });

  test.each([
    ['cavium, not a root port', { type: 6, vendor: 0x177d, device: 0xa000 }, 'no-capability'],
    ['annapurna, not a root port', { type: 0, vendor: 0x1c36, device: 0x0031 }, 'single-function'],
    ['zhaoxin endpoint', { type: 0, vendor: 0x1d17, device: 0x0719 }, 'single-function'],
  ] as [string, Init, string][])('does not speak: %s', (_what, init, because) => {
    expect(verdict(init).because).toBe(because);
  });

  describe('Intel PCH ports', () => {
    const machine = (rcba: number | undefined, mpc?: number) => {
      const config = mpc === undefined ? undefined : new ConfigBuilder(256).dword(0xd8, mpc).space();
      const lpc =
        rcba === undefined
          ? pciFunction('0000:00:1f.0')
          : pciFunction('0000:00:1f.0', { config: new ConfigBuilder(256).dword(0xf0, rcba).space() });
      return PciTopology.build([pciFunction('0000:00:1c.0', port(0x8086, 0x8c10, { config })), lpc]);
    };
    const ask = (topology: PciTopology, mode: 'recorded' | 'enabled' = 'recorded') =>
      acsEnabled(
        topology.find('00:1c.0')!,
        REQ_ACS_FLAGS,
        new AcsContext({ control: new AcsControl({ mode }) }),
      );

    test('isolated when the register base is enabled', () => {
      expect(ask(machine(0xfed1c001))).toMatchObject({
        enabled: true,
        known: true,
        quirk: 'Intel PCH root port',
      });
    });

    test('enabling failed: not isolated', () => {
      expect(ask(machine(0xfed1c000))).toMatchObject({ enabled: false, known: true, because: 'quirk' });
    });

    test('a recorded port whose check bit is off was not enabled', () => {
      expect(ask(machine(0xfed1c001, 0)).enabled).toBe(false);
      expect(ask(machine(0xfed1c001, 0), 'enabled').enabled).toBe(true);
      expect(ask(machine(0xfed1c001, 0x04000000)).enabled).toBe(true);
    });

    test('registers not read: taken for enabled, and said', () => {
      expect(ask(machine(undefined))).toMatchObject({ enabled: true, known: false });
    });
  });

  describe('Intel SPT ports', () => {
    const spt = (control: number, wide?: { capability: number; control: number }) =>
      port(0x8086, 0xa110, { acs: { capability: 0x0f, control, ...(wide && { wide }) } });

    test('the 32-bit words decide', () => {
      const init = spt(0, { capability: 0x0f, control: 0x0d });
      expect(verdict(init)).toMatchObject({
        enabled: true,
        because: 'quirk',
        capability: 0x0f,
        control: 0x0d,
      });
      expect(verdict(spt(0x1d, { capability: 0x0f, control: 0x01 }))).toMatchObject({
        enabled: false,
        missing: 0x0c,
      });
    });

    test('where only the 16-bit words are known, the kernel has switched on what is offered', () => {
      expect(verdict(spt(0))).toMatchObject({ enabled: true, known: true, because: 'quirk' });
    });

    test('without the capability the quirk does not speak', () => {
      expect(verdict(port(0x8086, 0xa110))).toMatchObject({ enabled: false, because: 'no-capability' });
    });
  });
});

describe('grouping.md 8: pcie_acs_override', () => {
  const override = (text: string) => ({ override: parseAcsOverride(text).override });

  test('downstream: root and downstream ports without the capability', () => {
    const context = override('downstream,multifunction');
    expect(verdict({ type: 4 }, context)).toMatchObject({
      enabled: true,
      because: 'override',
      quirk: 'downstream',
    });
    expect(verdict({ type: 6 }, context, 0x7f).enabled).toBe(true);
    expect(verdict({ type: 4, acsWords: [0x1d, 0] }, context)).toMatchObject({
      enabled: false,
      because: 'capability',
    });
    expect(verdict({}, context).because).toBe('not-pcie');
  });

  test.each([0, 1, 5, 9])('multifunction: type %i', (type) => {
    const init: Init = { type, multifunctionBit: true };
    expect(verdict(init, override('multifunction')).because).toBe('override');
    expect(verdict(init, override('downstream')).because).toBe('no-capability');
    expect(verdict({ type }, override('multifunction')).because).toBe('single-function');
  });

  test('id: that device only', () => {
    const context = override('id:8086:1901');
    expect(verdict({ type: 4, vendor: 0x8086, device: 0x1901 }, context).because).toBe('override');
    expect(verdict({ type: 4, vendor: 0x8086, device: 0x1905 }, context).because).toBe('no-capability');
  });

  test('a built-in quirk that says no still wins', () => {
    const init: Init = { type: 4, vendor: 0x1d17, device: 0x0722 };
    expect(verdict(init, override('downstream'))).toMatchObject({ enabled: false, because: 'quirk' });
  });

  test('prefixes, and what is refused', () => {
    expect(parseAcsOverride('downstreamXYZ').override.downstream).toBe(true);
    expect(parseAcsOverride('id:8086:19').notes).toHaveLength(1);
    expect(parseAcsOverride('sideways').notes).toHaveLength(1);
    const many = Array.from({ length: 16 }, (_, i) => `id:8086:${(0x1000 + i).toString(16)}`).join();
    expect(parseAcsOverride(many).override.ids).toHaveLength(15);
    expect(parseAcsOverride(many).notes).toHaveLength(1);
  });
});

describe('pci_acs_path_enabled', () => {
  const good: Init = { acsWords: [0x1d, 0x1d] };
  function chain(portAcs: Init, downAcs: Init): PciTopology {
    return PciTopology.build([
      pciBridge('0000:00:01.0', 1, 4, { type: 4, ...portAcs }),
      pciBridge('0000:01:00.0', 2, 4, { type: 5 }),
      pciBridge('0000:02:00.0', 3, 3, { type: 6, ...downAcs }),
      pciBridge('0000:02:01.0', 4, 4, { type: 6, ...downAcs }),
    ]);
  }
  const names = (verdicts: AcsVerdict[]) => verdicts.map((v) => v.device.slice(5));

  test('nearest first, to the root bus', () => {
    const path = acsPath(chain(good, good).find('02:00.0')!, REQ_ACS_FLAGS, new AcsContext());
    expect(path).toMatchObject({ enabled: true, blockedBy: undefined });
    expect(names(path.verdicts)).toEqual(['02:00.0', '01:00.0', '00:01.0']);
  });

  test('ends at the first that fails', () => {
    const context = new AcsContext();
    const topology = chain({}, good);
    for (const start of ['02:00.0', '02:01.0', '02:00.0']) {
      const path = acsPath(topology.find(start)!, REQ_ACS_FLAGS, context);
      expect(path.enabled).toBe(false);
      expect(path.blockedBy?.device).toBe('0000:00:01.0');
      expect(names(path.verdicts)).toEqual([start, '01:00.0', '00:01.0']);
    }
    const near = acsPath(chain(good, {}).find('02:00.0')!, REQ_ACS_FLAGS, new AcsContext());
    expect(names(near.verdicts)).toEqual(['02:00.0']);
  });

  test('with an end: that one is tested too, what is above is not', () => {
    const topology = chain({}, good);
    const start = topology.find('02:00.0')!;
    const path = acsPath(start, REQ_ACS_FLAGS, new AcsContext(), topology.find('01:00.0'));
    expect(path.enabled).toBe(true);
    expect(names(path.verdicts)).toEqual(['02:00.0', '01:00.0']);
    const root = chain(good, good);
    const toRoot = acsPath(root.find('02:00.0')!, REQ_ACS_FLAGS, new AcsContext(), root.find('00:01.0'));
    expect(toRoot.enabled).toBe(false);
  });

  test('other flags than the usual', () => {
    const path = acsPath(chain(good, good).find('02:00.0')!, Acs.TB, new AcsContext());
    expect(path.enabled).toBe(true);
    expect(acsPath(chain(good, good).find('02:00.0')!, Acs.EC, new AcsContext()).enabled).toBe(false);
  });

  test('answers are kept until they are invalidated', () => {
    const topology = PciTopology.build([pciBridge('0000:00:01.1', 1, 1, { type: 5 })]);
    const bridge = topology.find('00:01.1')!;
    bridge.multifunction = false;
    const context = new AcsContext();
    expect(context.path(bridge).enabled).toBe(true);
    topology.slotScanned(bridge);
    expect(context.path(bridge).enabled).toBe(true);
    context.invalidate();
    expect(context.path(bridge).enabled).toBe(false);
  });
});

import { describe, expect, test } from 'vitest';
import { resetMethods } from './reset.ts';
import { pciBridge, pciFunction } from './testing.ts';
import { PciTopology } from './topology.ts';

type Init = NonNullable<Parameters<typeof pciFunction>[1]>;

/** A function alone below a port, unless `sibling`. */
function machine(
  init: Init,
  { port = {}, sibling = false }: { port?: Init; sibling?: boolean } = {},
): PciTopology {
  return PciTopology.build([
    pciBridge('0000:00:01.0', 1, 3, { type: 4, ...port }),
    pciFunction('0000:01:00.0', init),
    ...(sibling ? [pciFunction('0000:01:00.1')] : []),
  ]);
}

const reset = (init: Init, place?: Parameters<typeof machine>[1]) =>
  resetMethods(machine(init, place).find('01:00.0')!);

const FLR = { pcie: { type: 0, flr: true } };

describe('pci_reset_fn_methods', () => {
  test('all there are, in the kernel’s order', () => {
    const port: Init = { cxlPort: { busResetMasked: false } };
    const { methods } = reset({ ...FLR, afFlr: true, pmReset: true }, { port });
    expect(methods).toEqual(['flr', 'af_flr', 'pm', 'bus', 'cxl_bus']);
  });

  test('ACPI’s is never known', () => {
    expect(reset({ type: 0 })).toEqual({ methods: ['bus'], unknown: ['acpi'] });
  });

  test('facts that are not known leave the method open', () => {
    const { methods, unknown } = reset(
      { pcie: undefined, afFlr: undefined, pmReset: undefined },
      { port: { cxlPort: undefined } },
    );
    expect(methods).toEqual(['bus']);
    expect(unknown).toEqual(['acpi', 'flr', 'af_flr', 'pm', 'cxl_bus']);
  });

  test('a bus reset takes a function that is alone, has no bus below and no root bus above', () => {
    expect(reset({ type: 0 }, { sibling: true }).methods).toEqual([]);
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 2, { type: 4 }),
      pciBridge('0000:01:00.0', 2, 2, { type: 5 }),
      pciFunction('0000:00:02.0', { type: 9 }),
    ]);
    expect(resetMethods(topology.find('01:00.0')!).methods).toEqual([]);
    expect(resetMethods(topology.find('00:02.0')!).methods).toEqual([]);
  });

  test('what sysfs lists was settled while the function was still alone', () => {
    const topology = machine({ type: 0 }, { sibling: true });
    expect(resetMethods(topology.find('01:00.0')!, 'scan').methods).toEqual(['bus']);
    expect(resetMethods(topology.find('01:00.1')!, 'scan').methods).toEqual([]);
  });

  test('below a CXL port that masks it, probing the bus reset says yes', () => {
    const port: Init = { cxlPort: { busResetMasked: true } };
    expect(reset({ type: 0 }, { port, sibling: true }).methods).toEqual(['bus', 'cxl_bus']);
  });
});

describe('quirks', () => {
  test.each([
    ['no bus reset', { vendor: 0x168c, device: 0x003e, pmReset: true }, ['pm']],
    ['no bus reset, by mask', { vendor: 0x10de, device: 0x2351 }, []],
    ['not that one', { vendor: 0x10de, device: 0x2204 }, ['bus']],
    ['no FLR', { vendor: 0x1022, device: 0x149c, ...FLR, afFlr: true }, ['bus']],
    ['no FLR, one revision', { vendor: 0xd063, device: 0x1000, revision: 1, ...FLR }, ['bus']],
    ['no FLR, another revision', { vendor: 0xd063, device: 0x1000, revision: 2, ...FLR }, ['flr', 'bus']],
    [
      'no PM reset of AMD graphics',
      { vendor: 0x1002, device: 0x67df, class: 0x030000, pmReset: true },
      ['bus'],
    ],
    [
      'PM reset of AMD audio',
      { vendor: 0x1002, device: 0xaaf0, class: 0x040300, pmReset: true },
      ['pm', 'bus'],
    ],
    ['own reset of an 82599 VF', { vendor: 0x8086, device: 0x10ed }, ['device_specific', 'bus']],
    [
      'own reset that rests on FLR',
      { vendor: 0x8086, device: 0x0a54, ...FLR },
      ['device_specific', 'flr', 'bus'],
    ],
    ['own reset that rests on FLR, without it', { vendor: 0x8086, device: 0x0a54, type: 0 }, ['bus']],
    [
      'NVMe class',
      { vendor: 0x144d, device: 0xa804, class: 0x010802, ...FLR },
      ['device_specific', 'flr', 'bus'],
    ],
    ['T4', { vendor: 0x1425, device: 0x4401 }, ['device_specific', 'bus']],
    ['T6', { vendor: 0x1425, device: 0x6401 }, ['bus']],
    ['HiNIC VF', { vendor: 0x19e5, device: 0x375e }, ['device_specific', 'bus']],
  ] as [string, Init, string[]][])('%s', (_what, init, methods) => {
    expect(reset(init).methods).toEqual(methods);
  });

  test('on a root bus AMD graphics keep the PM reset', () => {
    const init: Init = { vendor: 0x1002, device: 0x67df, class: 0x030000, pmReset: true };
    expect(resetMethods(PciTopology.build([pciFunction('0000:00:02.0', init)]).devices[0]!).methods).toEqual([
      'pm',
    ]);
  });

  test('without ids a reset of its own stays open', () => {
    const topology = PciTopology.build([{ ...pciFunction('0000:00:02.0'), vendor: undefined }]);
    expect(resetMethods(topology.devices[0]!).unknown).toEqual(['device_specific', 'acpi']);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AcsControl, type AcsControlOptions } from './acs-control.ts';
import { AcsParameter } from './acs-parameters.ts';
import type { PciDevice } from './device.ts';
import { pciBridge, pciFunction } from './testing.ts';
import { PciTopology } from './topology.ts';

type Init = NonNullable<Parameters<typeof pciFunction>[1]>;

const ids = { vendor: 0x8086, device: 0x1901, subsystemVendor: 0x1043, subsystemDevice: 0x8694 };

/** 0000:00:01.0 - 0000:01:00.0 - 0000:02:03.1 */
function machine(acsWords: [number, number], init: Init = {}): PciTopology {
  return PciTopology.build([
    pciBridge('0000:00:01.0', 1, 2, { type: 4, ...init }),
    pciBridge('0000:01:00.0', 2, 2, { type: 5 }),
    pciFunction('0000:02:03.1', { type: 6, acsWords, ...ids }),
  ]);
}

function control(words: [number, number], options: AcsControlOptions): number | undefined {
  return new AcsControl(options).words(machine(words).find('02:03.1')!)?.control;
}

describe('pci_enable_acs', () => {
  test('enabled: every one of SV RR CR UF that is offered, besides what firmware set', () => {
    expect(control([0x7f, 0], { mode: 'enabled' })).toBe(0x1d);
    expect(control([0x05, 0], { mode: 'enabled' })).toBe(0x05);
    expect(control([0x7f, 0x20], { mode: 'enabled' })).toBe(0x3d);
  });

  test('recorded: as it stands', () => {
    expect(control([0x7f, 0], { mode: 'recorded' })).toBe(0);
  });

  test('TB too where ATS is off or the device can be plugged in from outside', () => {
    expect(control([0x7f, 0], { mode: 'enabled', noAts: true })).toBe(0x1f);
    const outside = machine([0x7f, 0], { untrusted: true }).find('02:03.1')!;
    expect(outside.untrusted).toBe(true);
    expect(new AcsControl({ mode: 'enabled' }).words(outside)?.control).toBe(0x1f);
  });

  test('no capability, or an unknown one, stays that', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:01.0', { type: 4 }),
      pciFunction('0000:00:02.0', { type: 4, acs: undefined }),
    ]);
    const words = topology.devices.map((device) => new AcsControl({ mode: 'enabled' }).words(device));
    expect(words).toEqual([null, undefined]);
  });
});

describe('grouping.md 8: parameters', () => {
  test('disable_acs_redir clears RR CR EC, and loses SV and UF that the kernel had set', () => {
    expect(control([0x7f, 0x7f], { mode: 'recorded', disableAcsRedir: '02:03.1' })).toBe(0x53);
    expect(control([0x7f, 0x02], { mode: 'enabled', disableAcsRedir: '02:03.1' })).toBe(0x02);
  });

  test('config_acs: rightmost character is bit 0, x falls back to firmware', () => {
    expect(control([0x7f, 0], { mode: 'enabled', configAcs: '10xX01@02:03.1' })).toBe(0x21);
    expect(control([0x7f, 0x0c], { mode: 'enabled', configAcs: '10xX01@02:03.1' })).toBe(0x2d);
  });

  test('both on one device: config_acs wins completely', () => {
    const options = { mode: 'recorded', disableAcsRedir: '02:03.1', configAcs: 'x@02:03.1' } as const;
    expect(control([0x7f, 0x1d], options)).toBe(0x1d);
  });

  test.each([
    ['02:03.1', 'yes'],
    ['0000:02:03.1', 'yes'],
    ['0:2:3.1', 'yes'],
    ['1:02:03.1', 'no'],
    ['02:03.0', 'no'],
    ['00:01.0/00.0/03.1', 'yes'],
    ['01:00.0/03.1', 'yes'],
    ['00:02.0/00.0/03.1', 'no'],
    ['00:00.0/01.0/00.0/03.1', 'no'],
    ['pci:8086:1901', 'yes'],
    ['pci:8086:0', 'yes'],
    ['pci:0:0', 'yes'],
    ['pci:8086:1901:1043:8694', 'yes'],
    ['pci:8086:1901:1043:8695', 'no'],
    ['pci:8086:1905', 'no'],
    ['05:00.0;02:03.1', 'yes'],
    ['pci:8086:1905,02:03.1', 'yes'],
  ])('device %s: %s', (text, match) => {
    const change = new AcsParameter('disable_acs_redir', text).changeFor(
      machine([0x7f, 0x7f]).find('02:03.1')!,
    );
    expect(change === undefined ? 'no' : 'yes').toBe(match);
  });

  test.each([
    ['nonsense', true],
    ['02:03.1x', true],
    ['zz/03.1', true],
    ['pci:8086', true],
    // A comma does not end a path; one from the command line never gets here.
    ['05:00.0,02:03.1', true],
    ['nonsense;02:03.1', true],
    // The part that is wrong is not looked at for a device that does not fit what is behind it.
    ['zz/04.0;02:03.1', false],
  ])('malformed: %s', (text, ignored) => {
    const parameter = new AcsParameter('disable_acs_redir', text);
    expect(parameter.notes).toHaveLength(1);
    const change = parameter.changeFor(machine([0x7f, 0x7f]).find('02:03.1')!);
    expect(change === undefined).toBe(ignored);
  });

  test.each([
    ['the form of the kernel’s own documentation, without @', '101x', 'no flags'],
    ['other characters', '12@02:03.1', 'are not flags'],
    ['a bit above 6', '10000000@02:03.1', 'does not have'],
    ['a cleared bit above 6', '0xxxxxxx@02:03.1', 'does not have'],
    ['the flags end at the first @, wherever that is', '05:00.0;1@02:03.1', 'are not flags'],
  ])('config_acs, refused: %s', (_what, text, note) => {
    const parameter = new AcsParameter('config_acs', text);
    expect(parameter.changeFor(machine([0x7f, 0x7f]).find('02:03.1')!)).toBeUndefined();
    expect(parameter.notes).toHaveLength(1);
    expect(parameter.notes[0]).toContain(note);
  });

  test('an entry before the refused one still counts', () => {
    const parameter = new AcsParameter('config_acs', '1@02:03.1;junk');
    expect(parameter.changeFor(machine([0x7f, 0x7f]).find('02:03.1')!)).toEqual({ mask: 1, flags: 1 });
  });

  test('bits beyond the 16 of the word are lost', () => {
    expect(control([0x7f, 0], { mode: 'recorded', configAcs: `${'x'.repeat(40)}1@02:03.1` })).toBe(1);
    expect(control([0x7f, 0], { mode: 'recorded', configAcs: `1${'x'.repeat(32)}@02:03.1` })).toBe(0);
  });

  test('text of any kind ends, for any device', () => {
    const device = machine([0x7f, 0x7f]).find('02:03.1')!;
    const piece = fc.constantFrom(
      'pci:',
      ':',
      '.',
      '/',
      ';',
      ',',
      '@',
      'x',
      '0',
      '1',
      '02',
      '03.1',
      '8086',
      ' ',
      '0x',
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(texts, fc.constantFrom('disable_acs_redir', 'config_acs'), (text, name) => {
        const change = new AcsParameter(name, text).changeFor(device);
        if (change !== undefined) expect(change.mask & ~0x7f).toBe(0);
      }),
    );
  });

  test('a recorded word that has the parameters already does not change under them', () => {
    const flags = fc
      .array(fc.constantFrom('0', '1', 'x'), { minLength: 1, maxLength: 7 })
      .map((f) => f.join(''));
    const word = fc.integer({ min: 0, max: 0x7f });
    fc.assert(
      fc.property(
        word,
        word,
        fc.option(flags, { nil: undefined }),
        fc.boolean(),
        (capability, firmware, config, off) => {
          const parameters = {
            configAcs: config === undefined ? undefined : `${config}@02:03.1`,
            disableAcsRedir: off ? 'pci:8086:1901' : undefined,
          };
          const once = control([capability, firmware], { mode: 'enabled', ...parameters })!;
          expect(control([capability, once], { mode: 'recorded', ...parameters })).toBe(once);
        },
      ),
    );
  });
});

describe('Intel ports that have quirks of their own', () => {
  function port(device: number, wide?: { capability: number; control: number }): PciDevice {
    const acs = { capability: 0x2f, control: 0x20, ...(wide && { wide }) };
    return PciTopology.build([pciFunction('0000:00:1c.0', { type: 4, vendor: 0x8086, device, acs })])
      .devices[0]!;
  }

  test('SPT: enabling sets the 32-bit word, parameters only clear RR CR EC in it', () => {
    const device = port(0xa110, { capability: 0x2f, control: 0x20 });
    expect(new AcsControl({ mode: 'enabled' }).wideWords(device)?.control).toBe(0x2d);
    expect(new AcsControl({ mode: 'enabled' }).words(device)?.control).toBe(0x20);
    for (const options of [{ disableAcsRedir: '00:1c.0' }, { configAcs: '1111111@00:1c.0' }]) {
      const changed = new AcsControl({ mode: 'enabled', ...options });
      expect(changed.wideWords(device)?.control).toBe(0x01);
      expect(changed.words(device)?.control).toBe(0x20);
    }
  });

  test('SPT: known by 16-bit words only', () => {
    expect(new AcsControl({ mode: 'recorded' }).wideWords(port(0xa110))).toEqual({
      capability: 0x2f,
      control: 0x0d,
    });
  });

  test('PCH: the standard words are left alone by enabling', () => {
    expect(new AcsControl({ mode: 'enabled' }).words(port(0x8c10))?.control).toBe(0x20);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kstrtobool, parseCommandLine, splitCommandLine } from './command-line.ts';

describe('words', () => {
  test.each([
    [
      'a b=c  d=',
      [
        ['a', undefined],
        ['b', 'c'],
        ['d', ''],
      ],
    ],
    [
      'root="LABEL=my disk" quiet',
      [
        ['root', 'LABEL=my disk'],
        ['quiet', undefined],
      ],
    ],
    [
      '"pci=noats" x',
      [
        ['pci', 'noats'],
        ['x', undefined],
      ],
    ],
    [
      '"a=b c" d',
      [
        ['a', 'b c'],
        ['d', undefined],
      ],
    ],
    ['a=b=c', [['a', 'b=c']]],
    ['intel-iommu=on', [['intel_iommu', 'on']]],
    ['quiet -- intel_iommu=off', [['quiet', undefined]]],
    ['\tx\n', [['x', undefined]]],
    ['open="no end', [['open', 'no end']]],
    ['', []],
  ])('%j', (text, words) => expect(splitCommandLine(text)).toEqual(words));

  test('any text ends in a command line', () => {
    const piece = fc.constantFrom(
      'pci=',
      'iommu=',
      'intel_iommu=',
      '"',
      ' ',
      ',',
      ';',
      'on',
      'pt',
      'id:',
      'strict',
      '=',
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(parseCommandLine(text).notes).toBeInstanceOf(Array);
      }),
    );
  });
});

describe('pci=', () => {
  test('a comma ends an option, semicolons stay', () => {
    const line = parseCommandLine(
      'pci=noaer,disable_acs_redir=00:01.0;pci:8086:0,noats pci=config_acs=1@pci:0:0',
    );
    expect(line).toMatchObject({
      disableAcsRedir: '00:01.0;pci:8086:0',
      configAcs: '1@pci:0:0',
      noAts: true,
    });
  });

  test('the last of several counts', () => {
    expect(parseCommandLine('pci=config_acs=0@a pci=config_acs=1@b').configAcs).toBe('1@b');
  });
});

describe('intel_iommu=', () => {
  test.each([
    ['on', { enabled: true, mapIntegratedGraphics: true }],
    ['off', { enabled: false }],
    ['on,igfx_off,sm_on', { enabled: true, igfxOff: true, scalableMode: true }],
    ['on,intgpu_off', { enabled: true, mapIntegratedGraphics: false }],
    ['sp_off,sm_off,tboot_noforce', { scalableMode: false }],
    ['onwards,,nonsense', { enabled: true }],
  ])('%s', (value, expected) =>
    expect(parseCommandLine(`intel_iommu=${value}`).intelIommu).toMatchObject(expected),
  );

  test('off after on', () => {
    expect(parseCommandLine('intel_iommu=on intel_iommu=off').intelIommu.enabled).toBe(false);
  });

  test('strict is the older spelling of iommu.strict=1', () => {
    expect(parseCommandLine('intel_iommu=strict').iommuStrict).toBe(true);
  });
});

test.each([
  ['off', { off: true }],
  ['force_isolation,pgtbl_v2', { forceIsolation: true }],
  ['force_enable', { forceEnable: true }],
  ['on', { off: false }],
])('amd_iommu=%s', (value, expected) => {
  expect(parseCommandLine(`amd_iommu=${value}`).amdIommu).toMatchObject(expected);
});

test.each([
  ['iommu=pt', true],
  ['iommu=nopt', false],
  ['iommu=pt iommu.passthrough=0', false],
  ['iommu.passthrough=0 iommu=soft,pt', true],
  ['iommu.passthrough=perhaps', undefined],
  ['iommu', undefined],
])('%s: pass-through %s', (text, passthrough) => {
  expect(parseCommandLine(text).iommuPassthrough).toBe(passthrough);
});

test('iommu=off, group_mf; the words that other architectures know say nothing of strictness', () => {
  const line = parseCommandLine('iommu=soft,strict,group_mf,off');
  expect(line.iommu).toEqual({ off: true, groupMf: true });
  expect(line.iommuStrict).toBeUndefined();
});

test.each([
  ['intremap=off', 'intremap=off'],
  ['nointremap', 'nointremap'],
  ['nointremap intremap=on', undefined],
  ['intremap=on nointremap=1', 'nointremap'],
  ['intremap=nosid,on', 'intremap=nosid'],
  ['intremap=on,off', 'intremap=off'],
  ['intremap=no_x2apic_optout,nopost', undefined],
  ['intremap', undefined],
])('%s: interrupts are not remapped safely because of %s', (text, word) => {
  expect(parseCommandLine(text).interruptRemappingOff).toBe(word);
});

test('ivrs_ioapic', () => {
  expect(parseCommandLine('ivrs_ioapic[32]=00:14.0').amdIommu.namesIoapic).toBe(true);
  expect(parseCommandLine('ivrs_hpet[0]=00:14.0').amdIommu.namesIoapic).toBe(false);
});

test('iommu.strict=, last one wins', () => {
  expect(parseCommandLine('iommu.strict=1 iommu.strict=0').iommuStrict).toBe(false);
  expect(parseCommandLine('iommu.strict=0 amd_iommu=fullflush').iommuStrict).toBe(true);
});

test('pcie_acs_override= adds up', () => {
  const { acsOverride, notes } = parseCommandLine(
    'pcie_acs_override=downstream pcie_acs_override=id:8086:1901,what',
  );
  expect(acsOverride).toEqual({
    downstream: true,
    multifunction: false,
    ids: [{ vendor: 0x8086, device: 0x1901 }],
  });
  expect(notes).toHaveLength(1);
  expect(parseCommandLine('quiet').acsOverride).toBeUndefined();
});

test.each([
  ['1', true],
  ['yes', true],
  ['Y', true],
  ['on', true],
  ['0', false],
  ['no', false],
  ['OFF', false],
  ['o', undefined],
  ['', undefined],
])('kstrtobool %j: %s', (text, value) => expect(kstrtobool(text)).toBe(value));

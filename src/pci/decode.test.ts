import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { ConfigSpace } from './config-space.ts';
import { decodeConfig } from './decode.ts';
import { ConfigBuilder } from './testing.ts';

/** A root port with ACS at 100, SR-IOV at 140 and ARI at 180. */
function rootPort(): ConfigBuilder {
  return new ConfigBuilder(4096, 0x81)
    .byte(0x18, 0)
    .byte(0x19, 1)
    .byte(0x1a, 4)
    .express(4)
    .extended(0x0d)
    .word(0x104, 0x5f)
    .word(0x106, 0x1d)
    .extended(0x10, 0x140)
    .extended(0x0e, 0x180);
}

describe('unknown is not absent', () => {
  test('64 bytes of a function with a capability list: nothing is known of capabilities', () => {
    const facts = decodeConfig(rootPort().space(64));
    expect(facts).toMatchObject({
      headerType: 1,
      multifunctionBit: true,
      bridge: { secondary: 1, subordinate: 4 },
    });
    for (const name of [
      'pcie',
      'acs',
      'ari',
      'sriov',
      'pmReset',
      'afFlr',
      'pasid',
      'ats',
      'iommuCapability',
    ] as const) {
      expect(facts[name], name).toBeUndefined();
    }
  });

  test('64 bytes of a function without a list: none are there', () => {
    const facts = decodeConfig(new ConfigBuilder(64).space());
    expect(facts).toMatchObject({ pcie: null, acs: null, sriov: null, pmReset: null });
  });

  test.each([[undefined], [4096]])('256 bytes of a PCIe function, size %s: extended ones unknown', (size) => {
    const facts = decodeConfig(rootPort().space(256, size));
    expect(facts.pcie).toMatchObject({ type: 4 });
    expect(facts.pmReset).toBeNull();
    expect(facts.acs).toBeUndefined();
    expect(facts.sriov).toBeUndefined();
  });

  test('256 bytes that the kernel calls the whole space: extended ones absent', () => {
    const facts = decodeConfig(rootPort().space(256, 256));
    expect(facts).toMatchObject({ acs: null, sriov: null, ari: null });
  });

  test('256 bytes of a conventional function: extended ones absent', () => {
    const facts = decodeConfig(new ConfigBuilder(256).capability(0x01, 0x50).space());
    expect(facts).toMatchObject({ pcie: null, acs: null, sriov: null });
  });

  test('no status bit, no list, whatever the pointer says', () => {
    const facts = decodeConfig(rootPort().word(0x06, 0).space());
    expect(facts.pcie).toBeNull();
  });

  test('a list that leads to where nobody read keeps what it found before', () => {
    const config = new ConfigBuilder(256).express(0).capability(0x01, 0xe0).space(0x80, 4096);
    const facts = decodeConfig(config);
    expect(facts.pcie?.type).toBe(0);
    expect(facts.pmReset).toBeUndefined();
  });

  test('all ones: asleep or gone, nothing is known', () => {
    const facts = decodeConfig(new ConfigSpace(new Uint8Array(256).fill(0xff)));
    expect(facts.headerType).toBeUndefined();
    expect(facts.pcie).toBeUndefined();
    expect(facts.damaged).toContain('all ones');
  });

  test('nothing read', () => {
    expect(decodeConfig(new ConfigSpace(new Uint8Array(0))).headerType).toBeUndefined();
  });
});

describe('what is decoded', () => {
  test('ACS words, header bits and bridge numbers', () => {
    const facts = decodeConfig(rootPort().space());
    expect(facts.acs).toEqual({ capability: 0x5f, control: 0x1d, at: 0x100 });
    expect(facts.damaged).toBeUndefined();
  });

  test('grouping.md 7: Intel root ports have the 32-bit words as well, control at +8', () => {
    const config = rootPort().word(0, 0x8086).dword(0x108, 0x0f);
    expect(decodeConfig(config.space()).acs?.wide).toEqual({ capability: 0x1d005f, control: 0x0f });
  });

  test('SR-IOV registers', () => {
    const config = new ConfigBuilder().express(0).extended(0x10);
    config.word(0x108, 1).word(0x10e, 8).word(0x110, 4).word(0x114, 0x180).word(0x116, 2).word(0x11a, 0x10ca);
    const sriov = { enabled: true, totalVfs: 8, numVfs: 4, offset: 0x180, stride: 2, vfDevice: 0x10ca };
    expect(decodeConfig(config.space()).sriov).toEqual(sriov);
  });

  test('resets: NoSoftRst off, AF with both bits, FLR', () => {
    const config = new ConfigBuilder()
      .express(0)
      .dword(0x44, 0x10000000)
      .capability(0x01, 0x80)
      .word(0x82, 3);
    config.capability(0x13, 0x90).byte(0x93, 3);
    expect(decodeConfig(config.space())).toMatchObject({ pcie: { flr: true }, pmReset: true, afFlr: true });
    config.word(0x84, 0x8).byte(0x93, 1);
    expect(decodeConfig(config.space())).toMatchObject({ pmReset: false, afFlr: false });
  });

  test('power management of a version past 3 is no power management', () => {
    expect(
      decodeConfig(new ConfigBuilder(256).capability(0x01, 0x80).word(0x82, 4).space()).pmReset,
    ).toBeNull();
  });

  test('ARI forwarding exists only from version 2 of the capability on', () => {
    const config = new ConfigBuilder(4096, 1).express(6).dword(0x64, 0x20).word(0x68, 0x20);
    expect(decodeConfig(config.space()).pcie).toMatchObject({
      ariForwarding: true,
      ariForwardingEnabled: true,
    });
    config.word(0x42, 0x61);
    expect(decodeConfig(config.space()).pcie).toMatchObject({
      ariForwarding: false,
      ariForwardingEnabled: false,
    });
  });

  test('ATS, PASID and the AMD IOMMU header', () => {
    const config = new ConfigBuilder().express(0).capability(0x0f, 0x80).dword(0x80, 0x190b640f);
    config.extended(0x0f).word(0x106, 0x8000).extended(0x1b, 0x140).word(0x144, 0x1400);
    const facts = decodeConfig(config.space());
    expect(facts).toMatchObject({ ats: { enabled: true }, pasid: { bits: 20 }, iommuCapability: 0x190b640f });
  });

  test('a CXL port that masks secondary bus resets', () => {
    const config = new ConfigBuilder(4096, 1).express(6).extended(0x23).dword(0x104, 0x1e98).word(0x108, 3);
    expect(decodeConfig(config.space()).cxlPort).toEqual({ busResetMasked: true });
    expect(decodeConfig(config.word(0x10c, 1).space()).cxlPort).toEqual({ busResetMasked: false });
    expect(decodeConfig(config.word(0x108, 7).space()).cxlPort).toBeNull();
  });

  test('CardBus bridges keep their list pointer at 14', () => {
    const config = new ConfigBuilder(256, 2).byte(0x18, 5).byte(0x19, 6).byte(0x1a, 9).capability(0x01, 0xa0);
    const facts = decodeConfig(config.space());
    expect(facts).toMatchObject({
      headerType: 2,
      pmReset: true,
      bridge: { primary: 5, secondary: 6, subordinate: 9 },
    });
  });

  test('ids that read ffff on a function that answers: what a virtual function looks like', () => {
    expect(decodeConfig(new ConfigBuilder(256).dword(0, 0xffffffff).space()).idsHidden).toBe(true);
  });

  test('of two capabilities with one id the first counts', () => {
    const config = new ConfigBuilder().express(4).capability(0x10, 0x80).word(0x82, 0x02).space();
    expect(decodeConfig(config).pcie?.type).toBe(4);
  });

  test('an extended space that repeats the first 256 bytes has no capabilities', () => {
    const bytes = rootPort().bytes;
    for (let at = 256; at < 4096; at += 256) bytes.copyWithin(at, 0, 256);
    expect(decodeConfig(new ConfigSpace(bytes)).acs).toBeNull();
  });

  test('PCI-X mode 2: a conventional function whose space the kernel calls longer', () => {
    const config = new ConfigBuilder().capability(0x07, 0x50).extended(0x0d).word(0x104, 1);
    expect(decodeConfig(config.space(4096, 4096)).acs).toMatchObject({ capability: 1 });
    expect(decodeConfig(config.space(4096)).acs).toBeNull();
  });
});

describe('junk ends, as it does in the kernel', () => {
  test('a conventional list in a circle', () => {
    const facts = decodeConfig(
      new ConfigBuilder(256).capability(0x01, 0x40).capability(0x05, 0x50).capability(0x09, 0x40).space(),
    );
    expect(facts.damaged).toBe('capability list comes back to 0x40');
    expect(facts.pcie).toBeNull();
  });

  test('pointers have their low bits masked, and end below 40', () => {
    const config = new ConfigBuilder(256).capability(0x10, 0x43).byte(0x40, 0x10).word(0x42, 0x42);
    expect(decodeConfig(config.space()).pcie?.type).toBe(4);
    expect(decodeConfig(config.byte(0x41, 0x20).space()).damaged).toContain('0x20');
  });

  test('an extended list in a circle, and one that leads outside', () => {
    const config = new ConfigBuilder().express(0).extended(0x0e).extended(0x0f, 0x200);
    config.dword(0x200, 0x1001000f);
    expect(decodeConfig(config.space()).damaged).toBe('extended capability list comes back to 0x100');
    config.dword(0x200, 0x0801000f);
    expect(decodeConfig(config.space()).damaged).toContain('leads outside');
  });

  test('random bytes give facts', () => {
    const lengths = fc.constantFrom(0, 1, 17, 64, 128, 256, 4096);
    const spaces = lengths.chain((length) =>
      fc.tuple(
        fc.uint8Array({ minLength: length, maxLength: length }),
        fc.constantFrom(undefined, 256, 4096),
      ),
    );
    fc.assert(
      fc.property(spaces, fc.integer({ min: -1, max: 5000 }), ([bytes, size], read) => {
        const facts = decodeConfig(new ConfigSpace(bytes, read, size));
        expect(Object.keys(facts).length).toBeGreaterThan(10);
      }),
    );
  });

  test('a mutated root port gives facts, and what is not read is never called absent', () => {
    const original = rootPort().bytes;
    const changes = fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(changes, fc.constantFrom(64, 100, 256, 300, 4096), (list, read) => {
        const bytes = original.slice();
        for (const [at, value] of list) bytes[at] = value;
        const whole = decodeConfig(new ConfigSpace(bytes, 4096, 4096));
        const part = decodeConfig(new ConfigSpace(bytes.slice(0, read), read, 4096));
        for (const name of ['pcie', 'acs', 'ari', 'sriov', 'pmReset'] as const) {
          if (part[name] === null) expect(whole[name], name).toBeNull();
        }
      }),
    );
  });
});

describe('ConfigSpace', () => {
  test('past what was read there is nothing, up to it missing bytes are zero', () => {
    const config = ConfigSpace.fromHex('8680', 4);
    expect(config.word(0)).toBe(0x8086);
    expect(config.word(2)).toBe(0);
    expect(config.word(3)).toBeUndefined();
    expect(config.byte(-1)).toBeUndefined();
    expect(new ConfigSpace(new Uint8Array(8).fill(0xff)).dword(4)).toBe(0xffffffff);
  });

  test.each(['abc', 'xy', '0'.repeat(8194)])('text that is no bytes names its place', (text) => {
    expect(() => ConfigSpace.fromHex(text, undefined, undefined, 'devices[3]')).toThrow(InputError);
    expect(() => ConfigSpace.fromHex(text, undefined, undefined, 'devices[3]')).toThrow(/^devices\[3\]: /);
  });
});

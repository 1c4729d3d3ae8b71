import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressKey, compareAddresses, devfn, formatAddress, parseAddress, rid } from './address.ts';

describe('parseAddress', () => {
  test.each([
    ['0000:01:00.0', { domain: 0, bus: 1, devfn: 0 }],
    ['01:1f.7', { domain: 0, bus: 1, devfn: 0xff }],
    ['10000:e1:02.3', { domain: 0x10000, bus: 0xe1, devfn: 0x13 }],
    ['pci_0000_0a_00_1', { domain: 0, bus: 0x0a, devfn: 1 }],
    ['0000:AB:00.0', { domain: 0, bus: 0xab, devfn: 0 }],
  ])('%s', (text, address) => expect(parseAddress(text)).toEqual(address));

  test.each([
    '',
    '01:00',
    '01:20.0',
    '01:00.8',
    '0000:01:00.0 ',
    '123456789:00:00.0',
    'pci0000:00',
    '0000:100:00.0',
  ])("no address: '%s'", (text) => expect(parseAddress(text)).toBeUndefined());

  const addresses = fc.record({
    domain: fc.integer({ min: 0, max: 0xffffffff }),
    bus: fc.integer({ min: 0, max: 255 }),
    devfn: fc.integer({ min: 0, max: 255 }),
  });

  test('what formatAddress writes, it reads', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  test('text of any kind gives an address or nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const address = parseAddress(text);
        if (address !== undefined) expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  test('order is numeric, and that of the keys', () => {
    fc.assert(
      fc.property(addresses, addresses, (a, b) => {
        const order = Math.sign(compareAddresses(formatAddress(a), formatAddress(b)));
        expect(order).toBe(Math.sign(addressKey(a) - addressKey(b)));
      }),
    );
  });
});

test('a five-digit domain comes after all four-digit ones, names that are no address last', () => {
  const sorted = ['usb1', '10000:00:00.0', 'ffff:00:00.0', '0000:0a:00.0', '0000:09:00.0'].sort(
    compareAddresses,
  );
  expect(sorted).toEqual(['0000:09:00.0', '0000:0a:00.0', 'ffff:00:00.0', '10000:00:00.0', 'usb1']);
});

test('requester id: bus in the upper byte, slot in bits 7:3', () => {
  expect(rid(0x3a, devfn(0x1f, 2))).toBe(0x3afa);
});

/** The quirk tables against a list of their ids that is kept apart from them. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  ACS_QUIRKS,
  CAVIUM_PORTS,
  type IdRanges,
  INTEL_PCH_PORTS,
  INTEL_SPT_PORTS,
  inRanges,
  WANGXUN_NICS,
  ZHAOXIN_PORTS,
} from './acs-quirks.ts';

interface IdList {
  /** Vendor, device or `any`, names of quirks in their order. */
  quirks: Record<string, Record<string, string>>;
  /** `3b42-3b51` or one id. */
  ports: Record<string, string[]>;
}

const LIST: IdList = JSON.parse(
  readFileSync(new URL('../../test/fixtures/acs-quirk-ids.json', import.meta.url), 'utf8'),
);

const hex = (id: number) => id.toString(16).padStart(4, '0');

test('every id has its quirk, and no other has one', () => {
  const found = new Map<string, string>();
  for (const { kind, vendor, devices } of ACS_QUIRKS) {
    for (const device of devices === 'any' ? ['any'] : devices.map(hex)) {
      const key = `${hex(vendor)}:${device}`;
      found.set(key, [...(found.get(key)?.split(' ') ?? []), kind].join(' '));
    }
  }
  const listed = Object.entries(LIST.quirks).flatMap(([vendor, devices]) =>
    Object.entries(devices).map(([device, kinds]) => [`${vendor}:${device}`, kinds] as const),
  );
  expect([...found].toSorted()).toEqual(listed.toSorted());
});

describe('what the quirks for all devices of a vendor choose', () => {
  const isIn = (ranges: IdRanges) => (id: number) => inRanges(ranges, id);
  test.each([
    ['intel_pch', (id: number) => INTEL_PCH_PORTS.has(id)],
    ['intel_spt', isIn(INTEL_SPT_PORTS)],
    ['cavium', isIn(CAVIUM_PORTS)],
    ['zhaoxin_ports', isIn(ZHAOXIN_PORTS)],
    ['wangxun', isIn(WANGXUN_NICS)],
  ])('%s', (name, chosen) => {
    const listed = new Set<number>();
    for (const range of LIST.ports[name]!) {
      const [first = 0, last = first] = range.split('-').map((id) => Number.parseInt(id, 16));
      for (let id = first; id <= last; id++) listed.add(id);
    }
    const all = Array.from({ length: 0x10000 }, (_, id) => id);
    expect(all.filter(chosen).map(hex)).toEqual(all.filter((id) => listed.has(id)).map(hex));
  });
});

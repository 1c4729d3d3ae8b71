/** The quirk tables against those of the facts they were written from, id by id. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  ACS_QUIRKS,
  CAVIUM_PORTS,
  type IdRanges,
  INTEL_PCH_PORTS,
  INTEL_SPT_PORTS,
  WANGXUN_NICS,
  ZHAOXIN_PORTS,
} from './acs-quirks.ts';
import { devfn } from './address.ts';
import { ALIAS_QUIRKS, type AliasEffect } from './alias-quirks.ts';

const FACTS = new URL('../../../shared/facts/grouping.md', import.meta.url);
const text = existsSync(FACTS) ? readFileSync(FACTS, 'utf8') : undefined;

function section(number: number): string {
  const from = text!.indexOf(`\n## ${number}. `);
  return text!.slice(from, text!.indexOf('\n## ', from + 1));
}

/** Cells of the table whose first heading is `heading`. */
function table(within: string, heading: string): string[][] {
  const lines = within.slice(within.indexOf(`| ${heading} |`)).split('\n');
  const rows = lines.slice(
    2,
    lines.findIndex((line) => !line.startsWith('|')),
  );
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** `3b42–3b51`, `1d10 12 14` (endings of the id before), `a000–a7ff, af84`. What stands in brackets is not an id. */
function ids(cell: string): number[] {
  const found: number[] = [];
  let last = '';
  for (const [, first = '', end] of cell
    .replace(/\([^)]*\)/g, '')
    .matchAll(/\b([0-9a-f]{4}|[0-9a-f]{2})(?:–([0-9a-f]{4}))?\b/g)) {
    const full = first.length === 4 ? first : last.slice(0, 2) + first;
    last = full;
    const from = Number.parseInt(full, 16);
    for (let id = from; id <= Number.parseInt(end ?? full, 16); id++) found.push(id);
  }
  return found;
}

const hex = (id: number) => id.toString(16).padStart(4, '0');
const expand = (ranges: IdRanges) =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
const sorted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b).map(hex);

const KINDS: Record<string, string> = { mf: 'mf_endpoint', nxp: 'nxp_rp' };

/** `amd_sb 1002:4385`, in no particular order. */
function factRows(): string[] {
  const rows: string[] = [];
  for (const [family = '', vendors = '', devices = ''] of table(section(7), 'Family')) {
    const named = /\((amd_sb|mf|qcom_rp|xgene|brcm|al)\)/.exec(family)?.[1];
    const kind = named ?? family.split(' ')[0]!.toLowerCase();
    const vendorList = vendors.split(' / ');
    if (vendorList.length > 1) {
      const deviceList = devices.split(' / ');
      vendorList.forEach((vendor, i) => {
        rows.push(`${KINDS[kind] ?? kind} ${vendor}:${deviceList[i]}`);
      });
    } else for (const id of ids(devices)) rows.push(`${KINDS[kind] ?? kind} ${vendors}:${hex(id)}`);
  }
  for (const [quirk = ''] of table(section(7), 'Quirk')) {
    const any = /^(\w+)(?: ports)? \((\w{4}), any/.exec(quirk);
    if (any !== null) rows.push(`${any[1] === 'zhaoxin' ? 'zhaoxin_ports' : any[1]} ${any[2]}:any`);
  }
  return rows;
}

describe.skipIf(text === undefined)('grouping.md 7 (needs ../shared/facts)', () => {
  test('132 rows, the same in data and facts', () => {
    const data = ACS_QUIRKS.flatMap(({ kind, vendor, devices }) =>
      (devices === 'any' ? ['any'] : devices.map(hex)).map((device) => `${kind} ${hex(vendor)}:${device}`),
    );
    expect(data).toHaveLength(132);
    expect(new Set(data).size).toBe(132);
    expect(data.toSorted()).toEqual(factRows().sort());
  });

  test('rows of one vendor are in the order that matters: ids, then catch-alls, except for Cavium', () => {
    const kinds = (vendor: number) =>
      ACS_QUIRKS.filter((row) => row.vendor === vendor).map((row) =>
        row.devices === 'any' ? row.kind : 'ids',
      );
    expect(kinds(0x8086).filter((kind) => kind !== 'ids')).toEqual(['rciep', 'intel_pch', 'intel_spt']);
    expect(kinds(0x8086).indexOf('rciep')).toBe(kinds(0x8086).lastIndexOf('ids') + 1);
    expect(kinds(0x177d)).toEqual(['cavium', 'ids']);
    expect(kinds(0x1d17)).toEqual(['ids', 'zhaoxin_ports']);
  });

  test('119 Intel PCH ports', () => {
    const facts = table(section(7), 'Chipset').flatMap(([, cell = '']) => ids(cell));
    expect(facts).toHaveLength(119);
    expect(sorted(INTEL_PCH_PORTS)).toEqual(sorted(facts));
  });

  test('Intel SPT, Cavium, Zhaoxin and Wangxun ranges', () => {
    const line = (start: string) =>
      section(7)
        .split('\n')
        .find((row) => row.startsWith(start))!;
    const cell = (start: string, column: number) => line(start).split('|')[column]!;
    expect(sorted(expand(INTEL_SPT_PORTS))).toEqual(sorted(ids(line('Intel SPT list').slice(16))));
    const cavium = /device (.*?), else/.exec(cell('| cavium', 2))![1]!;
    expect(sorted(expand(CAVIUM_PORTS))).toEqual(sorted(ids(cavium)));
    const claimed = (start: string) => /ids (.*?): ctrl/.exec(cell(start, 3))![1]!;
    expect(sorted(expand(ZHAOXIN_PORTS))).toEqual(sorted(ids(claimed('| zhaoxin'))));
    expect(sorted(expand(WANGXUN_NICS))).toEqual(sorted(ids(claimed('| wangxun'))));
  });
});

describe.skipIf(text === undefined)('grouping.md 6 (needs ../shared/facts)', () => {
  const rows = () => new Map(table(section(6), 'Quirk').map(([name = '', cell = '']) => [name, cell]));
  const rowOf = (start: string) => [...rows()].find(([name]) => name.startsWith(start))![1];

  function data(fits: (effect: AliasEffect) => boolean): string[] {
    return ALIAS_QUIRKS.filter(({ effect }) => fits(effect))
      .flatMap(({ vendor, devices }) => devices.map((device) => `${hex(vendor)}:${hex(device)}`))
      .sort();
  }

  /** `1b4b: 9120 9123; 1103:0642, 1103:0645` */
  function pairs(cell: string): string[] {
    const found: string[] = [];
    for (const part of cell.replace(/\([^)]*\)/g, '').split(';')) {
      const lists = part.includes(': ')
        ? [part.split(': ')]
        : part.split(',').map((pair) => pair.trim().split(':'));
      for (const [vendor = '', devices = ''] of lists) {
        for (const id of ids(devices)) found.push(`${vendor.trim().slice(-4)}:${hex(id)}`);
      }
    }
    return found.sort();
  }

  test('functions 0 and 1', () => {
    expect(data((effect) => 'function' in effect && effect.function === 0)).toEqual(pairs(rowOf('func0')));
    expect(data((effect) => 'function' in effect && effect.function === 1)).toEqual(pairs(rowOf('func1')));
  });

  test('fixed devfns', () => {
    const fixed = ALIAS_QUIRKS.filter(({ effect }) => 'devfns' in effect);
    expect(fixed.map(({ vendor, devices }) => `${hex(vendor)}:${devices.map(hex)}`)).toEqual([
      '9005:0285',
      '8086:2260,2264',
    ]);
    expect(rowOf('fixed alias')).toBe('9005:0285 with subsystem 9005:02bb or 9005:02bc');
    expect(pairs(rowOf('MIC x200'))).toEqual(['8086:2260', '8086:2264']);
    expect(fixed.map(({ effect }) => ('devfns' in effect ? effect.devfns : []))).toEqual([
      [devfn(1, 0)],
      [devfn(0x10, 0), devfn(0x11, 0), devfn(0x12, 3)],
    ]);
  });

  test('VCA, PLX, bridges and translation roots', () => {
    expect(data((effect) => 'everySlot' in effect)).toEqual(pairs(rowOf('Intel VCA')));
    expect(data((effect) => 'every' in effect)).toEqual(pairs(rowOf('PLX NTB')));
    const bridges = pairs(rowOf('bridge alias flag').split(';')[0]!);
    expect(data((effect) => 'bridge' in effect && effect.bridge === 'express-to-pci')).toEqual(bridges);
    const roots = pairs(rowOf('XLATE_ROOT'));
    expect(data((effect) => 'bridge' in effect && effect.bridge === 'translation-root')).toEqual(roots);
  });

  test('Switchtec: 93 Microsemi and 7 Microchip ids', () => {
    const cell = rowOf('Switchtec NTB');
    const third = ids(cell.slice(0, cell.indexOf(';')).replace('11f8:', ''));
    const lanes = ['00', '84', '68', '52', '36', '28'];
    expect(cell).toContain('50xx–55xx each {00,84,68,52,36,28}');
    const fourth = ids('4000 4084 4068 4052 4036 4028 4352 4336 4328 4452 4436 4428 4552 4536 4528');
    for (const id of fourth) expect(cell).toContain(hex(id));
    expect(cell).toContain('41xx 42xx same six');
    const families = ['41', '42', '50', '51', '52', '53', '54', '55'];
    const all = [
      ...third,
      ...fourth,
      ...families.flatMap((f) => lanes.map((lane) => Number.parseInt(f + lane, 16))),
    ];
    const facts = [...all.map((id) => `11f8:${hex(id)}`), ...pairs(cell.slice(cell.indexOf('1055:')))];
    expect(data((effect) => 'unknowable' in effect)).toEqual(facts.sort());
    expect([all.length, facts.length]).toEqual([93, 100]);
  });
});

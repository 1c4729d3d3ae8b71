import { describe, expect, test } from 'vitest';
import { parseCommandLine } from '../../pci/command-line.ts';
import { hex, ivhd, ivhdEntry, ivrsTable, recorded } from '../firmware/testing.ts';
import { integrated } from '../grouping/testing.ts';
import { type InterruptFacts, interruptIsolation } from './interrupt-remapping.ts';
import { detect } from './testing.ts';

const ask = (facts: Partial<InterruptFacts>, commandLine = '') =>
  interruptIsolation({ acpi: {}, arch: 'x86_64', commandLine: parseCommandLine(commandLine), ...facts });
const INTEL = { DMAR: recorded.rootPorts };
const AMD = { IVRS: recorded.amd };
const unit = (ecap?: string) => ({ name: 'dmar0', ...(ecap !== undefined && { registers: { ecap } }) });

describe('VT-d', () => {
  test('firmware offers it and no unit is known to lack it', () => {
    expect(ask({ acpi: INTEL })).toEqual({ isolated: true, because: 'vt-d' });
    expect(ask({ acpi: INTEL, iommus: [unit('f00f4a')] }).isolated).toBe(true);
    expect(ask({ acpi: INTEL, iommus: [unit(), unit('f00f42')] })).toMatchObject({
      isolated: false,
      detail: 'dmar0',
    });
  });

  test('units without their table: one that lacks it tells, others do not', () => {
    expect(ask({ iommus: [unit('f00f4a')] }).isolated).toBeUndefined();
    expect(ask({ iommus: [unit()] }).isolated).toBeUndefined();
    expect(ask({ iommus: [unit('f00f42')] }).isolated).toBe(false);
  });
});

describe('AMD-Vi', () => {
  test('the I/O APIC has to be listed, or named on the command line', () => {
    const bare = { IVRS: hex(ivrsTable(ivhd(ivhdEntry.all))) };
    expect(ask({ acpi: AMD }).isolated).toBe(true);
    expect(ask({ acpi: bare })).toEqual({ isolated: false, because: 'no-ioapic' });
    expect(ask({ acpi: bare }, 'ivrs_ioapic[32]=00:14.0').isolated).toBe(true);
  });
});

test('switched off on the command line, whatever the platform', () => {
  for (const acpi of [INTEL, AMD, {}]) {
    expect(ask({ acpi }, 'intremap=off')).toEqual({
      isolated: false,
      because: 'command-line',
      detail: 'intremap=off',
    });
  }
});

test('a command line nobody recorded may switch it off', () => {
  expect(ask({ acpi: INTEL, commandLineUnknown: true })).toEqual({
    isolated: undefined,
    because: 'unread-command-line',
  });
});

test('no tables: unknown; others without the two that matter, on x86: nothing remaps', () => {
  expect(ask({}).isolated).toBeUndefined();
  expect(ask({ acpi: { VIOT: recorded.virtio } }).isolated).toBe(false);
  expect(ask({ acpi: { VIOT: recorded.virtio }, arch: 'aarch64' }).isolated).toBeUndefined();
  expect(ask({ acpi: { DMAR: '00' } })).toMatchObject({ isolated: undefined, because: 'bad-table' });
});

describe('every IOMMU of the machine gives this answer', () => {
  const tree = [integrated('2.0', { name: 'a' })];
  test.each([
    ['VT-d', { acpi: INTEL, assumeOn: true }, true],
    ['VT-d by name', { iommus: [unit('f00f42')], recorded: { '0000:00:02.0': { iommu: 'dmar0' } } }, false],
    ['AMD-Vi', { acpi: AMD }, true],
    ['virtio', { acpi: { VIOT: recorded.virtio } }, false],
    ['SMMU', { arch: 'aarch64', iommus: [{ name: 'smmu3.0x1' }] }, undefined],
    ['unknown hardware', {}, undefined],
  ])('%s', (_name, facts, isolated) => {
    const { instances, machine } = detect(tree, { ...facts, commandLine: '' });
    expect(instances.map((one) => one.isolatedMsi?.(machine.get('a')))).toEqual([isolated]);
    const off = detect(tree, { ...facts, commandLine: 'intremap=off' }).instances;
    expect(off.map((one) => one.isolatedMsi?.(machine.get('a')))).toEqual([false]);
  });
});

import { describe, expect, test } from 'vitest';
import { pciBridge, pciFunction } from '../pci/testing.ts';
import { PciTopology } from '../pci/topology.ts';
import { recordedAcs } from './recorded-acs.ts';

const ROOT_PORT = 4;
const machine = (...controls: (number | null)[]) =>
  PciTopology.build(
    controls.map((control, at) =>
      pciBridge(`0000:00:0${at}.0`, at + 1, at + 1, {
        type: ROOT_PORT,
        ...(control !== null && { acsWords: [0x1d, control] as [number, number] }),
      }),
    ),
  ).devices;

describe('control words', () => {
  test('of a kernel that formed groups are as they are', () => {
    expect(recordedAcs([{ id: 0, devices: [] }], machine(0))).toEqual({ mode: 'recorded', notes: [] });
  });

  test('of a kernel without groups are those of firmware, also where firmware switched something on', () => {
    expect(recordedAcs([], machine(0x1d))).toEqual({ mode: 'enabled', notes: [] });
  });

  test('where nothing is known of groups, a single bit that is on shows that a kernel was there', () => {
    expect(recordedAcs(undefined, machine(null, 0, 0x04))).toEqual({
      mode: 'recorded',
      notes: [expect.stringMatching(/all its control words are taken/)],
    });
  });

  test('and where all are off it is said that groups are shown with ACS on', () => {
    const { mode, notes } = recordedAcs(undefined, machine(0, 0));
    expect(mode).toBe('enabled');
    expect(notes).toEqual([expect.stringContaining('ACS is off in this recording')]);
  });

  test('without the capability there is nothing to switch on', () => {
    const plain = PciTopology.build([pciFunction('0000:00:01.0')]).devices;
    expect(recordedAcs(undefined, plain)).toEqual({ mode: 'enabled', notes: [] });
    expect(recordedAcs(undefined, machine(null))).toEqual({ mode: 'enabled', notes: [] });
  });
});

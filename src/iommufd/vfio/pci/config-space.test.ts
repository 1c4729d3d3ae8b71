import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerOf } from '../../../iommu/testing.ts';
import type { PciDevice } from '../../../pci/device.ts';
import { ConfigBuilder, pciFunction } from '../../../pci/testing.ts';
import { PciTopology } from '../../../pci/topology.ts';
import { VirtualConfigSpace } from './config-space.ts';
import { PciHardware, type PciResource, pciResource } from './hardware.ts';

interface Opened {
  hardware: PciHardware;
  resets: () => number;
  read(at: number, width: number): number;
  write(at: number, width: number, value: number): void;
}

function space(
  config: ConfigBuilder,
  resources: (PciResource | undefined)[] = [],
  pci: PciDevice = PciTopology.build([pciFunction('0000:01:00.0', { type: 0, config: config.space() })])
    .devices[0]!,
): Opened {
  let resets = 0;
  const hardware = new PciHardware(pci, { resources });
  const virtual = new VirtualConfigSpace(hardware, () => resets++);
  return {
    hardware,
    resets: () => resets,
    read: (at, width) => {
      const bytes = new Uint8Array(width);
      virtual.read(at, bytes);
      return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
    },
    write: (at, width, value) => {
      const bytes = Uint8Array.from({ length: width }, (_, n) => Math.floor(value / 256 ** n) % 256);
      virtual.write(at, bytes);
    },
  };
}

describe('vfio_pci_config.c: the header', () => {
  test('ids read as they are and cannot be written', () => {
    const { read, write } = space(new ConfigBuilder());
    write(0, 4, 0x1234_5678);
    expect(read(0, 4)).toBe(0x1041_1af4);
  });

  test('a program that writes ones to the BARs finds their sizes', () => {
    const { read, write, hardware } = space(new ConfigBuilder(), [
      pciResource(0xf000_0000n, 0xf000_3fffn, 0x2200n),
      pciResource(0xe000n, 0xe01fn, 0x100n),
      pciResource(0x38_0000_0000n, 0x3b_ffff_ffffn, 0x10_2200n),
      undefined,
      undefined,
      pciResource(0xf100_0000n, 0xf100_0fffn, 0x200n),
      pciResource(0xf200_0000n, 0xf200_ffffn, 0x200n),
    ]);
    const bars = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30];
    for (const at of bars) write(at, 4, 0xffff_ffff);
    expect(bars.map((at) => read(at, 4).toString(16))).toEqual([
      'ffffc008',
      'ffffffe1',
      'c',
      'fffffffc',
      '0',
      'fffff000',
      'ffff0001',
    ]);
    expect(bars.map((at) => hardware.read(at, 4))).toEqual(bars.map(() => 0));
    write(0x10, 4, 0xc000_0000);
    expect(read(0x10, 4)).toBe(0xc000_0008);
    expect(read(0x12, 2)).toBe(0xc000);
  });

  test('a BAR without an address is none to a program', () => {
    const { read, write } = space(new ConfigBuilder(), [pciResource(0n, 0xfffn, 0x200n)]);
    write(0x10, 4, 0xffff_ffff);
    expect(read(0x10, 4)).toBe(0);
  });

  test('the command register is the hardware’s, but for the INTx switch', () => {
    const { read, write, hardware } = space(new ConfigBuilder());
    write(4, 2, 0x0407);
    expect([read(4, 2), hardware.read(4, 2)]).toEqual([0x0407, 0x0007]);
    write(5, 1, 0);
    expect(read(4, 2)).toBe(0x0007);
  });

  test('interrupt line: a scratch pad; interrupt pin: read-only', () => {
    const { read, write, hardware } = space(new ConfigBuilder().byte(0x3d, 2));
    write(0x3c, 2, 0x0155);
    expect([read(0x3c, 2), hardware.read(0x3c, 2)]).toEqual([0x0255, 0x0200]);
  });

  test('a virtual function shows the ids it would have, no interrupt pin, and memory that is on', () => {
    const config = new ConfigBuilder().word(0, 0xffff).word(2, 0xffff).byte(0x3d, 1).express(0);
    const sriov = { enabled: true, numVfs: 1, totalVfs: 4, offset: 1, stride: 1, vfDevice: 0x10ed };
    const topology = PciTopology.build([
      pciFunction('0000:01:00.0', { type: 0, vendor: 0x8086, sriov }),
      pciFunction('0000:01:00.1', {
        type: 0,
        physfn: '0000:01:00.0',
        vendor: 0x8086,
        device: 0x10ed,
        config: config.space(),
      }),
    ]);
    const { read, write } = space(config, [], topology.find('01:00.1')!);
    expect(read(0, 4)).toBe(0x10ed_8086);
    expect(read(0x3d, 1)).toBe(0);
    expect(read(4, 2) & 2).toBe(2);
    write(4, 2, 0);
    expect(read(4, 2) & 2).toBe(0);
  });
});

describe('vfio_pci_config.c: capabilities', () => {
  function chain({ read }: Opened): [number, number][] {
    const found: [number, number][] = [];
    for (let at = read(0x34, 1); at !== 0; at = read(at + 1, 1)) found.push([at, read(at, 1)]);
    return found;
  }

  test('what concerns bridges or is unknown is left out of the chain', () => {
    const config = new ConfigBuilder().capability(0x0d, 0x40).capability(0x01, 0x50).capability(0x04, 0x60);
    config.capability(0x14, 0x68).capability(0x10, 0x70);
    expect(chain(space(config))).toEqual([
      [0x50, 0x01],
      [0x70, 0x10],
    ]);
  });

  test('with all left out the status says there are none', () => {
    const opened = space(new ConfigBuilder().capability(0x0d, 0x40));
    expect([opened.read(6, 2) & 0x10, opened.hardware.read(6, 2) & 0x10]).toEqual([0, 0x10]);
    expect(chain(opened)).toEqual([]);
  });

  test('the power state can be changed; wake-up is hidden', () => {
    const config = new ConfigBuilder().capability(0x01, 0x50).word(0x52, 0xf803).word(0x54, 0x8100);
    const { read, write, hardware } = space(config);
    expect([read(0x52, 2), read(0x54, 2)]).toEqual([0x0003, 0]);
    write(0x54, 2, 0x8103);
    expect(read(0x54, 2)).toBe(3);
    expect(hardware.read(0x54, 2)).toBe(0x8103);
  });

  test('MSI is switched on by a call, not by writing', () => {
    const config = new ConfigBuilder().capability(0x05, 0x50).word(0x52, 0x018a);
    const { read, write, hardware } = space(config);
    write(0x54, 4, 0xfee0_0000);
    write(0x58, 4, 1);
    write(0x5c, 2, 0x4021);
    write(0x60, 4, 0xff);
    expect([read(0x54, 4), read(0x58, 4), read(0x5c, 2)]).toEqual([0xfee0_0000, 1, 0x4021]);
    expect([hardware.read(0x54, 4), hardware.read(0x60, 4)]).toEqual([0, 0xff]);
    write(0x52, 2, 0x01bb);
    expect([read(0x52, 2), hardware.read(0x52, 2)]).toEqual([0x018a, 0x018a]);
    expect(read(0x50, 4)).toBe(0x018a_0005);
  });

  test('PCI Express: payload size is kept from hardware, read size has a floor, reset is done', () => {
    const config = new ConfigBuilder().express(0).dword(0x44, 0x1000_0000).word(0x48, 0x2050);
    const { read, write, hardware, resets } = space(config);
    write(0x48, 2, 0x00a1);
    expect([read(0x48, 2), hardware.read(0x48, 2)]).toEqual([0x00a1, 0x2041]);
    write(0x48, 2, 0x52a1);
    expect([read(0x48, 2), hardware.read(0x48, 2)]).toEqual([0x50a1, 0x5041]);
    expect(resets()).toBe(0);
    write(0x48, 2, 0x8000);
    expect([read(0x48, 2) & 0x8000, resets()]).toEqual([0, 1]);
    write(0x68, 2, 0xffff);
    expect(read(0x68, 2)).toBe(0xffdf);
  });

  test('advanced features: a reset, if the capability has one', () => {
    const capable = space(new ConfigBuilder().capability(0x13, 0x50).byte(0x52, 6).byte(0x53, 3));
    capable.write(0x54, 1, 0xff);
    expect([capable.read(0x54, 1), capable.resets()]).toEqual([0, 1]);
    const incapable = space(new ConfigBuilder().capability(0x13, 0x50).byte(0x52, 6).byte(0x53, 1));
    incapable.write(0x54, 1, 1);
    expect(incapable.resets()).toBe(0);
  });

  test('MSI-X and what has no rules is read-only; makers’ capabilities and gaps are the device’s', () => {
    const config = new ConfigBuilder().capability(0x11, 0x50).capability(0x09, 0x60).byte(0x62, 8);
    const { read, write, hardware } = space(config);
    write(0x52, 2, 0xffff);
    write(0x64, 4, 0x1234_5678);
    write(0x61, 1, 0x77);
    write(0x90, 2, 0xabcd);
    expect([read(0x52, 2), hardware.read(0x64, 4), read(0x90, 2)]).toEqual([0, 0x1234_5678, 0xabcd]);
    expect([hardware.read(0x61, 1), read(0x61, 1)]).toEqual([0x77, 0]);
  });
});

describe('vfio_pci_config.c: extended capabilities', () => {
  function chain({ read }: Opened): number[] {
    const found: number[] = [];
    for (let at = 0x100; at !== 0; at = read(at + 2, 2) >> 4) found.push(read(at, 2));
    return found;
  }

  test('what is not for programs is skipped; at the beginning an empty one stays', () => {
    const middle = new ConfigBuilder()
      .express(0)
      .extended(0x01, 0x100)
      .extended(0x1b, 0x200)
      .extended(0x03, 0x300);
    expect(chain(space(middle))).toEqual([1, 3]);
    const first = new ConfigBuilder().express(0).extended(0x1b, 0x100).extended(0x03, 0x200);
    expect(chain(space(first))).toEqual([0, 3]);
    const only = new ConfigBuilder().express(0).extended(0x1b, 0x100);
    expect(space(only).read(0x100, 4)).toBe(0);
  });

  test('errors can be cleared and masked, headers not written', () => {
    const config = new ConfigBuilder().express(0).extended(0x01, 0x100);
    const { read, write } = space(config);
    write(0x100, 4, 0xffff_ffff);
    write(0x108, 4, 0xffff_ffff);
    write(0x114, 4, 0xffff_ffff);
    write(0x11c, 4, 0xffff_ffff);
    expect([read(0x100, 4), read(0x108, 4), read(0x114, 4), read(0x11c, 4)]).toEqual([
      0x0001_0001, 0x03ff_f031, 0xf1c1, 0,
    ]);
  });

  test('a conventional function has none', () => {
    const { read, write } = space(new ConfigBuilder().extended(0x01, 0x100));
    write(0x104, 4, 0x55);
    expect(read(0x104, 4)).toBe(0x55);
  });
});

describe('accesses of any size and place', () => {
  const config = new ConfigBuilder()
    .express(0)
    .capability(0x05, 0x80)
    .capability(0x01, 0x98)
    .capability(0x11, 0xa0);
  config
    .word(0x82, 0x018a)
    .extended(0x01, 0x100)
    .extended(0x1b, 0x150)
    .extended(0x0b, 0x160)
    .dword(0x164, 0x00c0_0001);

  test('reading piece by piece gives what reading at once gives', () => {
    const { read } = space(config);
    const bytes = Array.from({ length: 4096 }, (_, at) => read(at, 1));
    for (let at = 0; at < 4096; at += 4) {
      const together = bytes.slice(at, at + 4).reduceRight((value, byte) => value * 256 + byte, 0);
      expect([at, read(at, 4)]).toEqual([at, together]);
    }
  });

  test('whatever is written, ids, links and BAR registers of the hardware stay', () => {
    const write = fc.tuple(fc.nat(4095), fc.integer({ min: 1, max: 9 }), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), (writes) => {
        const opened = space(config, [pciResource(0xf000_0000n, 0xf000_0fffn, 0x200n)]);
        const before = opened.hardware.save();
        const links = [0x00, 0x02, 0x34, 0x41, 0x81, 0x99, 0xa1].map((at) => opened.read(at, 1));
        for (const [at, width, value] of writes) {
          expect(answerOf(() => opened.write(at, width, value))).toBe(at + width > 4096 ? 'EFAULT' : 'ok');
        }
        expect([0x00, 0x02, 0x34, 0x41, 0x81, 0x99, 0xa1].map((at) => opened.read(at, 1))).toEqual(links);
        const after = opened.hardware.save();
        for (let at = 0x10; at < 0x34; at++) expect(after[at]).toBe(before[at]);
      }),
    );
  });
});

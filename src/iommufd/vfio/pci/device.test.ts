import { describe, expect, test } from 'vitest';
import { Bus } from '../../../device/bus.ts';
import { answerOf } from '../../../iommu/testing.ts';
import type { PciDevice } from '../../../pci/device.ts';
import type { FunctionFacts } from '../../../pci/facts.ts';
import { ConfigBuilder, pciFunction } from '../../../pci/testing.ts';
import { PciTopology } from '../../../pci/topology.ts';
import { everyStepFails } from '../../testing.ts';
import { PCI_REGION_SPAN } from '../constants.ts';
import type { VfioDeviceFile } from '../device-file.ts';
import { VfioBench } from '../testing.ts';
import { type VfioPciOptions, vfioPciDriver } from './driver.ts';
import { type PciHardwareInit, type PciResource, pciResource } from './hardware.ts';

const ADDRESS = '0000:01:00.0';
const EXPRESS = { flr: true, type: 0, ariForwarding: false, ariForwardingEnabled: false };

/** Memory behind a BAR. */
function memory(size: number): PciResource & { bytes: Uint8Array } {
  const bytes = new Uint8Array(size);
  return {
    start: 0xf000_0000n,
    size: BigInt(size),
    kind: 'memory',
    bytes,
    behind: {
      read: (at, into) => into.set(bytes.subarray(at, at + into.length)),
      write: (at, from) => bytes.set(from, at),
    },
  };
}

interface Init extends PciHardwareInit {
  facts?: Partial<FunctionFacts>;
  config?: ConfigBuilder;
  vga?: boolean;
  classCode?: number;
  vendor?: number;
  device?: number;
  options?: VfioPciOptions;
}

/** A machine with one PCI function that vfio-pci is to have. */
function machine(init: Init = {}) {
  const bench = new VfioBench();
  const { iommu, core } = bench.bench;
  const bus = new Bus({ name: 'pci', driverOverride: true, ...iommu.dmaHooks });
  core.addBus(bus);
  iommu.addBus(bus);
  const { facts, config, vendor, device, classCode, options, ...hardware } = init;
  const made = pciFunction(ADDRESS, {
    pcie: EXPRESS,
    ...facts,
    ...(vendor !== undefined && { vendor }),
    ...(device !== undefined && { device }),
    class: classCode,
    config: config?.space(),
  });
  const topology = PciTopology.build([made], { bus });
  const pci = topology.find(ADDRESS) as PciDevice;
  core.addDevice(pci.parent!);
  core.addDevice(pci);
  const driver = vfioPciDriver(bench.vfio, bus, { hardware: () => hardware, ...options });
  core.registerDriver(driver);
  pci.driverOverride = 'vfio-pci';
  return { bench, pci, bind: () => core.bind(pci, driver) };
}

function opened(init: Init = {}) {
  const made = machine(init);
  made.bind();
  const { bench, pci } = made;
  const file = bench.openCdev(pci);
  file.bindIommufd({ argsz: 16, flags: 0, iommufd: bench.open(), outDevid: 0 });
  return { ...made, file };
}

function region(file: VfioDeviceFile, index: number, argsz = 64) {
  const request = { argsz, flags: 0, index, capOffset: 0, size: 77n, offset: 77n };
  file.getRegionInfo(request);
  return request;
}

function irq(file: VfioDeviceFile, index: number) {
  const request = { argsz: 16, flags: 0, index, count: 77 };
  file.getIrqInfo(request);
  return { flags: request.flags, count: request.count };
}

const place = (index: number, offset: number) => BigInt(index) * PCI_REGION_SPAN + BigInt(offset);

describe('the driver vfio-pci', () => {
  test('takes a function, and hands it to VFIO until it is unbound', () => {
    const { bench, pci, bind } = machine();
    bind();
    expect(bench.vfio.find(pci)!.ops.name).toBe('vfio-pci');
    bench.bench.core.unbind(pci);
    expect(bench.vfio.devices).toEqual([]);
  });

  test.each<[string, Init, string]>([
    ['a bridge', { facts: { headerType: 1 } }, 'EINVAL'],
    ['a function with virtual ones', { facts: { sriov: sriov(2) } }, 'EBUSY'],
    ['a function that could have virtual ones', { facts: { sriov: sriov(0) } }, 'ok'],
    ['a crypto device of the denylist', { vendor: 0x8086, device: 0x37c8 }, 'EINVAL'],
    [
      'the same with the list off',
      { vendor: 0x8086, device: 0x37c8, options: { disableDenylist: true } },
      'ok',
    ],
  ])('%s', (_, init, answer) => {
    expect(answerOf(machine(init).bind)).toBe(answer);
  });

  test('the name of a device can have options behind it', () => {
    const token = 'vf_token=2ab74924-c335-45f4-9b16-8569e5b08258';
    const names: [string, string][] = [
      [ADDRESS, 'ok'],
      [`${ADDRESS}  `, 'ok'],
      [`${ADDRESS}x`, 'ENODEV'],
      ['0000:01:00', 'ENODEV'],
      [`${ADDRESS} sideways`, 'EINVAL'],
      [`${ADDRESS} ${token}`, 'EINVAL'],
      [`${ADDRESS} vf_token=2ab`, 'EINVAL'],
    ];
    for (const facts of [{}, { sriov: sriov(0) }]) {
      const { bench, pci, bind } = machine({ facts });
      bind();
      const group = bench.openGroupOf(pci);
      group.setContainer(bench.open());
      for (const [name, answer] of names) {
        const meant = 'sriov' in facts && name.endsWith(token) ? 'ok' : answer;
        expect([name, answerOf(() => group.getDeviceFd(name))]).toEqual([name, meant]);
      }
    }
  });
});

describe('GET_INFO and RESET', () => {
  test.each([
    [true, 3],
    [false, 2],
  ])('a function that can be reset: %s', (canReset, flags) => {
    let resets = 0;
    const { file } = opened({ canReset, onReset: () => resets++ });
    const request = { argsz: 20, flags: 0, numRegions: 0, numIrqs: 0, capOffset: 7 };
    file.getInfo(request);
    expect(request).toEqual({ argsz: 20, flags, numRegions: 9, numIrqs: 5, capOffset: 0 });
    expect(answerOf(() => file.getInfo({ ...request, argsz: 15 }))).toBe('EINVAL');
    const atOpen = resets;
    expect(answerOf(() => file.reset())).toBe(canReset ? 'ok' : 'EINVAL');
    expect([atOpen, resets]).toEqual(canReset ? [1, 2] : [0, 0]);
    file.close();
    expect(resets).toBe(canReset ? 3 : 0);
  });

  test('whether it can be reset is known from its facts', () => {
    const flags = (facts: Partial<FunctionFacts>) => {
      const request = { argsz: 20, flags: 0, numRegions: 0, numIrqs: 0, capOffset: 0 };
      opened({ facts }).file.getInfo(request);
      return request.flags;
    };
    expect(flags({ pcie: EXPRESS })).toBe(3);
    expect(flags({ pcie: { ...EXPRESS, flr: false } })).toBe(2);
  });
});

describe('GET_REGION_INFO', () => {
  const resources = [
    { ...memory(0x4000) },
    pciResource(0xf100_0100n, 0xf100_01ffn, 0x200n),
    pciResource(0xe000n, 0xe01fn, 0x101n),
    pciResource(0xf200_0000n, 0xf200_01ffn, 0x10_2200n),
    undefined,
    undefined,
    memory(0x1000),
  ];

  test.each([
    ['a BAR of memory', 0, 0x4000n, 7],
    ['less than a page somewhere in one', 1, 0x100n, 3],
    ['I/O ports', 2, 0x20n, 3],
    ['less than a page at its beginning', 3, 0x200n, 7],
    ['a BAR that is not there', 4, 0n, 0],
    ['the ROM', 6, 0x1000n, 1],
    ['configuration space', 7, 4096n, 3],
  ])('%s, region %i: %i bytes, flags %i', (_, index, size, flags) => {
    const { file } = opened({ resources });
    expect(region(file, index)).toMatchObject({ index, size, flags, offset: place(index, 0), capOffset: 0 });
  });

  test('a ROM that nothing answers for is not there', () => {
    const { file } = opened({
      resources: [...resources.slice(0, 6), pciResource(0xf300_0000n, 0xf30f_ffffn, 0x200n)],
    });
    expect(region(file, 6)).toMatchObject({ size: 0n, flags: 0 });
  });

  test('conventional PCI has 256 bytes of configuration space', () => {
    expect(region(opened({ facts: { pcie: null } }).file, 7).size).toBe(256n);
  });

  test('no such region, or argsz below 32: EINVAL', () => {
    const { file } = opened({ resources });
    expect(answerOf(() => region(file, 9))).toBe('EINVAL');
    expect(answerOf(() => region(file, 0, 31))).toBe('EINVAL');
  });

  test('VGA: where the kernel has it on, for VGA controllers', () => {
    expect(answerOf(() => region(opened({ classCode: 0x03_0000 }).file, 8))).toBe('EINVAL');
    expect(answerOf(() => region(opened({ vga: true, classCode: 0x02_0000 }).file, 8))).toBe('EINVAL');
    expect(region(opened({ vga: true, classCode: 0x03_0000 }).file, 8)).toMatchObject({
      size: 0xc_0000n,
      flags: 3,
    });
  });

  test('the BAR of the MSI-X table may be mapped whole, says a capability that takes 8 bytes more', () => {
    const config = new ConfigBuilder().express(0).capability(0x11, 0x70);
    config.word(0x72, 0x7).dword(0x74, 0x2000);
    const { file } = opened({ config, resources });
    expect(region(file, 0, 40)).toMatchObject({
      argsz: 40,
      flags: 15,
      capOffset: 32,
      caps: [{ id: 3, version: 1 }],
    });
    const short = region(file, 0, 39);
    expect(short).toMatchObject({ argsz: 40, flags: 15, capOffset: 0 });
    expect(short).not.toHaveProperty('caps');
    expect(region(file, 3, 40).flags).toBe(7);
  });
});

describe('GET_IRQ_INFO', () => {
  const config = new ConfigBuilder().express(0).capability(0x05, 0x50).capability(0x11, 0x70);
  config.byte(0x3d, 1).word(0x52, 0x8a).word(0x72, 0x1f);

  test.each([
    ['INTx', 0, 7, 1],
    ['MSI', 1, 9, 32],
    ['MSI-X, which x86 extends one by one', 2, 1, 32],
    ['errors', 3, 9, 1],
    ['requests', 4, 9, 1],
  ])('%s, index %i: flags %i, %i of them', (_, index, flags, count) => {
    expect(irq(opened({ config }).file, index)).toEqual({ flags, count });
  });

  test('a function without any of them', () => {
    const { file } = opened({ facts: { pcie: null } });
    expect([0, 1, 2].map((index) => irq(file, index).count)).toEqual([0, 0, 0]);
    expect(answerOf(() => irq(file, 3))).toBe('EINVAL');
    expect(irq(file, 4).count).toBe(1);
    expect(answerOf(() => irq(file, 5))).toBe('EINVAL');
    expect(answerOf(() => file.getIrqInfo({ argsz: 15, flags: 0, index: 0, count: 0 }))).toBe('EINVAL');
  });
});

describe('reading and writing regions', () => {
  test('a BAR: what is behind it, all ones without, cut at its end', () => {
    const bar = memory(0x100);
    const { file } = opened({ resources: [bar, pciResource(0xf100_0000n, 0xf100_0fffn, 0x200n)] });
    expect(file.write(place(0, 0xfe), new Uint8Array([1, 2, 3]))).toBe(2);
    expect([...bar.bytes.subarray(0xfe)]).toEqual([1, 2]);
    const bytes = new Uint8Array(4);
    expect(file.read(place(0, 0xfd), bytes)).toBe(3);
    expect([...bytes]).toEqual([0, 1, 2, 0]);
    file.read(place(1, 0), bytes);
    expect([...bytes]).toEqual([255, 255, 255, 255]);
    expect(file.read(place(5, 0), new Uint8Array(0))).toBe(0);
  });

  test.each([
    ['past the end', 0, 0x100, 'EINVAL'],
    ['a BAR that is not there', 3, 0, 'EINVAL'],
    ['no such region', 9, 0, 'EINVAL'],
    ['past configuration space', 7, 4096, 'EFAULT'],
    ['over its end', 7, 4094, 'EFAULT'],
  ])('%s: region %i at %i: %s', (_, index, offset, answer) => {
    const { file } = opened({ resources: [memory(0x100)] });
    expect(answerOf(() => file.read(place(index, offset), new Uint8Array(4)))).toBe(answer);
    expect(answerOf(() => file.write(place(index, offset), new Uint8Array(4)))).toBe(answer);
  });

  test('the ROM is not written', () => {
    const { file } = opened({ resources: [...Array(6).fill(undefined), memory(0x1000)] });
    expect(answerOf(() => file.write(place(6, 0), new Uint8Array(1)))).toBe('EINVAL');
    expect(answerOf(() => file.read(place(6, 0), new Uint8Array(1)))).toBe('ok');
  });

  test('EIO with memory switched off, or in D3', () => {
    const config = new ConfigBuilder().express(0).capability(0x01, 0x60);
    const { file } = opened({ config, resources: [memory(0x100)] });
    const read = () => file.read(place(0, 0), new Uint8Array(1));
    const command = (value: number) => file.write(place(7, 4), new Uint8Array([value, 0]));
    expect(answerOf(read)).toBe('ok');
    command(0);
    expect(answerOf(read)).toBe('EIO');
    command(2);
    expect(answerOf(read)).toBe('ok');
    file.write(place(7, 0x64), new Uint8Array([3, 0]));
    expect(answerOf(read)).toBe('EIO');
    file.write(place(7, 0x64), new Uint8Array([0, 0]));
    expect(answerOf(read)).toBe('ok');
  });

  test('what a program wrote to the registers is undone when it closes the device', () => {
    const config = new ConfigBuilder().express(0);
    const { bench, pci, file } = opened({ config, resources: [memory(0x100)] });
    const { hardware } = bench.vfio.find(pci)!.ops as unknown as {
      hardware: { read(at: number, n: 2): number };
    };
    expect(hardware.read(4, 2)).toBe(2);
    file.write(place(7, 4), new Uint8Array([7, 0]));
    expect(hardware.read(4, 2)).toBe(7);
    file.close();
    expect(hardware.read(4, 2)).toBe(2);
  });

  test('opening fails at each step without a trace', () => {
    const steps = everyStepFails(() => {
      const { bench, pci, bind } = machine();
      bind();
      const file = bench.openCdev(pci);
      const iommufd = bench.open();
      return {
        faults: bench.faults,
        act: () => file.bindIommufd({ argsz: 16, flags: 0, iommufd, outDevid: 0 }),
        picture: () => bench.picture(),
      };
    });
    expect(steps).toEqual(expect.arrayContaining(['enable PCI device', 'configuration space']));
  });
});

function sriov(numVfs: number): FunctionFacts['sriov'] {
  return { enabled: numVfs > 0, numVfs, totalVfs: 8, offset: 1, stride: 1, vfDevice: 0x1000 };
}

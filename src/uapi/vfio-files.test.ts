import { describe, expect, it } from 'vitest';
import { ioctlCommand } from './call-shape.ts';
import { IOAS_ALLOC, IOAS_MAP } from './iommufd-structs.ts';
import { deviceNodes } from './nodes.ts';
import type { Program } from './testing.ts';
import { codeOf, DoorBench } from './testing.ts';
import type { VfioDeviceNodeFile } from './vfio-device-file.ts';
import {
  ATTACH_IOMMUFD_PT,
  BIND_IOMMUFD,
  DETACH_IOMMUFD_PT,
  DEVICE_FEATURE,
  FeatureFlag,
  GROUP_STATUS,
  IOMMU_TYPE1_INFO,
  TYPE1_DMA_MAP,
  TYPE1_DMA_UNMAP,
} from './vfio-structs.ts';

const [GET_STATUS, SET_CONTAINER, UNSET_CONTAINER, GET_DEVICE_FD] = [103, 104, 105, 106];
const [BIND, ATTACH, DETACH, FEATURE] = [118, 119, 120, 117];

function machine() {
  const bench = new DoorBench();
  bench.give('Ga', 'Gb');
  const program = bench.program();
  return { bench, program, data: program.memory.mmap(4, { name: 'data' }).base };
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function setContainer(program: Program, group: number, container: number): void {
  program.ioctl(group, ioctlCommand(SET_CONTAINER), program.place(number(container)));
}

function getDevice(program: Program, group: number, name: string): number {
  return program.ioctl(group, ioctlCommand(GET_DEVICE_FD), program.place(Buffer.from(`${name}\0`)));
}

function dmaOf(program: Program, fd: number) {
  return (program.openFile(fd) as VfioDeviceNodeFile).file.dma!;
}

describe('the documented sequence of VFIO programs', () => {
  it('by container and group', () => {
    const { bench, program, data } = machine();
    const container = program.open('vfio/vfio');
    expect(program.ioctl(container, ioctlCommand(100), 0n)).toBe(0);
    expect(program.ioctl(container, ioctlCommand(101), 1n)).toBe(1);
    expect(program.ioctl(container, ioctlCommand(101), 0x1_0000_0001n)).toBe(0);
    const group = program.open('vfio/0');
    expect(program.call(group, GET_STATUS, GROUP_STATUS, { argsz: 8 }).flags).toBe(1);
    setContainer(program, group, container);
    expect(program.call(group, GET_STATUS, GROUP_STATUS, { argsz: 8 }).flags).toBe(3);
    expect(program.ioctl(container, ioctlCommand(102), 3n)).toBe(0);
    program.call(container, 113, TYPE1_DMA_MAP, {
      argsz: 32,
      flags: 3,
      vaddr: data,
      iova: 0x1000n,
      size: 0x2000n,
    });
    const device = getDevice(program, group, 'Ga');
    program.memory.write(data, Buffer.from('hello'));
    expect(Buffer.from(dmaOf(program, device).read(0x1000n, 5)).toString()).toBe('hello');
    expect(
      program.call(container, 114, TYPE1_DMA_UNMAP, { argsz: 24, iova: 0x1000n, size: 0x2000n }).size,
    ).toBe(0x2000n);
    expect(program.ioctl(group, ioctlCommand(UNSET_CONTAINER), 0n)).toBe(0);
    program.exit();
    bench.iommufd.assertNothingLeft();
  });

  it("by the device's own file and an iommufd", () => {
    const { bench, program, data } = machine();
    const iommu = program.open('iommu');
    const device = program.open('vfio/devices/vfio0');
    expect(codeOf(() => program.ioctl(device, ioctlCommand(107), 0n))).toBe('EINVAL');
    const { outDevid } = program.call(device, BIND, BIND_IOMMUFD, { argsz: 16, iommufd: iommu });
    expect(outDevid).toBe(1);
    const { outIoasId } = program.call(iommu, 0x81, IOAS_ALLOC, {});
    const attached = program.call(device, ATTACH, ATTACH_IOMMUFD_PT, { argsz: 12, ptId: outIoasId });
    expect(attached.ptId).toBe(3);
    const map = { flags: 7, ioasId: outIoasId, userVa: data, length: 0x1000n, iova: 0x10_0000n };
    program.call(iommu, 0x85, IOAS_MAP, map);
    dmaOf(program, device).write(0x10_0010n, Buffer.from('from the device'));
    expect(Buffer.from(program.memoryAt(data + 0x10n, 15)).toString()).toBe('from the device');
    program.call(device, DETACH, DETACH_IOMMUFD_PT, { argsz: 8 });
    program.exit();
    bench.iommufd.assertNothingLeft();
    expect(program.trace).toContain(
      'ioctl(/dev/vfio/devices/vfio0, VFIO_DEVICE_ATTACH_IOMMUFD_PT, {argsz=12, flags=0, pt_id=2 => 3}) = 0',
    );
  });

  it('by a child that got the descriptors: what it maps is its memory', () => {
    const { bench, program, data } = machine();
    const iommu = program.open('iommu');
    const { outIoasId } = program.call(iommu, 0x81, IOAS_ALLOC, {});
    const child = bench.program({ name: 'child' });
    const inherited = child.inherit(program, iommu);
    const map = { flags: 7, ioasId: outIoasId, userVa: data, length: 0x1000n, iova: 0x10_0000n };
    child.memory.mmap(1, { base: data, name: 'data of the child' });
    child.call(inherited, 0x85, IOAS_MAP, map);
    const { contexts } = bench.iommufd;
    expect([...contexts].map(({ process }) => process.name)).toEqual(['child']);
    expect(program.call(iommu, 0x81, IOAS_ALLOC, {}).outIoasId).toBe(outIoasId + 1);
    expect([...contexts].map(({ process }) => process.name)).toEqual(['program']);
  });
});

describe('what cannot be written back', () => {
  /** A struct at the end of a page, the rest of it not writable. */
  const readOnly = (program: Program, bench: DoorBench, bytes: Uint8Array) => {
    const arena = program.memory.mmap(1, { writable: false, name: 'read-only' });
    bench.physical.write(BigInt(arena.frames.first) * 4096n, bytes);
    return arena.base;
  };

  it('BIND: the device is not bound, and can be later', () => {
    const { bench, program } = machine();
    const iommu = program.open('iommu');
    const device = program.open('vfio/devices/vfio0');
    const { bytes } = program.placeStruct(BIND_IOMMUFD, { argsz: 16, iommufd: iommu });
    const before = bench.picture();
    expect(codeOf(() => program.ioctl(device, ioctlCommand(BIND), readOnly(program, bench, bytes)))).toBe(
      'EFAULT',
    );
    expect(bench.picture()).toEqual(before);
    program.call(device, BIND, BIND_IOMMUFD, { argsz: 16, iommufd: iommu });
  });

  it('ATTACH: the device is detached again', () => {
    const { bench, program } = machine();
    const iommu = program.open('iommu');
    const device = program.open('vfio/devices/vfio0');
    program.call(device, BIND, BIND_IOMMUFD, { argsz: 16, iommufd: iommu });
    const { outIoasId } = program.call(iommu, 0x81, IOAS_ALLOC, {});
    const { bytes } = program.placeStruct(ATTACH_IOMMUFD_PT, { argsz: 12, ptId: outIoasId });
    const before = bench.picture();
    expect(codeOf(() => program.ioctl(device, ioctlCommand(ATTACH), readOnly(program, bench, bytes)))).toBe(
      'EFAULT',
    );
    expect(bench.picture()).toEqual(before);
  });

  it('a descriptor that cannot be installed: the device file is closed again', () => {
    const { bench, program } = machine();
    const container = program.open('vfio/vfio');
    const group = program.open('vfio/0');
    setContainer(program, group, container);
    const before = bench.picture();
    const file = program.openFile(group);
    const result = file.ioctl(program, ioctlCommand(GET_DEVICE_FD), program.place(Buffer.from('Ga\0')));
    if (typeof result === 'object') result.undo();
    expect(bench.picture()).toEqual(before);
    program.noDescriptors = 'there is no C compiler';
    expect(codeOf(() => getDevice(program, group, 'Ga'))).toBe('ENOSYS');
  });
});

describe('descriptors as arguments', () => {
  it('SET_CONTAINER: EFAULT, EBADF for what is not open, EBADFD for something else', () => {
    const { program } = machine();
    const group = program.open('vfio/0');
    expect(codeOf(() => program.ioctl(group, ioctlCommand(SET_CONTAINER), 8n))).toBe('EFAULT');
    expect(codeOf(() => setContainer(program, group, 99))).toBe('EBADF');
    expect(codeOf(() => setContainer(program, group, -1))).toBe('EBADF');
    expect(codeOf(() => setContainer(program, group, group))).toBe('EBADFD');
    expect(codeOf(() => setContainer(program, group, program.openOther({ name: 'file', close() {} })))).toBe(
      'EBADFD',
    );
  });

  it('BIND: EINVAL below 0, EBADF, EBADFD', () => {
    const { program } = machine();
    const device = program.open('vfio/devices/vfio0');
    const bind = (iommufd: number) =>
      program.refused(device, BIND, BIND_IOMMUFD, { argsz: 16, iommufd }).code;
    expect([bind(-1), bind(99), bind(device)]).toEqual(['EINVAL', 'EBADF', 'EBADFD']);
  });
});

describe('names of devices', () => {
  it('end within a page: EINVAL for longer ones, EFAULT where memory ends first', () => {
    const { program } = machine();
    const container = program.open('vfio/vfio');
    const group = program.open('vfio/0');
    setContainer(program, group, container);
    const call = (address: bigint) =>
      codeOf(() => program.ioctl(group, ioctlCommand(GET_DEVICE_FD), address));
    expect(call(program.place(new Uint8Array(5000).fill(65)))).toBe('EINVAL');
    const arena = program.memory.mmap(1, { name: 'last page' });
    program.memory.write(arena.last - 1n, Uint8Array.of(71, 97));
    expect(call(arena.last - 1n)).toBe('EFAULT');
    program.memory.write(arena.last - 2n, Uint8Array.of(71, 97, 0));
    expect(call(arena.last - 2n)).toBeUndefined();
    expect(call(program.place(Buffer.from('Gx\0')))).toBe('ENODEV');
  });
});

describe('VFIO_IOMMU_GET_INFO', () => {
  const prepared = () => {
    const { program } = machine();
    const container = program.open('vfio/vfio');
    setContainer(program, program.open('vfio/0'), container);
    const info = (argsz: number) => {
      const bytes = new Uint8Array(256).fill(0xee);
      new DataView(bytes.buffer).setUint32(0, argsz, true);
      const address = program.place(bytes);
      program.ioctl(container, ioctlCommand(112), address);
      return program.memoryAt(address, bytes.length);
    };
    return info;
  };

  it('writes as much of the struct as argsz says, and says how much there is', () => {
    const info = prepared();
    const short = info(16);
    expect(IOMMU_TYPE1_INFO.decode(short)).toMatchObject({
      argsz: 24 + 16 + 32,
      flags: 3,
      capOffset: 0xeeee_eeee,
    });
    expect(short.subarray(16).every((byte) => byte === 0xee)).toBe(true);
  });

  it('writes the chain of capabilities where all of it fits', () => {
    const bytes = prepared()(72);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    expect(IOMMU_TYPE1_INFO.decode(bytes).capOffset).toBe(24);
    const header = (at: number) => [
      view.getUint16(at, true),
      view.getUint16(at + 2, true),
      view.getUint32(at + 4, true),
    ];
    expect(header(24)).toEqual([3, 1, 40]);
    expect(view.getUint32(32, true)).toBe(0xffff_ffff);
    expect(header(40)).toEqual([1, 1, 0]);
    expect(view.getUint32(48, true)).toBe(1);
    expect([view.getBigUint64(56, true), view.getBigUint64(64, true)]).toEqual([0n, 0xffff_ffff_ffff_ffffn]);
    expect(bytes.subarray(72).every((byte) => byte === 0xee)).toBe(true);
  });
});

describe('VFIO_IOMMU_UNMAP_DMA', () => {
  it('writes the size back when it fails, too', () => {
    const { program, data } = machine();
    const container = program.open('vfio/vfio');
    setContainer(program, program.open('vfio/0'), container);
    program.call(container, 113, TYPE1_DMA_MAP, {
      argsz: 32,
      flags: 3,
      vaddr: data,
      iova: 0n,
      size: 0x2000n,
    });
    const { code, reply } = program.refused(container, 114, TYPE1_DMA_UNMAP, {
      argsz: 24,
      iova: 0x1000n,
      size: 0x1000n,
    });
    expect([code, reply.size]).toEqual(['ENOENT', 0n]);
  });
});

describe('VFIO_DEVICE_FEATURE', () => {
  it('is checked, and there are none', () => {
    const { program } = machine();
    const device = program.open('vfio/devices/vfio0');
    program.call(device, BIND, BIND_IOMMUFD, { argsz: 16, iommufd: program.open('iommu') });
    const feature = (argsz: number, flags: number) =>
      program.refused(device, FEATURE, DEVICE_FEATURE, { argsz, flags }).code;
    expect(feature(7, FeatureFlag.Get)).toBe('EINVAL');
    expect(feature(8, 1 << 19)).toBe('EINVAL');
    expect(feature(8, FeatureFlag.Get | FeatureFlag.Set)).toBe('EINVAL');
    expect(feature(8, FeatureFlag.Get | FeatureFlag.Set | FeatureFlag.Probe)).toBe('ENOTTY');
    expect(feature(8, FeatureFlag.Get | 1)).toBe('ENOTTY');
  });
});

describe('device nodes', () => {
  it('follow drivers: a group and a device for each that VFIO has', () => {
    const bench = new DoorBench();
    const paths = () => deviceNodes(bench.owner).map(({ path }) => path);
    expect(paths()).toEqual(['iommu', 'vfio/vfio']);
    const [a] = bench.give('Ga', 'Gb', 'x');
    expect(paths()).toEqual([
      'iommu',
      'vfio/0',
      'vfio/1',
      'vfio/devices/vfio0',
      'vfio/devices/vfio1',
      'vfio/devices/vfio2',
      'vfio/vfio',
    ]);
    bench.bench.core.unbind(a!);
    expect(paths()).not.toContain('vfio/devices/vfio0');
    expect(paths()).toContain('vfio/0');
  });

  it('have the modes devtmpfs gives them, and numbers no two share', () => {
    const bench = new DoorBench();
    bench.give('Ga', 'x');
    const nodes = deviceNodes(bench.owner);
    expect(Object.fromEntries(nodes.map(({ path, mode }) => [path, mode]))).toMatchObject({
      iommu: 0o660,
      'vfio/vfio': 0o666,
      'vfio/0': 0o600,
      'vfio/devices/vfio0': 0o600,
    });
    expect(new Set(nodes.map(({ major, minor }) => `${major}:${minor}`)).size).toBe(nodes.length);
  });

  it.each([
    '',
    'vfio',
    'vfio/',
    'vfio/9',
    'vfio/devices',
    'vfio/devices/',
    'vfio/devices/vfio9',
    'iommu/',
    '../iommu',
  ])('there is no %s: ENOENT', (path) => {
    expect(codeOf(() => machine().program.open(path))).toBe('ENOENT');
  });

  it('a group is opened once at a time: EBUSY', () => {
    const { program } = machine();
    program.open('vfio/0');
    expect(codeOf(() => program.open('vfio/0'))).toBe('EBUSY');
  });
});

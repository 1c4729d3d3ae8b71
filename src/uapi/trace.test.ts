import { describe, expect, it } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import { ioctlCommand } from './call-shape.ts';
import { DESCRIPTOR_COMMANDS } from './call-shapes.ts';
import { IOAS_MAP } from './iommufd-structs.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import { MAPPED, OneOfEach, PAGE } from './one-of-each-testing.ts';
import { TEST_OPS } from './selftest-table.ts';
import { codeOf, DoorBench } from './testing.ts';
import { describeCall, describePlain } from './trace.ts';

const IOMMU = { kind: 'iommufd', label: '/dev/iommu' } as const;

describe('a line of the trace', () => {
  it('names flags, and shows what the call wrote', () => {
    const { program, fd, ioas, data } = new OneOfEach();
    program.call(fd, 0x85, IOAS_MAP, { flags: 6, ioasId: ioas, userVa: data, length: PAGE });
    expect(program.trace.at(-1)).toBe(
      `ioctl(/dev/iommu, IOMMU_IOAS_MAP, {size=40, flags=WRITEABLE|READABLE, ioas_id=${ioas}, ` +
        `user_va=0x${data.toString(16)}, length=0x1000, iova=0x0 => 0x1000000}) = 0`,
    );
  });

  it('shows a refusal with its errno and the reason', () => {
    const { program, fd, ioas, data } = new OneOfEach();
    const map = { flags: 7, ioasId: ioas, userVa: data, length: PAGE, iova: MAPPED };
    program.refused(fd, 0x85, IOAS_MAP, map);
    expect(program.trace.at(-1)).toMatch(/iova=0x2000000\}\) = -1 EEXIST \([^[\]]+\)$/);
    program.refused(fd, 0x85, IOAS_MAP, { ...map, reserved: 5 });
    expect(program.trace.at(-1)).toMatch(/__reserved=5.*= -1 EOPNOTSUPP/);
  });

  it('shows bits and values nobody knows as numbers', () => {
    const { program, fd } = new OneOfEach();
    program.refused(fd, 0x85, IOAS_MAP, { flags: 0x8000_0002 });
    expect(program.trace.at(-1)).toContain('flags=WRITEABLE|0x80000000');
  });

  it('shows the address of what cannot be read', () => {
    const { program, fd } = new OneOfEach();
    expect(codeOf(() => program.ioctl(fd, ioctlCommand(0x85), 0xdead_beefn))).toBe('EFAULT');
    expect(program.trace.at(-1)).toMatch(/^ioctl\(\/dev\/iommu, IOMMU_IOAS_MAP, 0xdeadbeef\) = -1 EFAULT/);
  });

  it('shows as much of a short struct as there is', () => {
    const { program, fd } = new OneOfEach();
    const { address } = program.placeStruct(IOAS_MAP, { flags: 6 }, 12);
    codeOf(() => program.ioctl(fd, ioctlCommand(0x85), address));
    expect(program.trace.at(-1)).toMatch(/\{size=12, flags=WRITEABLE\|READABLE, ioas_id=0\}/);
  });

  it('shows commands nobody knows by number', () => {
    expect(describeCall(IOMMU, 0x5401, 0x10n, undefined, undefined, { result: 0 })).toBe(
      'ioctl(/dev/iommu, 0x5401, 0x10) = 0',
    );
  });

  it("tells apart what VFIO's containers and devices mean by the same number", () => {
    const words = (kind: 'iommufd' | 'vfio-device') =>
      describeCall({ kind, label: 'x' }, ioctlCommand(112), 0n, undefined, undefined, { result: 0 });
    expect(words('iommufd')).toContain('VFIO_IOMMU_GET_INFO');
    expect(words('vfio-device')).toBe('ioctl(x, 0x3b70, 0x0) = 0');
  });

  it('shows numbers, names and descriptors that are arguments', () => {
    const bench = new DoorBench();
    bench.give('Ga');
    const program = bench.program();
    const container = program.open('vfio/vfio');
    const group = program.open('vfio/0');
    program.ioctl(container, ioctlCommand(101), 4n - 3n);
    program.ioctl(group, ioctlCommand(104), program.place(Uint8Array.of(container, 0, 0, 0)));
    program.ioctl(group, ioctlCommand(106), program.place(Buffer.from('Ga\0')));
    expect(program.trace).toEqual([
      'ioctl(/dev/vfio/vfio, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) = 1',
      `ioctl(/dev/vfio/0, VFIO_GROUP_SET_CONTAINER, [${container}]) = 0`,
      'ioctl(/dev/vfio/0, VFIO_GROUP_GET_DEVICE_FD, "Ga") = new',
    ]);
  });

  it('says which op of the selftest it is', () => {
    const { program } = new OneOfEach();
    expect(program.trace.find((line) => line.includes('IOMMU_TEST_CMD'))).toMatch(
      /^ioctl\(\/dev\/iommu, IOMMU_TEST_CMD, MOCK_DOMAIN_FLAGS, \{size=72, id=1, out_stdev_id=0 => 2,/,
    );
  });

  it('of other calls', () => {
    expect(describePlain('read', '[iommufd-pgfault]', [40], { result: 40 })).toBe(
      'read([iommufd-pgfault], 40) = 40',
    );
    const error = new KernelError('EBUSY', 'VFIO group 7', 'is open in x', 'close it there first');
    expect(describePlain('open', '/dev/vfio/7', [], { error })).toBe(
      'open(/dev/vfio/7) = -1 EBUSY (VFIO group 7: is open in x (close it there first))',
    );
  });
});

it('every command that may give a descriptor is known to who installs them', () => {
  const installing = new Set<number>();
  for (const call of IOMMUFD_CALLS) {
    const one = new OneOfEach();
    const fields = one.requests()[call.name]!;
    const { address } = one.program.placeStruct(call.structOf(new Uint8Array()) as never, fields as never);
    const result = one.program.openFile(one.fd).ioctl(one.program, call.command, address);
    if (typeof result === 'object') installing.add(call.command);
  }
  if (Object.values(TEST_OPS).some(({ descriptor }) => descriptor !== undefined)) installing.add(0x3ba0);
  expect(new Set(DESCRIPTOR_COMMANDS)).toEqual(new Set([...installing, ioctlCommand(106)]));
});

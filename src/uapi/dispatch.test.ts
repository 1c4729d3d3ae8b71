import { describe, expect, it } from 'vitest';
import { describeIommufd } from '../iommufd/dump.ts';
import { TestOp } from '../iommufd/selftest/numbers.ts';
import { ioctlCommand } from './call-shape.ts';
import type { IommufdCall } from './iommufd-call.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import { OneOfEach } from './one-of-each-testing.ts';
import { TEST_CALL } from './selftest-table.ts';
import type { Struct } from './struct.ts';
import { codeOf, DoorBench } from './testing.ts';

const CALLS = [...IOMMUFD_CALLS, TEST_CALL];
const UNMAPPED = 0xdead_0000n;
/** More than the largest struct. */
const MARGIN = 64;

/** A struct that is served, followed by other bytes, and told to be `given` bytes long. */
function prepare(world: OneOfEach, call: IommufdCall, given: number, patch: object = {}): Uint8Array {
  const bytes = new Uint8Array(call.size + MARGIN);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, given, true);
  if (call === TEST_CALL) view.setUint32(4, TestOp.AddReserved, true);
  const struct = call.structOf(bytes) as unknown as Struct<object>;
  struct.encode({ ...world.requests()[call.name], ...patch }, bytes.subarray(0, call.size));
  return bytes;
}

/** What the call is answered with, and what is in memory then. */
function attempt(world: OneOfEach, call: IommufdCall, bytes: Uint8Array) {
  const { program, fd } = world;
  const address = program.place(bytes);
  const code = codeOf(() => program.ioctl(fd, call.command, address));
  return { code, after: program.memoryAt(address, bytes.length) };
}

/** The last bytes of a page nothing follows, or that cannot be written. */
function atPageEnd(world: OneOfEach, bytes: Uint8Array, writable: boolean): bigint {
  const { memory } = world.program;
  const arena = memory.mmap(1, { base: 0x60_0000n, name: 'last page', writable });
  const address = arena.last + 1n - BigInt(bytes.length);
  world.bench.physical.write(BigInt(arena.frames.first) * 4096n + 4096n - BigInt(bytes.length), bytes);
  return address;
}

describe.each(CALLS.map((call) => ({ call, name: call.name })))('$name', ({ call }) => {
  const sized = (given: number, patch?: object) => {
    const world = new OneOfEach();
    return { world, bytes: prepare(world, call, given, patch) };
  };

  it('is served with a struct of the size it has today', () => {
    const { world, bytes } = sized(call.size);
    expect(attempt(world, call, bytes).code).toBeUndefined();
    world.end();
  });

  it('whose size cannot be read: EFAULT, even if the command is encoded wrong', () => {
    const { program, fd } = new OneOfEach();
    expect(codeOf(() => program.ioctl(fd, call.command, UNMAPPED))).toBe('EFAULT');
    expect(codeOf(() => program.ioctl(fd, (call.command | 0xc028_0000) >>> 0, UNMAPPED))).toBe('EFAULT');
  });

  it('with a size and a direction in its command: ENOTTY', () => {
    const { world, bytes } = sized(call.size);
    const address = world.program.place(bytes);
    expect(codeOf(() => world.program.ioctl(world.fd, (call.command | 0xc028_0000) >>> 0, address))).toBe(
      'ENOTTY',
    );
  });

  it('with less than the minimum size: EINVAL', () => {
    for (const given of [0, 4, call.minSize - 1]) {
      const { world, bytes } = sized(given);
      expect(attempt(world, call, bytes).code).toBe('EINVAL');
    }
  });

  it('at the end of memory: the minimum size is enough, and less is EINVAL, not EFAULT', () => {
    const { world, bytes } = sized(call.minSize);
    const code = attempt(world, call, bytes).code;
    const other = sized(call.minSize);
    const end = atPageEnd(other.world, other.bytes.subarray(0, call.minSize), true);
    expect(codeOf(() => other.world.program.ioctl(other.world.fd, call.command, end))).toBe(code);
    const { program, fd } = other.world;
    program.memory.write(end + BigInt(call.minSize) - 4n, Uint8Array.of(call.minSize - 1, 0, 0, 0));
    const tail = end + BigInt(call.minSize) - 4n;
    expect(codeOf(() => program.ioctl(fd, call.command, tail))).toBe('EINVAL');
  });

  it('with the minimum size: what is missing reads as zero, whatever is in memory', () => {
    const world = new OneOfEach();
    const bytes = prepare(world, call, call.minSize);
    // Calls that need what came later are refused for lack of it, as with zeros there.
    const zeros = bytes.slice().fill(0, call.minSize);
    bytes.fill(0xff, call.minSize);
    const other = new OneOfEach();
    prepare(other, call, call.minSize);
    expect(attempt(world, call, bytes).code).toBe(attempt(other, call, zeros).code);
  });

  it('with a larger struct, zero beyond what is known: as without the surplus', () => {
    for (const given of [call.size + 1, call.size + MARGIN]) {
      const { world, bytes } = sized(given);
      const { code, after } = attempt(world, call, bytes);
      expect(code).toBeUndefined();
      expect(after.subarray(call.size).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('with a larger struct, not zero beyond what is known: E2BIG, and nothing done', () => {
    for (const at of [call.size, call.size + MARGIN - 1]) {
      const { world, bytes } = sized(call.size + MARGIN);
      bytes[at] = 1;
      const before = describeIommufd(world.bench.iommufd);
      expect(attempt(world, call, bytes)).toEqual({ code: 'E2BIG', after: bytes });
      expect(describeIommufd(world.bench.iommufd)).toEqual(before);
    }
  });

  it('with a struct that goes on where no memory is: EFAULT', () => {
    const { world, bytes } = sized(call.size + MARGIN);
    const address = atPageEnd(world, bytes.subarray(0, call.size), true);
    expect(codeOf(() => world.program.ioctl(world.fd, call.command, address))).toBe('EFAULT');
  });

  it('copies back as many bytes as the program said, and no more', () => {
    const { world, bytes } = sized(call.size + MARGIN);
    bytes.fill(0, call.size);
    const whole = attempt(world, call, bytes).after;
    const short = new OneOfEach();
    const cut = prepare(short, call, call.minSize);
    cut.fill(0x5a, call.minSize);
    const { after } = attempt(short, call, cut);
    expect(after.subarray(call.minSize)).toEqual(cut.subarray(call.minSize));
    expect(whole.subarray(call.size)).toEqual(bytes.subarray(call.size));
  });

  it('where the reply cannot be written: EFAULT, taken back where the kernel takes it back', () => {
    const { world, bytes } = sized(call.size);
    const address = atPageEnd(world, bytes.subarray(0, call.size), false);
    const before = describeIommufd(world.bench.iommufd);
    const code = codeOf(() => world.program.ioctl(world.fd, call.command, address));
    expect(code).toBe(WITHOUT_REPLY.has(call.name) ? undefined : 'EFAULT');
    const same = JSON.stringify(describeIommufd(world.bench.iommufd)) === JSON.stringify(before);
    expect(same).toBe(!CHANGES_WITHOUT_REPLY.has(call.name));
    world.end();
  });
});

/** Nothing is copied back. */
const WITHOUT_REPLY = new Set([
  'IOMMU_DESTROY',
  'IOMMU_IOAS_ALLOW_IOVAS',
  'IOMMU_VFIO_IOAS',
  'IOMMU_HWPT_SET_DIRTY_TRACKING',
  'IOMMU_HWPT_GET_DIRTY_BITMAP',
  'IOMMU_IOAS_CHANGE_PROCESS',
  'IOMMU_TEST_CMD',
]);

/** Done although the reply could not be written, or because there is none; as far as the picture shows it. */
const CHANGES_WITHOUT_REPLY = new Set([
  'IOMMU_DESTROY',
  'IOMMU_VFIO_IOAS',
  'IOMMU_TEST_CMD',
  'IOMMU_IOAS_MAP',
  'IOMMU_IOAS_MAP_FILE',
  'IOMMU_IOAS_COPY',
  'IOMMU_IOAS_UNMAP',
]);

/** Fields that have to be 0, or hold no bit the kernel does not know. */
const CHECKED: Readonly<Record<string, Record<string, number | number[]>>> = {
  IOMMU_IOAS_ALLOC: { flags: 1 },
  IOMMU_IOAS_ALLOW_IOVAS: { reserved: 1 },
  IOMMU_IOAS_COPY: { flags: 0x8000_0006 },
  IOMMU_IOAS_IOVA_RANGES: { reserved: 1 },
  IOMMU_IOAS_MAP: { flags: 0xe, reserved: 1 },
  IOMMU_OPTION: { reserved: 1, optionId: 2, op: 2 },
  IOMMU_VFIO_IOAS: { reserved: 1, op: 3 },
  IOMMU_HWPT_ALLOC: { flags: 0x10, reserved: 1 },
  IOMMU_GET_HW_INFO: { flags: 2, reserved: [0, 0, 1] },
  IOMMU_HWPT_SET_DIRTY_TRACKING: { flags: 2 },
  IOMMU_HWPT_GET_DIRTY_BITMAP: { flags: 2, reserved: 1 },
  IOMMU_HWPT_INVALIDATE: { reserved: 1 },
  IOMMU_FAULT_QUEUE_ALLOC: { flags: 1 },
  IOMMU_IOAS_MAP_FILE: { flags: 8 },
  IOMMU_VIOMMU_ALLOC: { flags: 1, reserved: 1, type: 0 },
  IOMMU_IOAS_CHANGE_PROCESS: { reserved: 1 },
  IOMMU_VEVENTQ_ALLOC: { flags: 1, reserved: 1, type: 0 },
  IOMMU_HW_QUEUE_ALLOC: { flags: 1, type: 0 },
};

/** Reserved, and not looked at. */
const UNCHECKED: Readonly<Record<string, Record<string, number>>> = {
  IOMMU_HWPT_ALLOC: { reserved2: 1 },
  IOMMU_HWPT_SET_DIRTY_TRACKING: { reserved: 1 },
};

/** Ids, and what one that is missing or of another type comes to. */
const IDS: Readonly<Record<string, Record<string, 'ENOENT' | 'EINVAL'>>> = {
  IOMMU_IOAS_ALLOW_IOVAS: { ioasId: 'ENOENT' },
  IOMMU_IOAS_COPY: { dstIoasId: 'ENOENT', srcIoasId: 'ENOENT' },
  IOMMU_IOAS_IOVA_RANGES: { ioasId: 'ENOENT' },
  IOMMU_IOAS_MAP: { ioasId: 'ENOENT' },
  IOMMU_IOAS_UNMAP: { ioasId: 'ENOENT' },
  IOMMU_OPTION: { objectId: 'ENOENT' },
  IOMMU_VFIO_IOAS: { ioasId: 'ENOENT' },
  IOMMU_HWPT_ALLOC: { devId: 'ENOENT', ptId: 'EINVAL' },
  IOMMU_GET_HW_INFO: { devId: 'ENOENT' },
  IOMMU_HWPT_SET_DIRTY_TRACKING: { hwptId: 'ENOENT' },
  IOMMU_HWPT_GET_DIRTY_BITMAP: { hwptId: 'ENOENT' },
  IOMMU_HWPT_INVALIDATE: { hwptId: 'ENOENT' },
  IOMMU_IOAS_MAP_FILE: { ioasId: 'ENOENT' },
  IOMMU_VIOMMU_ALLOC: { devId: 'ENOENT', hwptId: 'ENOENT' },
  IOMMU_VDEVICE_ALLOC: { viommuId: 'ENOENT', devId: 'ENOENT' },
  IOMMU_VEVENTQ_ALLOC: { viommuId: 'ENOENT' },
  IOMMU_HW_QUEUE_ALLOC: { viommuId: 'ENOENT' },
  IOMMU_TEST_CMD: { id: 'ENOENT' },
};

function cases<T>(table: Readonly<Record<string, Record<string, T>>>) {
  return Object.entries(table).flatMap(([name, fields]) =>
    Object.entries(fields).map(([field, value]) => ({ name, field, value })),
  );
}

function withField(name: string, field: string, value: unknown): string | undefined {
  const world = new OneOfEach();
  const call = CALLS.find((each) => each.name === name)!;
  return attempt(world, call, prepare(world, call, call.size, { [field]: value })).code;
}

describe('fields', () => {
  it.each(cases(CHECKED))('$name with $field = $value: EOPNOTSUPP', ({ name, field, value }) => {
    expect(withField(name, field, value)).toBe('EOPNOTSUPP');
  });

  it.each(cases(UNCHECKED))('$name does not look at $field', ({ name, field, value }) => {
    expect(withField(name, field, value)).toBeUndefined();
  });

  it.each(cases(IDS))('$name with a missing or wrong $field: $value', ({ name, field, value }) => {
    expect(withField(name, field, 999)).toBe(value);
    expect(withField(name, field, 0xffff_ffff)).toBe(value);
    // The selftest object, which no call but the selftest's takes.
    expect(withField(name, field, new OneOfEach().stdev)).toBe(value);
  });
});

describe('numbers without a call', () => {
  const answer = (command: number, bench = new DoorBench()) => {
    const program = bench.program();
    const fd = program.open('iommu');
    return codeOf(() => program.ioctl(fd, command, program.place(new Uint8Array(128))));
  };

  it('holes inside the table: ENOTTY, EFAULT without memory', () => {
    for (let nr = 0x95; nr < 0xa0; nr++) expect(answer(ioctlCommand(nr))).toBe('ENOTTY');
    const program = new DoorBench().program();
    expect(codeOf(() => program.ioctl(program.open('iommu'), ioctlCommand(0x99), UNMAPPED))).toBe('EFAULT');
  });

  it('outside of the table, and not of VFIO: ENOTTY, memory or not', () => {
    for (const nr of [0, 0x63, 0x67, 0x73, 0x75, 0x7f, 0xa1, 0xff]) {
      expect(answer(ioctlCommand(nr))).toBe('ENOTTY');
    }
    const program = new DoorBench().program();
    expect(codeOf(() => program.ioctl(program.open('iommu'), ioctlCommand(0x7f), UNMAPPED))).toBe('ENOTTY');
  });

  it('of another type: by the number it counts as ours, and is encoded wrong', () => {
    expect(answer(0x5481)).toBe('ENOTTY');
    expect(answer(0x5401)).toBe('ENOTTY');
  });

  it('the selftest is not there unless the kernel was built with it', () => {
    const bench = new DoorBench({ iommufd: { withSelftest: false } });
    expect(answer(ioctlCommand(0xa0), bench)).toBe('ENOTTY');
  });
});

describe('calls that reply although they fail', () => {
  it('IOVA_RANGES says how many ranges there are, and the alignment', () => {
    const { program, fd, ioas } = new OneOfEach();
    const call = IOMMUFD_CALLS.find(({ name }) => name === 'IOMMU_IOAS_IOVA_RANGES')!;
    const struct = call.structOf(new Uint8Array()) as unknown as Struct<Record<string, unknown>>;
    const { code, reply } = program.refused(fd, 0x84, struct, { ioasId: ioas, numIovas: 0 });
    expect(code).toBe('EMSGSIZE');
    expect(reply).toMatchObject({ numIovas: 1, outIovaAlignment: 4096n });
  });

  it('HWPT_INVALIDATE says how many entries it did, 0 on early errors', () => {
    const { program, fd, nested } = new OneOfEach();
    const call = IOMMUFD_CALLS.find(({ name }) => name === 'IOMMU_HWPT_INVALIDATE')!;
    const struct = call.structOf(new Uint8Array()) as unknown as Struct<Record<string, unknown>>;
    const entries = new Uint8Array(24);
    new DataView(entries.buffer).setUint32(20, 99, true);
    const request = { hwptId: nested, dataType: 0xdead_beef, entryLen: 8, entryNum: 3 };
    const dataUptr = program.place(entries);
    expect(program.refused(fd, 0x8d, struct, { ...request, dataUptr })).toMatchObject({
      code: 'EINVAL',
      reply: { entryNum: 2 },
    });
    expect(program.refused(fd, 0x8d, struct, { ...request, reserved: 1, dataUptr })).toMatchObject({
      code: 'EOPNOTSUPP',
      reply: { entryNum: 0 },
    });
  });
});

/** Hostile programs: whatever they pass, they get an errno, and when they end nothing is left. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ObjectType } from '../iommufd/object.ts';
import {
  HWPT_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST,
  VEVENTQ_TYPE_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
} from '../iommufd/selftest/numbers.ts';
import { ERRNO, KernelError } from '../kernel/errors.ts';
import { ioctlCommand } from './call-shape.ts';
import { callShape } from './call-shapes.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import { MAPPED, OneOfEach } from './one-of-each-testing.ts';
import { TEST_CALL, TEST_OPS } from './selftest-table.ts';
import { CONTAINER_CALLS } from './vfio-container-table.ts';
import { DEVICE_CALLS } from './vfio-device-file.ts';
import { GROUP_CALLS } from './vfio-group-file.ts';

/** Of sequences of some dozen calls each. */
const RUNS = Number(process.env.RINGFENCE_FUZZ_RUNS ?? 300);

const ULONG_MAX = 0xffff_ffff_ffff_ffffn;
const WILD_32 = [0xffff_ffff, 0x8000_0000, 4096, 99, 1 << 16];
const WILD_64 = [ULONG_MAX, ULONG_MAX - 0xfffn, 1n << 63n, 1n << 32n, 0xdead_0000n, 1n, 0x800n];
const TYPES = [
  HWPT_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
  VEVENTQ_TYPE_SELFTEST,
  0,
  1,
];
const PATHS = [
  'iommu',
  'vfio/vfio',
  'vfio/0',
  'vfio/devices/vfio0',
  'vfio/devices/vfio1',
  'vfio/x',
  '..',
  '',
];

/** One thing a program does; the numbers are dice. */
interface Action {
  kind: 'ioctl' | 'read' | 'write' | 'close' | 'open' | 'fail';
  command: number;
  op: number;
  /** One a field, by turns. */
  dice: number[];
  which: number;
}

const shared = [...CONTAINER_CALLS, ...GROUP_CALLS, ...DEVICE_CALLS].map(({ command }) => command);
const actions: fc.Arbitrary<Action> = fc.record({
  kind: fc.oneof(
    { weight: 30, arbitrary: fc.constant('ioctl' as const) },
    { weight: 2, arbitrary: fc.constantFrom('read' as const, 'write' as const, 'open' as const) },
    { weight: 1, arbitrary: fc.constantFrom('close' as const, 'fail' as const) },
  ),
  command: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...IOMMUFD_CALLS.map(({ command }) => command)) },
    { weight: 6, arbitrary: fc.constant(TEST_CALL.command) },
    { weight: 4, arbitrary: fc.constantFrom(...shared) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xff }).map(ioctlCommand) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) },
  ),
  op: fc.noBias(fc.integer({ min: 0, max: Object.keys(TEST_OPS).length + 1 })),
  dice: fc.array(fc.noBias(fc.integer({ min: 0, max: 0xffff })), { minLength: 12, maxLength: 12 }),
  which: fc.noBias(fc.nat(1000)),
});

/** Mostly what a field of this name could sensibly hold, so that calls get somewhere. */
function value32(name: string, dice: number, world: OneOfEach): number {
  const { program } = world;
  const pick = dice >> 4;
  if (dice % 16 === 0) return WILD_32[pick % WILD_32.length]!;
  if (name.includes('reserved')) return 0;
  if (/flags|perm|code/.test(name)) return pick % 3 === 0 ? 0 : pick % 8;
  if (/(^|_)type/.test(name)) return TYPES[pick % TYPES.length]!;
  if (/fd|iommufd$/.test(name)) return program.descriptors[pick % program.descriptors.length] ?? -1;
  if (/length|len|argsz/.test(name)) return [0, 4, 8, 64, 4096][pick % 5]!;
  if (!name.endsWith('id')) return pick % 24;
  const types = TYPES_OF_IDS[name];
  const objects = [...world.bench.iommufd.contexts].flatMap((context) => [...context.objects]);
  const fitting = objects.filter(({ type }) => types?.includes(type) ?? true);
  return fitting[pick % fitting.length]?.id ?? 0;
}

/** Others may be of anything. */
const TYPES_OF_IDS: Readonly<Record<string, readonly ObjectType[]>> = {
  ioas_id: ['ioas'],
  dst_ioas_id: ['ioas'],
  src_ioas_id: ['ioas'],
  dev_id: ['device'],
  hwpt_id: ['hwpt-paging', 'hwpt-nested'],
  pt_id: ['ioas', 'hwpt-paging', 'hwpt-nested', 'viommu'],
  viommu_id: ['viommu'],
  fault_id: ['fault'],
};

function value64(name: string, dice: number, world: OneOfEach): bigint {
  const pick = dice >> 4;
  if (dice % 16 === 0) return WILD_64[pick % WILD_64.length]!;
  const pages = BigInt(pick % 8) * 0x1000n;
  if (/length|size/.test(name)) return [0x1000n, 0x1000n, 0x2000n, 0x800n, 0n][pick % 5]!;
  if (/uptr|user_va|vaddr|data|allowed/.test(name)) return world.data + pages;
  if (/iova|addr|start/.test(name)) return pick % 3 === 0 ? MAPPED : MAPPED + pages;
  return BigInt(pick % 3);
}

function structOf(world: OneOfEach, action: Action, kind: Parameters<typeof callShape>[0]): Uint8Array {
  const bytes = new Uint8Array(128);
  const view = new DataView(bytes.buffer);
  const isTest = action.command === TEST_CALL.command;
  if (isTest) view.setUint32(4, action.op, true);
  const shape = callShape(kind, action.command);
  const dice = (at: number) => action.dice[at % action.dice.length]!;
  const struct = shape?.structOf?.(bytes);
  const served = isTest || action.op % 2 === 0 ? undefined : world.requests()[shape?.name ?? ''];
  if (served !== undefined) struct?.encode(served as never, bytes);
  for (const [at, { name, offset, size }] of (struct?.cFields ?? []).entries()) {
    if (served !== undefined && dice(at) % 7 !== 0) continue;
    // Its `id` is sometimes a descriptor.
    const asked = isTest && name === 'id' && dice(at) % 2 === 0 ? 'fd' : name.replace(/^.*\./, '');
    if (size === 8) view.setBigUint64(offset, value64(asked, dice(at), world), true);
    else if (size === 4) view.setUint32(offset, value32(asked, dice(at), world), true);
    else view.setUint8(offset, value32(asked, dice(at), world) & 3);
  }
  const size = shape?.size ?? 0;
  const wild = action.which % 20;
  view.setUint32(0, wild === 0 ? size - 8 : wild === 1 ? size + 8 : wild === 2 ? dice(0) : size, true);
  if (action.op % 8 === 0) bytes.fill(action.op, 100);
  return bytes;
}

/** Mostly a descriptor that has the call. */
function descriptorFor({ program }: OneOfEach, { command, which }: Action): number {
  const all = program.descriptors;
  const fitting = all.filter((fd) => {
    const kind = program.kindOf(fd);
    return kind !== undefined && callShape(kind, command) !== undefined;
  });
  const from = fitting.length > 0 && which % 10 > 0 ? fitting : all;
  return from[which % Math.max(from.length, 1)] ?? -1;
}

function perform(world: OneOfEach, action: Action): number | undefined {
  const { program, bench } = world;
  const { which, dice } = action;
  const fd = program.descriptors[which % Math.max(program.descriptors.length, 1)] ?? -1;
  const size = [8, 16, 40, 80, 7, 0, 4096][which % 7]!;
  switch (action.kind) {
    case 'open':
      return program.open(PATHS[which % PATHS.length]!);
    case 'close':
      return program.close(fd) ?? 0;
    case 'fail':
      return bench.faults.failAt((which % 12) + 1) ?? 0;
    case 'read':
      return program.read(fd, size, which % 10 === 0 ? 1n << 43n : 0n).length;
    case 'write':
      return program.write(fd, new Uint8Array(size).fill(dice[0]! & 1), which % 10 === 0 ? 7n << 40n : 0n);
    case 'ioctl': {
      const target = descriptorFor(world, action);
      const kind = program.openFile(target).kind;
      const wild = dice[11]! % 24 === 0;
      const argument = callShape(kind, action.command)?.argument;
      if (wild || argument === 'number') return program.ioctl(target, action.command, BigInt(dice[1]! % 12));
      if (argument === 'string') return program.ioctl(target, action.command, program.place(name(dice[1]!)));
      return program.ioctl(target, action.command, program.place(structOf(world, action, kind)));
    }
  }
}

function name(dice: number): Uint8Array {
  return Buffer.from(['Ga\0', 'Gb\0', 'x\0', '\0', 'Ga 1'][dice % 5]!);
}

it('any sequence of calls with any arguments ends in errnos, and leaves nothing', () => {
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  fc.assert(
    fc.property(fc.array(actions, { maxLength: 80, size: 'max' }), (sequence) => {
      const world = new OneOfEach();
      world.bench.give('Ga', 'Gb');
      for (const action of sequence) {
        try {
          perform(world, action);
          const row = action.kind === 'ioctl' ? world.program.trace.at(-1)! : action.kind;
          count(/^ioctl\([^,]*, (\w+)(?:, ([A-Z_]+),)?/.exec(row)?.slice(1).join(' ') ?? row);
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          expect(ERRNO[error.code]).toBe(error.errno);
          count(error.code);
        }
      }
      world.bench.faults.disarm();
      world.end();
    }),
    { numRuns: RUNS },
  );
  if (process.env.RINGFENCE_FUZZ_RUNS !== undefined) console.log(seen);
  // It is not always the first check that refuses, and not every call is refused.
  for (const code of ['EFAULT', 'EINVAL', 'ENOENT', 'EOPNOTSUPP', 'ENOTTY', 'E2BIG', 'EBUSY']) {
    expect(seen.has(code), code).toBe(true);
  }
  const never = IOMMUFD_CALLS.filter((call) => !seen.has(`${call.name} `)).map((call) => call.name);
  expect(never).toEqual([]);
}, 3_600_000);

/** iommufd.md 4, INVALIDATE: entry_num always tells how many entries were dealt with. */

import { expect, test } from 'vitest';
import { MOCK_NESTED_DATA, type MockNestedDomain } from '../../iommu/drivers/mock-user-domains.ts';
import type { KernelError } from '../../kernel/errors.ts';
import { DeviceBench } from '../device-testing.ts';
import type { HwptNested } from '../hwpt-nested.ts';
import { type HwptInvalidateRequest, hwptInvalidate } from './hwpt-invalidate.ts';
import { RepliedError } from './replied-error.ts';

function stage() {
  const bench = new DeviceBench(['Ga']);
  const device = bench.bind('Ga');
  const parent = bench.hwpt(device, bench.ioas(), { flags: 1 });
  const arena = bench.base.memory.mmap(1);
  bench.base.memory.write(arena.base, new Uint8Array(new BigUint64Array([1n, 2n, 3n]).buffer));
  const data = { dataType: MOCK_NESTED_DATA, dataLen: 8, dataUptr: arena.base };
  const nested = bench.hwpt<HwptNested>(device, parent, data);
  const call = (some: Partial<HwptInvalidateRequest> = {}) => {
    const request = {
      hwptId: nested.id,
      dataUptr: arena.base,
      dataType: MOCK_NESTED_DATA,
      entryLen: 8,
      entryNum: 3,
      reserved: 0,
      ...some,
    };
    try {
      hwptInvalidate(bench.context, request);
      return ['ok', request.entryNum];
    } catch (error) {
      expect(error).toBeInstanceOf(RepliedError);
      return [(error as KernelError).code, request.entryNum];
    }
  };
  return { parent, arena, call, domain: nested.domain as MockNestedDomain };
}

test('entries reach the driver in order', () => {
  const { call, domain } = stage();
  expect(call()).toEqual(['ok', 3]);
  expect(domain.invalidated).toEqual([1n, 2n, 3n]);
});

test('no entries: only whether the type is known, and a pointer is not needed', () => {
  const { call } = stage();
  expect(call({ entryNum: 0, dataUptr: 0n, entryLen: 0 })).toEqual(['ok', 0]);
});

test('the entry that fails ends it, and those before are counted', () => {
  const { call, arena, domain } = stage();
  // The last two entries are beyond the end of the memory.
  const dataUptr = arena.base + 4096n - 8n;
  expect(call({ dataUptr })).toEqual(['EFAULT', 1]);
  expect(domain.invalidated).toHaveLength(1);
});

test('what is wrong before the driver is asked leaves 0', () => {
  const { call, parent } = stage();
  expect(call({ reserved: 1 })).toEqual(['EOPNOTSUPP', 0]);
  expect(call({ dataUptr: 0n })).toEqual(['EINVAL', 0]);
  expect(call({ entryLen: 0 })).toEqual(['EINVAL', 0]);
  expect(call({ entryLen: 4097 })).toEqual(['EINVAL', 0]);
  expect(call({ entryNum: 2 ** 19 + 1 })).toEqual(['EINVAL', 0]);
  expect(call({ hwptId: 9999 })).toEqual(['ENOENT', 0]);
  expect(call({ hwptId: parent.id })).toEqual(['ENOENT', 0]);
  expect(call({ dataType: 1 })).toEqual(['EINVAL', 0]);
});

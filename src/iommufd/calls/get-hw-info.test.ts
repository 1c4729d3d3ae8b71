/** iommufd.md 4, GET_HW_INFO. */

import { describe, expect, test } from 'vitest';
import { answerOf } from '../../iommu/testing.ts';
import { DeviceBench, type DeviceBenchOptions } from '../device-testing.ts';
import { type GetHwInfoRequest, getHwInfo } from './get-hw-info.ts';

function stage(options: DeviceBenchOptions = {}) {
  const bench = new DeviceBench(['Ga'], options);
  const device = bench.bind('Ga');
  const arena = bench.base.memory.mmap(1);
  bench.base.memory.write(arena.base, new Uint8Array(16).fill(0xff));
  const request = (some: Partial<GetHwInfoRequest> = {}): GetHwInfoRequest => ({
    flags: 0,
    devId: device.id,
    dataLen: 8,
    dataUptr: arena.base,
    outDataType: 0,
    outMaxPasidLog2: 0,
    reserved: [0, 0, 0],
    outCapabilities: 0n,
    ...some,
  });
  return { bench, request, buffer: () => [...arena.bytes(arena.base, 12)] };
}

const INFO = { type: 7, data: Uint8Array.of(1, 2, 3, 4) };

describe('GET_HW_INFO', () => {
  test('flags and reserved bytes are EOPNOTSUPP, a missing device ENOENT, a bad buffer EFAULT', () => {
    const { bench, request } = stage({ hwInfo: INFO });
    const answer = (some: Partial<GetHwInfoRequest>) =>
      answerOf(() => getHwInfo(bench.context, request(some)));
    expect(answer({ flags: 2 })).toBe('EOPNOTSUPP');
    expect(answer({ reserved: [0, 1, 0] })).toBe('EOPNOTSUPP');
    expect(answer({ devId: 9999 })).toBe('ENOENT');
    expect(answer({ dataUptr: 0x10n })).toBe('EFAULT');
    expect(answer({ dataUptr: 0x10n, dataLen: 0 })).toBe('ok');
  });

  test('a type can be asked for: the driver’s, or 0 for any (later than 6.12)', () => {
    const { bench, request } = stage({ hwInfo: INFO });
    const answer = (outDataType: number) =>
      answerOf(() => getHwInfo(bench.context, request({ flags: 1, outDataType })));
    expect([0, 7, 8].map(answer)).toEqual(['ok', 'ok', 'EOPNOTSUPP']);
  });

  test('the surplus of the buffer is zeroed, and data_len is what the kernel has', () => {
    const { bench, request, buffer } = stage({ hwInfo: INFO });
    const call = request();
    getHwInfo(bench.context, call);
    expect(call).toMatchObject({ outDataType: 7, dataLen: 4 });
    expect(buffer()).toEqual([1, 2, 3, 4, 0, 0, 0, 0, 255, 255, 255, 255]);
  });

  test('a short buffer gets the beginning', () => {
    const { bench, request, buffer } = stage({ hwInfo: INFO });
    const call = request({ dataLen: 2 });
    getHwInfo(bench.context, call);
    expect(call.dataLen).toBe(4);
    expect(buffer().slice(0, 3)).toEqual([1, 2, 255]);
  });

  test('a driver that says nothing has type 0 and no data', () => {
    const { bench, request, buffer } = stage();
    const call = request();
    getHwInfo(bench.context, call);
    expect(call).toMatchObject({ outDataType: 0, dataLen: 0, outCapabilities: 0n });
    expect(buffer().slice(0, 8)).toEqual(Array(8).fill(0));
  });

  test('dirty tracking and the width of PASIDs', () => {
    const { bench, request } = stage({
      capabilities: ['cache-coherency', 'dirty-tracking'],
      maxPasids: () => 1 << 20,
    });
    // Filled by probe_device in the kernel.
    const call = request();
    getHwInfo(bench.context, call);
    expect(call).toMatchObject({ outCapabilities: 1n, outMaxPasidLog2: 20 });
  });
});

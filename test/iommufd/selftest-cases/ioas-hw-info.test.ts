/** What an IOMMU says of itself; the kernel's `iommufd_ioas` case get_hw_info. */

import { expect, it } from 'vitest';
import {
  type GetHwInfoRequest,
  getHwInfo,
  HW_INFO_INPUT_TYPE,
} from '../../../src/iommufd/calls/get-hw-info.ts';
import {
  HW_INFO_SELFTEST_REGISTER,
  HW_INFO_TYPE_SELFTEST,
  MOCK_PASID_WIDTH,
} from '../../../src/iommufd/selftest/numbers.ts';
import { describeIoas } from './ioas-fixture.ts';
import { errno, type Program } from './program.ts';

function hwInfo(program: Program, devId: number, dataLen: number, more: Partial<GetHwInfoRequest> = {}) {
  program.write(program.scratch, new Uint8Array(64).fill(0xaa));
  const request: GetHwInfoRequest = {
    flags: 0,
    devId,
    dataLen,
    dataUptr: dataLen === 0 ? 0n : program.scratch,
    outDataType: 0,
    outMaxPasidLog2: 0,
    reserved: [0, 0, 0],
    outCapabilities: 0n,
    ...more,
  };
  getHwInfo(program.fd, request);
  return { request, words: program.readU32s(program.scratch, 5) };
}

describeIoas('hardware information', (fixture) => {
  it('is cut to the buffer, and the rest of the buffer is zero', () => {
    const { program, ioas, mock, pasidDevice } = fixture();
    if (mock === undefined) {
      expect(errno(() => hwInfo(program, 0, 8))).toBe('ENOENT');
      return;
    }
    const untouched = 0xaaaa_aaaa;
    const answer = { outDataType: HW_INFO_TYPE_SELFTEST, dataLen: 8, outMaxPasidLog2: 0 };
    const sizes: [bytes: number, words: number[]][] = [
      [0, [untouched, untouched]],
      [4, [0, untouched]],
      [8, [0, HW_INFO_SELFTEST_REGISTER, untouched]],
      [16, [0, HW_INFO_SELFTEST_REGISTER, 0, 0, untouched]],
    ];
    for (const [bytes, expected] of sizes) {
      const { request, words } = hwInfo(program, mock.idev, bytes);
      expect(request).toMatchObject(answer);
      expect(words.slice(0, expected.length)).toEqual(expected);
    }
    expect(errno(() => hwInfo(program, ioas, 8))).toBe('ENOENT');
    expect(errno(() => hwInfo(program, mock.idev, 8, { dataUptr: 0n }))).toBe('EFAULT');
    const ask = (outDataType: number) =>
      errno(() => hwInfo(program, mock.idev, 8, { flags: HW_INFO_INPUT_TYPE, outDataType }));
    expect(ask(HW_INFO_TYPE_SELFTEST + 1)).toBe('EOPNOTSUPP');
    expect([ask(HW_INFO_TYPE_SELFTEST), ask(0)]).toEqual(['ok', 'ok']);
    if (pasidDevice) {
      expect(hwInfo(program, pasidDevice.idev, 8).request.outMaxPasidLog2).toBe(MOCK_PASID_WIDTH);
    }
  });
});

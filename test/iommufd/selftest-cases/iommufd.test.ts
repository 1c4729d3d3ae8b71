/** The file itself: the kernel's fixture `iommufd`, as far as there is no ioctl door in the way. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OptionId } from '../../../src/iommufd/calls/option.ts';
import { isTestOp, testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { VfioIoasOp, vfioIoas } from '../../../src/iommufd/calls/vfio-ioas.ts';
import { Iommufd } from '../../../src/iommufd/iommufd.ts';
import { TestOp } from '../../../src/iommufd/selftest/numbers.ts';
import {
  vfioCheckExtension,
  vfioGetApiVersion,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from '../../../src/iommufd/vfio/calls.ts';
import { DmaMapFlag, VFIO_API_VERSION, VfioExtension } from '../../../src/iommufd/vfio/constants.ts';
import { vfioIommuGetInfo } from '../../../src/iommufd/vfio/type1-info.ts';
import { APERTURE, errno, PAGE, Program } from './program.ts';

const UNKNOWN_FLAG = 0x8000_0000;

describe('the file', () => {
  let program: Program;

  beforeEach(() => {
    program = new Program();
  });

  afterEach(() => program.finish());

  it('is opened and closed', () => {
    expect(program.fd.isOpen).toBe(true);
  });

  it('has no object 0', () => {
    expect(errno(() => program.destroy(0))).toBe('ENOENT');
  });

  it('counts pages for the user until told to count them for the process', () => {
    const { RlimitMode, HugePages } = OptionId;
    expect(program.getOption(RlimitMode)).toBe(0n);
    program.setOption(RlimitMode, 1n);
    expect(errno(() => program.setOption(RlimitMode, 2n))).toBe('EINVAL');
    expect(program.getOption(RlimitMode)).toBe(1n);
    program.setOption(RlimitMode, 0n);
    expect(errno(() => program.getOption(HugePages))).toBe('ENOENT');
    expect(errno(() => program.setOption(HugePages, 1n))).toBe('ENOENT');
  });

  it('knows the old VFIO calls that need no address space', () => {
    expect(vfioGetApiVersion()).toBe(VFIO_API_VERSION);
    expect(vfioCheckExtension(program.fd, VfioExtension.Type1v2)).toBe(1);
  });

  it('an old unmap needs a whole request, flags that exist, and an address space', () => {
    const unmap = (wrong: { argsz?: number; flags?: number }) =>
      errno(() =>
        vfioUnmapDma(program.fd, { argsz: 24, flags: 0, iova: APERTURE.start, size: PAGE, ...wrong }),
      );
    expect(unmap({ argsz: 1 })).toBe('EINVAL');
    expect(unmap({ flags: UNKNOWN_FLAG })).toBe('EINVAL');
    expect(unmap({})).toBe('ENODEV');
  });

  it('an old map needs a whole request, flags that exist, and an address space', () => {
    const vaddr = program.buffer;
    const flags = DmaMapFlag.Read | DmaMapFlag.Write;
    const map = (wrong: { argsz?: number; flags?: number }) =>
      errno(() =>
        vfioMapDma(program.fd, { argsz: 32, flags, vaddr, iova: APERTURE.start, size: PAGE, ...wrong }),
      );
    expect(map({ argsz: 1 })).toBe('EINVAL');
    expect(map({ flags: UNKNOWN_FLAG })).toBe('EINVAL');
    expect(map({})).toBe('ENODEV');
  });

  it('old information needs a whole request and an address space', () => {
    const info = (argsz: number) =>
      errno(() => vfioIommuGetInfo(program.fd, { argsz, flags: 0, iovaPgsizes: 0n, capOffset: 0 }));
    expect(info(1)).toBe('EINVAL');
    expect(info(24)).toBe('ENODEV');
  });

  it('an IOMMU type needs an address space', () => {
    for (const type of [VfioExtension.Type1v2, VfioExtension.Type1]) {
      expect(errno(() => vfioSetIommu(program.fd, type))).toBe('ENODEV');
    }
  });

  it('the address space of old calls is set, read and cleared', () => {
    const call = (op: number, ioasId = 0) => {
      const request = { ioasId, op, reserved: 0 };
      vfioIoas(program.fd, request);
      return request.ioasId;
    };
    expect(errno(() => call(VfioIoasOp.Get))).toBe('ENODEV');
    expect(errno(() => call(VfioIoasOp.Set))).toBe('ENOENT');
    const ioas = program.ioasAlloc();
    call(VfioIoasOp.Set, ioas);
    expect(call(VfioIoasOp.Get)).toBe(ioas);
    call(VfioIoasOp.Clear);
    expect(errno(() => call(VfioIoasOp.Get))).toBe('ENODEV');
  });
});

describe('the selftest interface', () => {
  it('is there only where the machine was made with it', () => {
    const program = new Program();
    const { iommu, physical } = program.iommufd;
    const without = new Iommufd({ iommu, physical }).open(program.process);
    expect(errno(() => testCmd(without, TestOp.SetTempMemoryLimit, { limit: 4096 }))).toBe('ENOTTY');
    expect(errno(() => testCmd(program.fd, TestOp.SetTempMemoryLimit, { limit: 11 }))).toBe('EINVAL');
    expect(errno(() => testCmd(program.fd, TestOp.SetTempMemoryLimit, { limit: 12 }))).toBe('ok');
    expect([isTestOp(0), isTestOp(1), isTestOp(21), isTestOp(22)]).toEqual([false, true, true, false]);
    expect(errno(() => testCmd(program.fd, 99 as 1, { id: 0, start: 0n, length: 0n }))).toBe('EOPNOTSUPP');
    expect(errno(() => program.test.mockDomainFlags(program.ioasAlloc(), 8))).toBe('EINVAL');
    without.close();
    program.finish();
  });

  it('names mock devices by the lowest number that is free, in groups of their own', () => {
    const program = new Program();
    const ioas = program.ioasAlloc();
    const names = () => program.iommufd.selftest?.devices.map(({ name }) => name);
    const ids = [program.test.mockDomain(ioas), program.test.mockDomain(ioas)];
    expect(names()).toEqual(['iommufd_mock0', 'iommufd_mock1']);
    expect(program.bench.partition()).toEqual([['iommufd_mock0'], ['iommufd_mock1']]);
    // The selftest's object is made first and its device second; both share the one page table, made third.
    expect(ids).toEqual([
      { stdev: 2, idev: 3, hwpt: 4 },
      { stdev: 5, idev: 6, hwpt: 4 },
    ]);
    program.destroy(2);
    program.test.mockDomain(ioas);
    expect(names()).toEqual(['iommufd_mock1', 'iommufd_mock0']);
    expect(errno(() => program.destroy(6))).toBe('EBUSY');
    program.finish();
  });
});

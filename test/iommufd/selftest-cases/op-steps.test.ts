/** Every op of the selftest that can fail half way: whichever step fails, nothing has changed. */

import { describe, expect, it } from 'vitest';
import { HwptAllocFlag } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { describeIommufd } from '../../../src/iommufd/dump.ts';
import { DeviceFlag, TestOp } from '../../../src/iommufd/selftest/numbers.ts';
import { everyStepFails } from '../../../src/iommufd/testing.ts';
import { APERTURE, BUFFER_SIZE, PAGE, Program } from './program.ts';

/** @returns the steps that failed */
function expectAllOrNothing<State>(
  prepare: (program: Program) => State,
  act: (program: Program, state: State) => void,
): string[] {
  const programs: Program[] = [];
  const failed = everyStepFails(() => {
    const program = new Program();
    programs.push(program);
    const state = prepare(program);
    return {
      faults: program.iommufd.faults,
      act: () => act(program, state),
      picture: () => ({
        iommufd: describeIommufd(program.iommufd),
        mocks: program.iommufd.selftest?.devices.map(({ name }) => name),
        descriptors: program.files.size,
        pinned: program.physical.pinned,
      }),
    };
  });
  for (const program of programs) program.finish();
  return failed;
}

function mappedIoas(program: Program): number {
  const ioas = program.ioasAlloc();
  program.mapFixed(ioas, program.buffer, BUFFER_SIZE, APERTURE.start);
  return ioas;
}

describe('an op of the selftest that fails changes nothing', () => {
  it('MOCK_DOMAIN', () => {
    const failed = expectAllOrNothing(mappedIoas, (program, ioas) => program.test.mockDomain(ioas));
    expect(failed).toEqual(
      expect.arrayContaining(['object id', 'mock device', 'mock domain', 'mock attach', 'page table']),
    );
  });

  it('MOCK_DOMAIN beside another device', () => {
    expectAllOrNothing(
      (program) => {
        const ioas = mappedIoas(program);
        program.test.mockDomain(ioas);
        return ioas;
      },
      (program, ioas) => program.test.mockDomain(ioas),
    );
  });

  it('MOCK_DOMAIN_REPLACE', () => {
    const failed = expectAllOrNothing(
      (program) => {
        const mock = program.test.mockDomain(mappedIoas(program));
        return { mock, other: mappedIoas(program) };
      },
      (program, { mock, other }) => program.test.mockDomainReplace(mock.stdev, other),
    );
    expect(failed).toContain('mock attach');
  });

  it('CREATE_ACCESS and ACCESS_REPLACE_IOAS', () => {
    const failed = expectAllOrNothing(mappedIoas, (program, ioas) => program.test.createAccess(ioas));
    expect(failed).toEqual(expect.arrayContaining(['access file', 'access descriptor']));
    expectAllOrNothing(
      (program) => {
        const access = program.test.createAccess(mappedIoas(program), { needsPinPages: true });
        program.test.accessPages(access, { iova: APERTURE.start, length: PAGE, uptr: program.buffer });
        return { access, other: program.ioasAlloc() };
      },
      (program, { access, other }) => program.test.accessReplaceIoas(access, other),
    );
  });

  it('ACCESS_PAGES', () => {
    const failed = expectAllOrNothing(
      (program) => program.test.createAccess(mappedIoas(program), { needsPinPages: true }),
      (program, access) =>
        program.test.accessPages(access, {
          iova: APERTURE.start,
          length: BUFFER_SIZE,
          uptr: program.buffer,
        }),
    );
    expect(failed).toContain('access item');
  });

  it('PASID_ATTACH and PASID_REPLACE', () => {
    const prepare = (program: Program) => {
      const ioas = mappedIoas(program);
      const mock = program.test.mockDomainFlags(ioas, DeviceFlag.Pasid);
      const alloc = () => program.hwptAlloc(mock.idev, ioas, { flags: HwptAllocFlag.Pasid });
      program.test.mockDomainReplace(mock.stdev, alloc());
      return { id: mock.stdev, first: alloc(), second: alloc() };
    };
    const attached = (program: Program) => {
      const state = prepare(program);
      testCmd(program.fd, TestOp.PasidAttach, { id: state.id, pasid: 5, ptId: state.first });
      return state;
    };
    expectAllOrNothing(prepare, (program, { id, first }) =>
      testCmd(program.fd, TestOp.PasidAttach, { id, pasid: 5, ptId: first }),
    );
    expectAllOrNothing(attached, (program, { id, second }) =>
      testCmd(program.fd, TestOp.PasidReplace, { id, pasid: 5, ptId: second }),
    );
  });
});

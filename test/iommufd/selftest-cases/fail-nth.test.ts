/**
 * The seven cases of the kernel's `iommufd_fail_nth`: each scenario is run with its first step failing, then with its
 * second, and so on until none is left. Whatever failed, closing the files must give everything back.
 */

import { describe, expect, it } from 'vitest';
import { getHwInfo } from '../../../src/iommufd/calls/get-hw-info.ts';
import { AccessRwFlag } from '../../../src/iommufd/selftest/numbers.ts';
import { KernelError } from '../../../src/kernel/errors.ts';
import { APERTURE, BUFFER_SIZE, errno, PAGE, Program } from './program.ts';

const LITTLE_MEMORY = 32;
const BIG = 64n * PAGE;

/** What comes before the first step that fails, and what then runs into it. */
interface Scenario<State> {
  prepare(program: Program): State;
  run(program: Program, state: State): void;
}

/** @returns the kinds of steps that failed, each once, in order */
function failEveryStep<State>({ prepare, run }: Scenario<State>): string[] {
  const kinds = new Set<string>();
  for (let n = 1; ; n++) {
    const program = new Program();
    const { faults } = program.iommufd;
    const state = prepare(program);
    faults.failAt(n);
    let refused = false;
    try {
      run(program, state);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      refused = true;
    }
    const { fired } = faults;
    faults.disarm();
    program.finish();
    if (fired === undefined) {
      expect(refused).toBe(false);
      return [...kinds];
    }
    kinds.add(fired);
  }
}

function ioasWithLittleMemory(program: Program): number {
  program.test.setTempMemoryLimit(LITTLE_MEMORY);
  return program.ioasAlloc();
}

describe('whatever step fails, closing gives everything back', () => {
  it('of calls on an address space', () => {
    const kinds = failEveryStep({
      prepare: () => {},
      run(program) {
        const ioas = program.ioasAlloc();
        program.iovaRanges(ioas, 10);
        program.allow(ioas, { start: 4n * PAGE, last: BUFFER_SIZE + 2400n * PAGE - 1n });
        const iova = program.map(ioas, program.buffer, BUFFER_SIZE);
        const copy = { ioasId: ioas, iova: iova + BUFFER_SIZE };
        program.copyFixed({ ioasId: ioas, iova }, copy, 160n);
        program.unmap(ioas, iova, BUFFER_SIZE);
        errno(() => program.unmap(ioas, iova, BUFFER_SIZE));
      },
    });
    expect(kinds).toContain('object id');
  });

  it('of filling a page table, before and after there is something mapped', () => {
    const kinds = failEveryStep({
      prepare: (program) => ({ ioas: ioasWithLittleMemory(program), memory: program.mmap(BIG) }),
      run(program, { ioas, memory }) {
        const { stdev } = program.test.mockDomain(ioas);
        program.map(ioas, memory.base, BIG);
        program.destroy(stdev);
        program.test.mockDomain(ioas);
      },
    });
    expect(kinds).toEqual(expect.arrayContaining(['mock device', 'mock domain', 'page table']));
  });

  it('of filling two page tables', () => {
    failEveryStep({
      prepare(program) {
        const ioas = ioasWithLittleMemory(program);
        return { ioas, memory: program.mmap(BIG), first: program.test.mockDomain(ioas) };
      },
      run(program, { ioas, memory, first }) {
        const second = program.test.mockDomain(ioas);
        program.map(ioas, memory.base, BIG);
        program.destroy(first.stdev);
        program.destroy(second.stdev);
        program.test.mockDomain(ioas);
        program.test.mockDomain(ioas);
      },
    });
  });

  it('of reading and writing through an access', () => {
    const kinds = failEveryStep({
      prepare(program) {
        const ioas = ioasWithLittleMemory(program);
        return { ioas, iova: program.map(ioas, program.mmap(BIG).base, BIG) };
      },
      run(program, { ioas, iova }) {
        const access = program.test.createAccess(ioas);
        const { Write, SlowPath } = AccessRwFlag;
        for (const flags of [0, Write, SlowPath, SlowPath | Write]) {
          program.test.accessRw(access, iova, 64n, program.scratch, flags);
        }
        program.test.accessRw(access, iova, 8n * PAGE, program.scratch, SlowPath);
        program.test.destroyAccess(access);
      },
    });
    expect(kinds).toContain('access descriptor');
  });

  it('of pinning through an access', () => {
    const kinds = failEveryStep({
      prepare(program) {
        const ioas = ioasWithLittleMemory(program);
        const iova = program.map(ioas, program.buffer, BUFFER_SIZE);
        return { iova, access: program.test.createAccess(ioas, { needsPinPages: true }) };
      },
      run(program, { iova, access }) {
        const range = { iova, length: BUFFER_SIZE, uptr: program.buffer };
        program.test.destroyAccessPages(access, program.test.accessPages(access, range));
        program.test.destroyAccess(access);
      },
    });
    expect(kinds).toContain('access item');
  });

  it('of pinning what a page table has', () => {
    failEveryStep({
      prepare(program) {
        const ioas = ioasWithLittleMemory(program);
        const { stdev } = program.test.mockDomain(ioas);
        const iova = program.map(ioas, program.buffer, BUFFER_SIZE);
        return { stdev, iova, access: program.test.createAccess(ioas, { needsPinPages: true }) };
      },
      run(program, { stdev, iova, access }) {
        const range = { iova, length: BUFFER_SIZE, uptr: program.buffer };
        program.test.destroyAccessPages(access, program.test.accessPages(access, range));
        program.test.destroyAccess(access);
        program.destroy(stdev);
      },
    });
  });

  it('of making, asking and moving a device', () => {
    const kinds = failEveryStep({
      prepare(program) {
        const spaces = [program.ioasAlloc(), program.ioasAlloc()] as const;
        for (const ioas of spaces) program.mapFixed(ioas, program.buffer, PAGE, APERTURE.start);
        return spaces;
      },
      run(program, [first, second]) {
        const { stdev, idev } = program.test.mockDomain(first);
        getHwInfo(program.fd, {
          flags: 0,
          devId: idev,
          dataLen: 8,
          dataUptr: program.scratch,
          outDataType: 0,
          outMaxPasidLog2: 0,
          reserved: [0, 0, 0],
          outCapabilities: 0n,
        });
        const hwpt = program.hwptAlloc(idev, first);
        program.test.mockDomainReplace(stdev, second);
        program.test.mockDomainReplace(stdev, hwpt);
      },
    });
    expect(kinds).toEqual(expect.arrayContaining(['DMA ownership', 'mock attach', 'hardware information']));
  });
});

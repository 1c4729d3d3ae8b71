/** The variants of the kernel's fixture `iommufd_ioas`: an address space with no, one or two mock devices. */

import { afterEach, beforeEach, describe } from 'vitest';
import { DeviceFlag, MEMORY_LIMIT_DEFAULT } from '../../../src/iommufd/selftest/numbers.ts';
import { APERTURE, Program } from './program.ts';
import type { MockIds } from './test-calls.ts';

export interface IoasVariant {
  name: string;
  domains: number;
  memoryLimit?: number;
  pasidCapable?: boolean;
}

export const IOAS_VARIANTS: IoasVariant[] = [
  { name: 'no domain', domains: 0 },
  { name: 'one mock domain', domains: 1, pasidCapable: true },
  { name: 'two mock domains', domains: 2 },
  { name: 'one mock domain, little memory', domains: 1, memoryLimit: 16 },
];

/** What a case finds. */
export interface IoasFixture {
  program: Program;
  variant: IoasVariant;
  ioas: number;
  /** The last mock device made; none without domains. */
  mock: MockIds | undefined;
  /** One that can mark its DMA with PASIDs. */
  pasidDevice: MockIds | undefined;
  /** First address a mapping may have. */
  baseIova: bigint;
}

/** Runs the cases once per variant; `fixture()` is the one of the running case. */
export function describeIoas(name: string, cases: (fixture: () => IoasFixture) => void): void {
  describe.each(IOAS_VARIANTS)(`${name}: $name`, (variant) => {
    let current: IoasFixture | undefined;

    beforeEach(() => {
      current = setup(variant);
    });

    afterEach(() => {
      const program = current?.program;
      current = undefined;
      program?.finish();
    });

    cases(() => {
      if (current === undefined) throw new Error('no case is running');
      return current;
    });
  });
}

function setup(variant: IoasVariant): IoasFixture {
  const program = new Program();
  const { test } = program;
  const ioas = program.ioasAlloc();
  test.setTempMemoryLimit(variant.memoryLimit ?? MEMORY_LIMIT_DEFAULT);
  let mock: MockIds | undefined;
  for (let made = 0; made < variant.domains; made++) mock = test.mockDomain(ioas);
  const pasidDevice = variant.pasidCapable ? test.mockDomainFlags(ioas, DeviceFlag.Pasid) : undefined;
  return { program, variant, ioas, mock, pasidDevice, baseIova: mock === undefined ? 0n : APERTURE.start };
}

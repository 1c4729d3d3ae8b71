/** `IOMMU_TEST_CMD` (0xa0): the way a test program reaches inside. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { TestOp } from '../selftest/numbers.ts';
import {
  accessPages,
  accessReplaceIoas,
  accessRw,
  createAccess,
  destroyAccessPages,
} from '../selftest/ops/access.ts';
import { addReserved } from '../selftest/ops/add-reserved.ts';
import { devCheckCache, mdCheckIotlb } from '../selftest/ops/check-caches.ts';
import { mdCheckMap, mdCheckRefs } from '../selftest/ops/check-map.ts';
import { dirty } from '../selftest/ops/dirty.ts';
import { setTempMemoryLimit } from '../selftest/ops/memory-limit.ts';
import { mockDomain, mockDomainFlags, mockDomainReplace } from '../selftest/ops/mock-domain.ts';
import { pasidAttach, pasidCheckHwpt, pasidDetach, pasidReplace } from '../selftest/ops/pasid.ts';
import { triggerIopf } from '../selftest/ops/trigger-iopf.ts';
import { triggerVevent } from '../selftest/ops/trigger-vevent.ts';
import { selftestOf } from '../selftest/selftest.ts';

const FUNCTIONS = {
  [TestOp.AddReserved]: addReserved,
  [TestOp.MockDomain]: mockDomain,
  [TestOp.MdCheckMap]: mdCheckMap,
  [TestOp.MdCheckRefs]: mdCheckRefs,
  [TestOp.CreateAccess]: createAccess,
  [TestOp.DestroyAccessPages]: destroyAccessPages,
  [TestOp.AccessPages]: accessPages,
  [TestOp.AccessRw]: accessRw,
  [TestOp.SetTempMemoryLimit]: setTempMemoryLimit,
  [TestOp.MockDomainReplace]: mockDomainReplace,
  [TestOp.AccessReplaceIoas]: accessReplaceIoas,
  [TestOp.MockDomainFlags]: mockDomainFlags,
  [TestOp.Dirty]: dirty,
  [TestOp.MdCheckIotlb]: mdCheckIotlb,
  [TestOp.TriggerIopf]: triggerIopf,
  [TestOp.DevCheckCache]: devCheckCache,
  [TestOp.TriggerVevent]: triggerVevent,
  [TestOp.PasidAttach]: pasidAttach,
  [TestOp.PasidReplace]: pasidReplace,
  [TestOp.PasidDetach]: pasidDetach,
  [TestOp.PasidCheckHwpt]: pasidCheckHwpt,
};

/** The request of each op, by its number. */
export type TestRequests = { [Op in keyof typeof FUNCTIONS]: Parameters<(typeof FUNCTIONS)[Op]>[1] };

const OPS: { [Op in keyof TestRequests]: (context: Context, request: TestRequests[Op]) => void } = FUNCTIONS;

/** Whether there is such an op; then its request is known, too. */
export function isTestOp(op: number): op is keyof TestRequests {
  return Object.hasOwn(OPS, op);
}

/**
 * `iommufd_test`
 *
 * @param op of `TestOp`
 * @throws KernelError ENOTTY this iommufd was made without selftest; EOPNOTSUPP no such op; else the op's refusal
 */
export function testCmd<Op extends keyof TestRequests>(
  context: Context,
  op: Op,
  request: TestRequests[Op],
): void {
  selftestOf(context);
  if (!isTestOp(op)) throw new KernelError('EOPNOTSUPP', context.label, `the selftest has no op ${op}`);
  OPS[op](context, request);
}

/** MOCK_DOMAIN, MOCK_DOMAIN_FLAGS and MOCK_DOMAIN_REPLACE: mock devices and what they are attached to. */

import type { Context } from '../../context.ts';
import type { MockDomainFlagsRequest, MockDomainReplaceRequest, MockDomainRequest } from '../requests.ts';
import { SelftestDevice } from '../selftest-device.ts';

/**
 * `IOMMU_TEST_OP_MOCK_DOMAIN`: a new mock device, bound and attached to the address space or HWPT `id`.
 *
 * @throws KernelError as `SelftestDevice.create`; nothing is left then
 */
export function mockDomain(context: Context, request: MockDomainRequest): void {
  create(context, request, 0);
}

/** `IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS`: the same with a say in what the device can do. @throws as `mockDomain` */
export function mockDomainFlags(context: Context, request: MockDomainFlagsRequest): void {
  create(context, request, request.devFlags);
}

/**
 * `IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE`: the device of the selftest object `id` moves to `ptId`.
 *
 * @throws KernelError ENOENT no such selftest object; else as `IommufdDevice.replace`
 */
export function mockDomainReplace(context: Context, request: MockDomainReplaceRequest): void {
  using held = context.objects.use<SelftestDevice>(request.id, 'selftest');
  request.ptId = held.object.idev.replace(request.ptId);
}

function create(context: Context, request: MockDomainRequest, flags: number): void {
  const { stdev, hwptId } = SelftestDevice.create(context, flags, request.id);
  request.outHwptId = hwptId;
  request.outStdevId = stdev.id;
  request.outIdevId = stdev.idev.id;
}

/** The mock's domains behind HWPT ids (`get_md_pagetable`, `get_md_pagetable_nested`). */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Hwpt } from '../hwpt.ts';
import { MockDomain } from './mock-driver.ts';
import { MockNestedDomain } from './mock-nested.ts';

/** A domain that stays until this is disposed. */
export interface HeldDomain<D> extends Disposable {
  readonly domain: D;
  /** Of its HWPT, for messages. */
  readonly label: string;
}

/** @throws KernelError ENOENT no paging HWPT has this id; EINVAL it is not the mock's */
export function useMockHwpt(context: Context, id: number): HeldDomain<MockDomain> {
  return use(context, id, 'hwpt-paging', (domain) => domain instanceof MockDomain);
}

/** @throws KernelError ENOENT no nested HWPT has this id; EINVAL it is not the mock's */
export function useMockNested(context: Context, id: number): HeldDomain<MockNestedDomain> {
  return use(context, id, 'hwpt-nested', (domain) => domain instanceof MockNestedDomain);
}

function use<D extends Hwpt['domain']>(
  context: Context,
  id: number,
  type: 'hwpt-paging' | 'hwpt-nested',
  isMock: (domain: Hwpt['domain']) => domain is D,
): HeldDomain<D> {
  const held = context.objects.use<Hwpt>(id, type);
  const { domain, label } = held.object;
  if (!isMock(domain)) {
    held[Symbol.dispose]();
    throw new KernelError('EINVAL', label, 'is not of the mock IOMMU');
  }
  return { domain, label, [Symbol.dispose]: () => held[Symbol.dispose]() };
}

/**
 * Domains as a user process asks for them, of the mock: with dirty tracking, with page faults, as parents, and nested
 * ones that add an offset to every address.
 */

import { Domain, type DomainOps, DomainType } from '../domain.ts';
import type { UserDomainFlags } from '../driver.ts';
import { copyStructFromUser, type UserData, type UserDataArray } from '../user-data.ts';

/** `data_type` of a nested mock domain, and of what invalidates it. */
export const MOCK_NESTED_DATA = 0x6d6f636b;
/** Bytes of that data: offset@0(8); and of an invalidation: addr@0(8). */
const DATA_SIZE = 8;

/** Which of them the mock makes. */
export interface MockUserDomains {
  nestParent?: boolean;
  dirtyTracking?: boolean;
  pasid?: boolean;
  nested?: boolean;
}

/** Whether every flag that is asked for is one the mock knows. */
export function allows(knows: MockUserDomains, asked: UserDomainFlags): boolean {
  return (
    (!asked.nestParent || knows.nestParent === true) &&
    (!asked.dirtyTracking || knows.dirtyTracking === true) &&
    (!asked.pasid || knows.pasid === true)
  );
}

/** What a guest's table is reduced to: one offset. */
export class MockNestedDomain extends Domain {
  readonly offset: bigint;
  /** Addresses the guest said it had changed. */
  readonly invalidated: bigint[] = [];

  /** @throws KernelError EINVAL the data is of another type or length, EFAULT */
  constructor(parent: Domain, userData: UserData, ops: DomainOps) {
    super({
      type: DomainType.Nested,
      name: 'nested mock',
      ops: {
        ...ops,
        cacheInvalidateUser: (_domain, array) => this.#invalidate(array),
        translateDma: (_domain, iova, write) => {
          const at = BigInt.asUintN(64, iova + this.offset);
          const found = parent.pageTable?.access(at, write) ?? 'not-mapped';
          return typeof found === 'string' ? found : { paddr: found.paddr, last: iova + (found.last - at) };
        },
      },
    });
    this.offset = copyStructFromUser(userData, MOCK_NESTED_DATA, DATA_SIZE).getBigUint64(0, true);
  }

  #invalidate(array: UserDataArray): void {
    while (array.processed < array.entries) {
      const data = copyStructFromUser(array.entry(array.processed), MOCK_NESTED_DATA, DATA_SIZE);
      this.invalidated.push(data.getBigUint64(0, true));
      array.processed++;
    }
  }
}

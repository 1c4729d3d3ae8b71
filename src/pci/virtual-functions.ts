/** Which functions are virtual (SR-IOV), and whose. */

import { addressKey, parseAddress } from './address.ts';
import type { FunctionRecord } from './records.ts';

/** Value: the physical function; `undefined` where the function is virtual and its PF is not in the list. */
export type VirtualFunctions = Map<FunctionRecord, FunctionRecord | undefined>;

export function findVirtualFunctions(
  records: readonly FunctionRecord[],
  byKey: ReadonlyMap<number, FunctionRecord>,
): VirtualFunctions {
  const virtual: VirtualFunctions = new Map();
  for (const record of records) {
    const { physfn, facts } = record.init;
    if (typeof physfn === 'string') virtual.set(record, named(physfn, record, byKey));
    else if (physfn === undefined && facts.idsHidden === true) virtual.set(record, undefined);
  }
  claimByRegisters(records, byKey, virtual);
  return virtual;
}

/** A PF is never virtual itself; a list that says so would make a circle. */
function named(
  physfn: string,
  record: FunctionRecord,
  byKey: ReadonlyMap<number, FunctionRecord>,
): FunctionRecord | undefined {
  const address = parseAddress(physfn);
  const target = address === undefined ? undefined : byKey.get(addressKey(address));
  if (target === undefined || target === record || typeof target.init.physfn === 'string') return undefined;
  return target.address.domain === record.address.domain ? target : undefined;
}

/** Where the source does not say, the PF's registers do: requester id of VF n is PF + offset + n * stride. */
function claimByRegisters(
  records: readonly FunctionRecord[],
  byKey: ReadonlyMap<number, FunctionRecord>,
  virtual: VirtualFunctions,
): void {
  // A list cannot have more VFs than functions; registers that claim far more are not worth following.
  let steps = records.length * 16 + 0x10000;
  for (const pf of records) {
    const sriov = pf.init.facts.sriov;
    if (!sriov?.enabled || virtual.has(pf)) continue;
    const domainEnd = (pf.address.domain + 1) * 0x10000;
    for (let n = 0; n < sriov.numVfs && steps > 0; n++, steps--) {
      const key = pf.key + sriov.offset + n * sriov.stride;
      if (key >= domainEnd) break;
      const candidate = byKey.get(key);
      if (candidate !== undefined && couldBeVirtual(candidate, pf) && virtual.get(candidate) === undefined) {
        virtual.set(candidate, pf);
      }
      if (sriov.stride === 0) break;
    }
  }
}

function couldBeVirtual(record: FunctionRecord, pf: FunctionRecord): boolean {
  const { physfn, facts } = record.init;
  return (
    record !== pf && physfn === undefined && !facts.sriov && facts.headerType !== 1 && facts.headerType !== 2
  );
}

/**
 * The AMD driver of Linux 3.3 to 3.5: a group is the entry of the IVRS alias table for the device's id. ACS was
 * not asked.
 */

import { rid } from '../../pci/address.ts';
import type { PciDevice } from '../../pci/device.ts';
import { type GroupNumber, NumberedGrouping, slotOfDevfn } from './numbered.ts';

/** Alias table: the requester id under which the IOMMU sees `requesterId` of `segment`. */
export type AliasTable = (segment: number, requesterId: number) => number;

export class Amd2012Grouping extends NumberedGrouping {
  readonly #groupMultifunction: boolean;
  readonly #aliasTable: AliasTable;

  /**
   * @param options.groupMf `iommu=group_mf`: functions of a slot share, virtual functions excepted
   * @param options.aliasTable from IVRS; absent: no id has an alias
   */
  constructor(options: { groupMf?: boolean; aliasTable?: AliasTable } = {}) {
    super('amd-2012');
    this.#groupMultifunction = options.groupMf === true;
    this.#aliasTable = options.aliasTable ?? ((_segment, requesterId) => requesterId);
  }

  /** `amd_iommu_device_group` */
  protected override groupNumber(device: PciDevice): GroupNumber {
    const merges = this.#groupMultifunction && !device.isVirtual;
    const own = merges ? rid(device.pciBus.number, slotOfDevfn(device.devfn)) : device.rid;
    const id = this.#aliasTable(device.domain, own);
    const whose = merges ? 'the id of function 0 of its slot (iommu=group_mf)' : 'its own id';
    const because = id === own ? whose : `what the IVRS alias table has for ${whose}`;
    return { id, of: device.name, because };
  }
}

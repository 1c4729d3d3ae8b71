/**
 * Everything iommufd knows, as plain data: for comparing before and after a call that failed, for tests that look
 * inside, and for whoever shows it. The same state gives the same picture.
 */

import type { Group } from '../iommu/group.ts';
import type { AccountMode } from './account.ts';
import type { Context } from './context.ts';
import { describeObject, type ObjectPicture, PageSetNumbers, type PageSetPicture } from './dump-objects.ts';
import { describeTable, hex, type TablePicture } from './dump-parts.ts';
import type { IommufdGroup } from './group.ts';
import type { Iommufd } from './iommufd.ts';

export interface ContextPicture {
  label: string;
  process: string;
  isOpen: boolean;
  references: number;
  accountMode: AccountMode;
  noiommuMode: boolean;
  /** Id of the address space of old VFIO calls. */
  vfioIoas: number | undefined;
  /** By id. */
  objects: ObjectPicture[];
  /** Ids that are taken and find nothing. */
  hiddenIds: number[];
  /** Shared by areas of all address spaces of the context, which name them by index. */
  pageSets: PageSetPicture[];
  groups: BoundGroupPicture[];
}

/** What a context keeps of an IOMMU group. */
export interface BoundGroupPicture {
  group: number;
  references: number;
  swMsiStart: string | undefined;
  attachments: { pasid: number; hwpt: number; devices: number[] }[];
}

/** An IOMMU group, whoever has it. */
export interface GroupPicture {
  id: number;
  devices: { name: string; takesPageRequests: boolean }[];
  /** Label of the context that owns its DMA, or just that somebody does. */
  owner: string | undefined;
  ownerCount: number;
  domain: { label: string; type: number; hwpt: string | undefined; table: TablePicture } | undefined;
  /** PASIDs or handles are attached. */
  hasPasids: boolean;
}

export interface ProcessPicture {
  name: string;
  lockedPages: number;
  pinnedPages: number;
  user: { name: string; lockedPages: number };
}

export interface IommufdPicture {
  contexts: ContextPicture[];
  groups: GroupPicture[];
  processes: ProcessPicture[];
  /** Pins of all physical pages. */
  pinned: number;
}

/** All contexts in the order they were opened, all groups of the machine by number, and everybody's counts. */
export function describeIommufd(iommufd: Iommufd): IommufdPicture {
  return {
    contexts: [...iommufd.contexts].map(describeContext),
    groups: [...iommufd.iommu.groups.values()]
      .sort((a, b) => a.id - b.id)
      .map((group) => describeGroup(iommufd, group)),
    processes: [...iommufd.processes].map(({ name, lockedPages, pinnedPages, user }) => ({
      name,
      lockedPages,
      pinnedPages,
      user: { name: user.name, lockedPages: user.lockedPages },
    })),
    pinned: iommufd.physical.pinned,
  };
}

export function describeContext(context: Context): ContextPicture {
  const { label, process, isOpen, references, accountMode, noiommuMode, vfioIoas } = context;
  const sets = new PageSetNumbers();
  const objects = [...context.objects].map((object) => describeObject(object, sets));
  return {
    label,
    process: process.name,
    isOpen,
    references,
    accountMode,
    noiommuMode,
    vfioIoas: vfioIoas?.id,
    objects,
    hiddenIds: context.objects.hiddenIds,
    pageSets: sets.pictures(),
    groups: [...context.groups.values()].sort((a, b) => a.group.id - b.group.id).map(describeBoundGroup),
  };
}

function describeBoundGroup({ group, references, swMsiStart, attachments }: IommufdGroup): BoundGroupPicture {
  return {
    group: group.id,
    references,
    swMsiStart: swMsiStart === undefined ? undefined : hex(swMsiStart),
    attachments: [...attachments]
      .sort(([a], [b]) => a - b)
      .map(([pasid, { hwpt, devices }]) => ({
        pasid,
        hwpt: hwpt.id,
        devices: [...devices].map(({ id }) => id),
      })),
  };
}

function describeGroup(iommufd: Iommufd, group: Group): GroupPicture {
  const owner = group.dmaOwner as { label?: unknown } | undefined;
  return {
    id: group.id,
    devices: group.devices.map((device) => ({
      name: device.name,
      takesPageRequests: iommufd.iommu.states.find(device)?.faults !== undefined,
    })),
    owner: owner === undefined ? undefined : typeof owner.label === 'string' ? owner.label : 'somebody',
    ownerCount: group.ownerCount,
    domain: group.domain && {
      label: group.domain.label,
      type: group.domain.type,
      hwpt: hwptOf(iommufd, group),
      table: describeTable(group.domain),
    },
    hasPasids: group.hasPasids,
  };
}

/** As `iommufd 1 HWPT 3`, where what is attached is one. */
function hwptOf(iommufd: Iommufd, group: Group): string | undefined {
  for (const context of iommufd.contexts) {
    const hwpt = [...(context.groups.get(group)?.attachments.values() ?? [])].find(
      (attachment) => attachment.hwpt.domain === group.domain,
    )?.hwpt;
    if (hwpt !== undefined) return `${context.label} ${hwpt.label}`;
  }
  return undefined;
}

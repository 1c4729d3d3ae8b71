/** One object of a context as plain data. Part of dump.ts. */

import type { Access } from './access.ts';
import type { Area } from './area.ts';
import type { IommufdDevice } from './device.ts';
import { describeTable, hex, rangeOf, type TablePicture } from './dump-parts.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultQueue } from './fault-queue.ts';
import type { HwQueue } from './hw-queue.ts';
import type { Hwpt } from './hwpt.ts';
import type { HwptNested } from './hwpt-nested.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import type { Ioas } from './ioas.ts';
import type { IommufdObject, ObjectType } from './object.ts';
import type { PageSet } from './page-set.ts';
import type { SelftestDevice } from './selftest/selftest-device.ts';
import type { Vdevice } from './vdevice.ts';
import type { Veventq } from './veventq.ts';
import type { Viommu } from './viommu.ts';

/** Addresses are hexadecimal strings; other objects are named by their ids. */
export interface ObjectPicture {
  id: number;
  type: ObjectType;
  users: number;
  callsInFlight: number;
  /** What this type of object has beside that. */
  details: Readonly<Record<string, unknown>>;
}

export interface AreaPicture {
  range: string;
  /** Where it begins in its page set. */
  startByte: string;
  prot: number;
  /** Page tables that hold it, and pins by accesses. */
  filled: number;
  accesses: number;
  preventAccess: boolean;
  /** Page sets of a context are numbered as they are met. */
  pages: number;
}

export interface PageSetPicture {
  source: string;
  firstPage: number;
  pages: number;
  writable: boolean;
  references: number;
  pinned: number;
  /** Runs of pages with their frames and users. */
  stretches: { first: number; pages: number; frame: number; users: number }[];
  accesses: { first: number; last: number; users: number }[];
}

/** Numbers the page sets that areas share, in the order they are met. */
export class PageSetNumbers {
  readonly #numbers = new Map<PageSet, number>();

  of(pages: PageSet): number {
    const number = this.#numbers.get(pages) ?? this.#numbers.size;
    this.#numbers.set(pages, number);
    return number;
  }

  pictures(): PageSetPicture[] {
    return [...this.#numbers.keys()].map((pages) => ({
      source: pages.source.name,
      firstPage: pages.firstPage,
      pages: pages.pages,
      writable: pages.writable,
      references: pages.references,
      pinned: pages.pinnedPages,
      stretches: pages.stretches(),
      accesses: pages.accesses.map(({ first, last, users }) => ({ first, last, users })),
    }));
  }
}

export function describeObject(object: IommufdObject, sets: PageSetNumbers): ObjectPicture {
  const { id, type, users, callsInFlight } = object;
  return { id, type, users, callsInFlight, details: detailsOf(object, sets) };
}

function detailsOf(object: IommufdObject, sets: PageSetNumbers): Record<string, unknown> {
  switch (object.type) {
    case 'ioas':
      return ofIoas(object as Ioas, sets);
    case 'hwpt-paging':
      return ofHwptPaging(object as HwptPaging);
    case 'hwpt-nested': {
      const nested = object as HwptNested;
      return { ...ofHwpt(nested), parent: nested.parent.id, viommu: nested.viommu?.id };
    }
    case 'device':
      return ofDevice(object as IommufdDevice);
    case 'access': {
      const access = object as Access;
      return { ioas: access.ioas?.id, alignment: hex(access.alignment) };
    }
    case 'fault': {
      const fault = object as FaultQueue;
      return { ...ofQueue(fault), cookies: fault.cookies };
    }
    case 'veventq': {
      const events = object as Veventq;
      const { eventType, depth, nextSequence } = events;
      return { ...ofQueue(events), viommu: events.viommu.id, eventType, depth, nextSequence };
    }
    case 'viommu':
      return ofViommu(object as Viommu);
    case 'vdevice': {
      const { viommu, device, virtId } = object as Vdevice;
      return { viommu: viommu.id, device: device.id, virtId: hex(virtId) };
    }
    case 'hw-queue': {
      const { viommu, queueType, index } = object as HwQueue;
      return { viommu: viommu.id, queueType, index };
    }
    case 'selftest': {
      const { mock, idev } = object as SelftestDevice;
      return { mock: mock.name, device: idev.id };
    }
  }
}

function ofIoas({ iovas, hwpts }: Ioas, sets: PageSetNumbers): Record<string, unknown> {
  return {
    alignment: hex(iovas.iovaAlignment),
    largePagesDisabled: iovas.largePagesDisabled,
    areas: [...iovas.areas].map(({ value }) => ofArea(value, sets)),
    unsettled: iovas.unsettled.size,
    allowed: [...iovas.allowed].map(rangeOf),
    reserved: [...iovas.reserved].map((range) => `${rangeOf(range)} ${range.owner?.name ?? 'a test'}`),
    hwpts: [...hwpts].map(({ id }) => id),
    domains: iovas.domains.map(({ label }) => label),
    accesses: [...iovas.accesses.keys()].map(({ name }) => name),
  };
}

function ofArea(area: Area, sets: PageSetNumbers): AreaPicture {
  const { prot, filled, accesses, preventAccess } = area;
  return {
    range: rangeOf({ start: area.iova, last: area.last }),
    startByte: hex(area.startByte()),
    prot,
    filled,
    accesses,
    preventAccess,
    pages: sets.of(area.pages),
  };
}

function ofHwpt(hwpt: Hwpt): {
  domain: string;
  freed: boolean;
  fault: number | undefined;
  table: TablePicture;
} {
  const { domain, fault } = hwpt;
  return { domain: domain.label, freed: domain.freed, fault: fault?.id, table: describeTable(domain) };
}

function ofHwptPaging(hwpt: HwptPaging): Record<string, unknown> {
  const { ioas, autoDomain, nestParent, enforceCacheCoherency, pasidCompatible, msiCookie } = hwpt;
  return {
    ...ofHwpt(hwpt),
    ioas: ioas.id,
    autoDomain,
    nestParent,
    enforceCacheCoherency,
    pasidCompatible,
    msiCookie,
  };
}

function ofDevice(bound: IommufdDevice): Record<string, unknown> {
  const { device, group, enforceCacheCoherency, vdevice } = bound;
  const attached = [...group.attachments]
    .filter(([, { devices }]) => devices.has(bound))
    .map(([pasid, { hwpt }]) => ({ pasid, hwpt: hwpt.id }));
  return {
    device: device.name,
    group: group.group.id,
    attached,
    enforceCacheCoherency,
    vdevice: vdevice?.id,
  };
}

function ofQueue(queue: EventQueue<unknown>): Record<string, unknown> {
  return { waiting: queue.waiting, fileOpen: queue.file !== undefined };
}

function ofViommu({ viommuType, hwpt, vdevices, veventqs }: Viommu): Record<string, unknown> {
  return {
    viommuType,
    hwpt: hwpt.id,
    vdevices: [...vdevices.values()].map(({ id }) => id),
    veventqs: [...veventqs.values()].map(({ id }) => id),
  };
}

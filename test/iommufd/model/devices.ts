import { MAX, refuse, runOf, SELFTEST_APERTURE } from './pages.ts';
import { type Attachment, type DriverName, type Group, type Hwpt, Refusal } from './state.ts';

import { Users } from './users.ts';

export interface HwptCall {
  flags: number;
  dev: number;
  pt: number;
  reserved: number;
  /** There is data, of the type and size the device's driver wants. */
  data: boolean;
  offset: bigint;
  faultId: number;
}

const NEST_PARENT = 1;
const DIRTY = 2;
const FAULT_ID = 4;
const PASID = 8;

export abstract class Devices extends Users {
  groupOf(name: string): Group {
    const key = groupName(name);
    const group = this.state.groups.get(key) ?? { owner: undefined, bound: 0, attachments: new Map() };
    this.state.groups.set(key, group);
    return group;
  }

  bind(context: number, name: string): number {
    const group = this.groupOf(name);
    if (group.owner !== undefined && group.owner !== context) refuse('EPERM');
    group.owner = context;
    group.bound++;
    const id = this.newId(context);
    this.context(context).things.set(id, { kind: 'device', name });
    return id;
  }

  unbind(context: number, id: number): void {
    const { name } = this.device(context, id);
    const group = this.groupOf(name);
    if ([...group.attachments.values()].some(({ devices }) => devices.includes(id))) refuse('EBUSY');
    this.context(context).things.delete(id);
    if (--group.bound === 0) group.owner = undefined;
  }

  attach(context: number, id: number, pt: number, pasid = 0): number {
    return this.#change(context, id, pt, (hwpt) => this.#attachTo(context, id, hwpt, pasid), true);
  }

  replace(context: number, id: number, pt: number, pasid = 0): number {
    return this.#change(context, id, pt, (hwpt) => this.#replaceBy(context, id, hwpt, pasid), false);
  }

  #change(
    context: number,
    id: number,
    pt: number,
    change: (hwpt: number) => void,
    fillLast: boolean,
  ): number {
    const target = this.context(context).things.get(pt) ?? refuse('ENOENT');
    if (target.kind === 'hwpt') {
      change(pt);
      return pt;
    }
    if (target.kind !== 'ioas') refuse('EINVAL');
    for (const hwpt of target.hwpts) {
      if (!this.hwpt(context, hwpt).auto) continue;
      const before = structuredClone(this.state);
      try {
        change(hwpt);
        return hwpt;
      } catch (error) {
        if (!(error instanceof Refusal && error.code === 'EINVAL')) throw error;
        this.state = before;
      }
    }
    const made = this.#newHwpt(context, pt, id, { auto: true });
    if (fillLast) change(made);
    this.#fill(context, pt, made);
    if (!fillLast) change(made);
    return made;
  }

  #attachTo(context: number, id: number, hwptId: number, pasid: number): void {
    const { name } = this.device(context, id);
    const group = this.groupOf(name);
    const hwpt = this.hwpt(context, hwptId);
    const attachment = group.attachments.get(pasid);
    if (attachment?.devices.includes(id)) refuse('EBUSY');
    if (attachment !== undefined && attachment.hwpt !== hwptId) refuse('EINVAL');
    if (pasid === 0) this.#reserveFor(context, name, hwpt.ioas);
    if (attachment !== undefined) {
      attachment.devices.push(id);
      return;
    }
    this.#assertPasids(context, group, hwpt, pasid);
    if (driverOf(name) !== hwpt.driver) refuse('EINVAL');
    if (pasid >= Math.max(this.around.maxPasids(name), 1)) refuse('EINVAL');
    group.attachments.set(pasid, this.#attachment(hwptId, hwpt, id, name));
  }

  #attachment(hwptId: number, hwpt: Hwpt, id: number, name: string): Attachment {
    const asks = hwpt.fault === undefined ? undefined : name;
    return { serial: ++this.state.made, hwpt: hwptId, devices: [id], handle: id, asks };
  }

  #replaceBy(context: number, id: number, hwptId: number, pasid: number): void {
    const { name } = this.device(context, id);
    const group = this.groupOf(name);
    const hwpt = this.hwpt(context, hwptId);
    const attachment = group.attachments.get(pasid);
    if (attachment === undefined || !attachment.devices.includes(id)) refuse('EINVAL');
    if (attachment.hwpt === hwptId) return;
    const oldId = attachment.hwpt;
    const old = this.hwpt(context, oldId);
    const moves = pasid === 0 && old.ioas !== hwpt.ioas;
    const names = attachment.devices.map((each) => this.device(context, each).name);
    if (moves) for (const each of names) this.#reserveFor(context, each, hwpt.ioas);
    this.#assertPasids(context, group, hwpt, pasid);
    if (driverOf(name) !== hwpt.driver) refuse('EINVAL');
    if (moves) for (const each of names) this.unreserve(this.ioas(context, old.ioas), each);
    const { asks, serial } = attachment;
    group.attachments.set(pasid, {
      ...this.#attachment(hwptId, hwpt, id, name),
      devices: attachment.devices,
      // Page requests stay on for whom they were switched on.
      asks: hwpt.fault === undefined ? undefined : (asks ?? name),
    });
    this.answerAll(context, old, serial);
    this.#dropIfUnused(context, oldId);
  }

  #reserveFor(context: number, name: string, ioas: number): void {
    for (const region of this.around.regionsOf(name)) this.reserve(this.ioas(context, ioas), name, region);
  }

  /** Once a PASID is used, all tables of the group have to be made for it. */
  #assertPasids(context: number, group: Group, hwpt: Hwpt, pasid: number): void {
    const marked = [...group.attachments.keys()].some((each) => each !== 0);
    if (pasid === 0 && marked && !hwpt.pasid) refuse('EINVAL');
    if (pasid === 0) return;
    const plain = group.attachments.get(0);
    const others = plain === undefined ? [] : [this.hwpt(context, plain.hwpt)];
    if ([hwpt, ...others].some((each) => !each.pasid)) refuse('EINVAL');
  }

  detach(context: number, id: number, pasid = 0): void {
    const { name } = this.device(context, id);
    const group = this.groupOf(name);
    const attachment = group.attachments.get(pasid);
    if (attachment === undefined || !attachment.devices.includes(id)) refuse('EINVAL');
    attachment.devices = attachment.devices.filter((each) => each !== id);
    const hwpt = this.hwpt(context, attachment.hwpt);
    if (pasid === 0) this.unreserve(this.ioas(context, hwpt.ioas), name);
    if (attachment.devices.length > 0) return;
    group.attachments.delete(pasid);
    this.answerAll(context, hwpt, attachment.serial);
    this.#dropIfUnused(context, attachment.hwpt);
  }

  /** Automatic tables live as long as something is attached. */
  #dropIfUnused(context: number, id: number): void {
    if (this.hwpt(context, id).auto && !this.#hwptUsed(context, id)) this.#dropHwpt(context, id);
  }

  #hwptUsed(context: number, id: number): boolean {
    const attached = [...this.state.groups.values()].some(
      ({ owner, attachments }) =>
        owner === context && [...attachments.values()].some(({ hwpt }) => hwpt === id),
    );
    return (
      attached ||
      [...this.context(context).things.values()].some((thing) => thing.kind === 'hwpt' && thing.parent === id)
    );
  }

  #dropHwpt(context: number, id: number): void {
    const hwpt = this.hwpt(context, id);
    const ioas = this.ioas(context, hwpt.ioas);
    ioas.hwpts = ioas.hwpts.filter((each) => each !== id);
    this.unreserve(ioas, `hwpt ${id}`);
    this.context(context).things.delete(id);
  }

  #newHwpt(context: number, ioas: number, dev: number, extra: Partial<Hwpt>): number {
    const id = this.newId(context);
    const driver = driverOf(this.device(context, dev).name);
    this.context(context).things.set(id, {
      kind: 'hwpt',
      driver,
      ioas,
      parent: undefined,
      auto: false,
      nestParent: false,
      pasid: false,
      dirtyOps: false,
      tracking: false,
      dirty: new Set(),
      offset: 0n,
      fault: undefined,
      ...extra,
    });
    return id;
  }

  /** The table holds all that is mapped from now on. */
  #fill(context: number, id: number, hwpt: number): void {
    const ioas = this.ioas(context, id);
    const granule = this.granule(context, hwpt);
    if (granule > this.alignment(context, id)) this.checkAligned(ioas, granule);
    if (this.hwpt(context, hwpt).driver === 'selftest') {
      const { start, last } = SELFTEST_APERTURE;
      this.reserve(ioas, `hwpt ${hwpt}`, { start: 0n, last: start - 1n });
      this.reserve(ioas, `hwpt ${hwpt}`, { start: last + 1n, last: MAX });
    }
    for (const area of ioas.areas) this.pinRun(runOf(area));
    ioas.hwpts.push(hwpt);
  }

  hwptAlloc(context: number, call: HwptCall): number {
    const { flags, dev, pt, data } = call;
    if (call.reserved !== 0) refuse('EOPNOTSUPP');
    const { name } = this.device(context, dev);
    const target = this.context(context).things.get(pt);
    if (target?.kind === 'ioas') {
      if ((flags & ~(NEST_PARENT | DIRTY | PASID)) !== 0) refuse('EOPNOTSUPP');
      if ((flags & PASID) !== 0 && this.around.maxPasids(name) === 0) refuse('EOPNOTSUPP');
      if (data) refuse('EOPNOTSUPP');
      const id = this.#newHwpt(context, pt, dev, {
        nestParent: (flags & NEST_PARENT) !== 0,
        pasid: (flags & PASID) !== 0,
        dirtyOps: (flags & DIRTY) !== 0,
      });
      this.#fill(context, pt, id);
      return id;
    }
    if (target?.kind !== 'hwpt' || target.parent !== undefined) refuse('EINVAL');
    if ((flags & ~(FAULT_ID | PASID)) !== 0) refuse('EOPNOTSUPP');
    if (!data) refuse('EOPNOTSUPP');
    if (target.auto || !target.nestParent) refuse('EINVAL');
    if (target.driver !== driverOf(name)) refuse('EINVAL');
    const fault = (flags & FAULT_ID) === 0 ? undefined : call.faultId;
    if (fault !== undefined) this.fault(context, fault);
    const { offset } = call;
    const pasid = (flags & PASID) !== 0;
    return this.#newHwpt(context, target.ioas, dev, { parent: pt, fault, offset, pasid });
  }

  destroy(context: number, id: number): void {
    const thing = this.context(context).things.get(id) ?? refuse('ENOENT');
    if (thing.kind === 'device' || thing.kind === 'access') refuse('EBUSY');
    switch (thing.kind) {
      case 'ioas': {
        const users = [...this.context(context).things.values()].some(
          (other) =>
            (other.kind === 'hwpt' && other.parent === undefined && other.ioas === id) ||
            (other.kind === 'access' && other.ioas === id),
        );
        if (users) refuse('EBUSY');
        this.context(context).things.delete(id);
        if (this.context(context).vfioIoas === id) this.context(context).vfioIoas = undefined;
        return;
      }
      case 'hwpt':
        if (this.#hwptUsed(context, id)) refuse('EBUSY');
        this.#dropHwpt(context, id);
        return;
      case 'fault': {
        const things = [...this.context(context).things.values()];
        if (thing.open || things.some((other) => other.kind === 'hwpt' && other.fault === id))
          refuse('EBUSY');
        this.context(context).things.delete(id);
        return;
      }
      case 'selftest': {
        const { name } = this.device(context, thing.device);
        for (const [pasid, { devices }] of [...this.groupOf(name).attachments]) {
          if (devices.includes(thing.device)) this.detach(context, thing.device, pasid);
        }
        this.unbind(context, thing.device);
        this.context(context).things.delete(id);
        this.state.groups.delete(groupName(name));
      }
    }
  }

  mockDomain(context: number, pt: number): { stdev: number; hwpt: number; idev: number } {
    const stdev = this.newId(context);
    const { things } = this.context(context);
    const name = `selftest ${++this.state.made}`;
    things.set(stdev, { kind: 'selftest', device: 0 });
    const idev = this.bind(context, name);
    things.set(stdev, { kind: 'selftest', device: idev });
    return { stdev, idev, hwpt: this.attach(context, idev, pt) };
  }

  /** A device asks for a page. */
  pageFault(name: string, grpid: number): void {
    const { owner, attachments } = this.groupOf(name);
    const attachment = attachments.get(0);
    const fault = attachment === undefined ? undefined : this.hwpt(owner!, attachment.hwpt).fault;
    const allowed = [...attachments.values()].some(({ asks }) => asks === name);
    if (attachment === undefined || fault === undefined || !allowed) refuse('EINVAL');
    this.fault(owner!, fault).queued.push({
      attachment: attachment.serial,
      device: attachment.handle,
      grpid,
    });
  }
}

export function groupName(name: string): string {
  return name.startsWith('selftest') ? name : name[0]!;
}

export function driverOf(name: string): DriverName {
  return name.startsWith('selftest') ? 'selftest' : 'group';
}

/** The model: queues of page faults, and in-kernel users of address spaces. */

import { AddressSpaces, FILE_FD, pieces } from './address-spaces.ts';
import { MAX, PAGE, refuse } from './pages.ts';
import type { Access, Area, Device, Fault, Hwpt, Thing } from './state.ts';

export abstract class Users extends AddressSpaces {
  protected thing<K extends Thing['kind']>(
    context: number,
    id: number,
    kind: K,
  ): Extract<Thing, { kind: K }> {
    const thing = this.context(context).things.get(id);
    return thing?.kind === kind ? (thing as Extract<Thing, { kind: K }>) : refuse('ENOENT');
  }

  hwpt(context: number, id: number): Hwpt {
    return this.thing(context, id, 'hwpt');
  }

  device(context: number, id: number): Device {
    return this.thing(context, id, 'device');
  }

  access(context: number, id: number): Access {
    return this.thing(context, id, 'access');
  }

  fault(context: number, id: number): Fault {
    return this.thing(context, id, 'fault');
  }

  faultAlloc(context: number, flags: number): { id: number; fd: number } {
    if (flags !== 0) refuse('EOPNOTSUPP');
    const id = this.newId(context);
    let fd = FILE_FD + 1;
    while (this.state.fds.has(fd)) fd++;
    this.state.fds.add(fd);
    this.context(context).things.set(id, { kind: 'fault', fd, open: true, queued: [], read: new Map() });
    return { id, fd };
  }

  closeFault(context: number, id: number): void {
    const fault = this.fault(context, id);
    fault.open = false;
    this.state.fds.delete(fault.fd);
  }

  readFaults(context: number, id: number, room: number): { device: number; grpid: number; cookie: number }[] {
    const fault = this.fault(context, id);
    if (fault.queued.length > 0 && room === 0) refuse('EINVAL');
    return fault.queued.splice(0, room).map((each) => {
      let cookie = 1;
      while (fault.read.has(cookie)) cookie++;
      fault.read.set(cookie, each);
      return { device: each.device, grpid: each.grpid, cookie };
    });
  }

  respond(context: number, id: number, cookie: number, code: number): void {
    const fault = this.fault(context, id);
    if (code !== 0 && code !== 1) refuse('EINVAL');
    if (!fault.read.delete(cookie)) refuse('EINVAL');
  }

  protected answerAll(context: number, { fault: id }: Hwpt, attachment: number): void {
    if (id === undefined) return;
    const fault = this.fault(context, id);
    fault.queued = fault.queued.filter((each) => each.attachment !== attachment);
    for (const [cookie, each] of [...fault.read])
      if (each.attachment === attachment) fault.read.delete(cookie);
  }

  accessCreate(context: number, pinning: boolean, stubborn: boolean): number {
    const id = this.newId(context);
    this.context(context).things.set(id, { kind: 'access', ioas: undefined, pinning, stubborn, pins: [] });
    return id;
  }

  accessAttach(context: number, id: number, ioas: number): void {
    const access = this.access(context, id);
    if (access.ioas !== undefined) refuse('EINVAL');
    this.#moveAccess(context, access, ioas);
  }

  accessReplace(context: number, id: number, ioas: number): void {
    const access = this.access(context, id);
    if (access.ioas === undefined) refuse('ENOENT');
    this.#moveAccess(context, access, ioas);
  }

  #moveAccess(context: number, access: Access, id: number): void {
    const ioas = this.ioas(context, id);
    if (access.ioas === id) return;
    if (access.pinning && this.alignment(context, id) < PAGE) this.checkAligned(ioas, PAGE);
    access.pins = [];
    access.ioas = id;
  }

  accessDetach(context: number, id: number): void {
    const access = this.access(context, id);
    access.pins = [];
    access.ioas = undefined;
  }

  accessRelease(context: number, id: number): void {
    this.access(context, id);
    this.context(context).things.delete(id);
  }

  pin(context: number, id: number, iova: bigint, length: bigint, write: boolean): void {
    const access = this.access(context, id);
    if (!access.pinning) refuse('EINVAL');
    const last = this.#range(access, iova, length);
    const pages: Access['pins'][0]['pages'] = [];
    let next = iova;
    for (const { area, start, last: end } of pieces(this.ioas(context, access.ioas!), iova, last)) {
      if (area.prevented) refuse('EINVAL');
      if ((area.startByte + (start - area.iova)) % PAGE !== 0n) refuse('EINVAL');
      if (end !== last && (area.startByte + (end + 1n - area.iova)) % PAGE !== 0n) refuse('EINVAL');
      if (write ? !area.write : !area.read) refuse('EPERM');
      const run = {
        set: area.set,
        first: (area.startByte + (start - area.iova)) / PAGE,
        last: (area.startByte + (end - area.iova)) / PAGE,
      };
      this.pinRun(run);
      pages.push({ ...run, area: area.iova });
      next = end + 1n;
    }
    if (next <= last) refuse('ENOENT');
    access.pins.push({ iova, length, pages });
  }

  unpin(context: number, id: number, at: number): void {
    this.access(context, id).pins.splice(at, 1);
  }

  /**
   * Where each part of the bytes is in the process's memory; the call copies what comes before a refusal.
   *
   * @param slow through page frames
   */
  rw(
    context: number,
    id: number,
    iova: bigint,
    length: bigint,
    write: boolean,
    slow: boolean,
  ): { parts: { address: bigint; length: number }[]; code?: string } {
    const access = this.access(context, id);
    const last = this.#range(access, iova, length);
    const parts: { address: bigint; length: number }[] = [];
    let next = iova;
    for (const { area, start, last: end } of pieces(this.ioas(context, access.ioas!), iova, last)) {
      if (area.prevented) return { parts, code: 'EINVAL' };
      if (write ? !area.write : !area.read) return { parts, code: 'EPERM' };
      if (!this.#reachable(area, start, end, write, slow)) {
        return { parts, code: this.state.sets.get(area.set)!.file ? 'EINVAL' : 'EFAULT' };
      }
      parts.push({ address: this.addressOf(area, start), length: Number(end - start) + 1 });
      next = end + 1n;
    }
    return next <= last ? { parts, code: 'ENOENT' } : { parts };
  }

  #reachable(area: Area, start: bigint, last: bigint, write: boolean, slow: boolean): boolean {
    const set = this.state.sets.get(area.set)!;
    const first = (area.startByte + (start - area.iova)) / PAGE;
    const end = (area.startByte + (last - area.iova)) / PAGE;
    const pinned = this.pinnedPages().get(area.set);
    for (let page = first; page <= end; page++) {
      // What is pinned already is not asked for again.
      if (slow && first < end && pinned?.has(page)) continue;
      const memory = this.around.pageAt(this.pageOf(area.set, page));
      const toWrite = slow && first < end ? set.writable : write;
      if (memory === undefined || (toWrite && !memory.writable)) return false;
    }
    return true;
  }

  addressOf(area: Area, iova: bigint): bigint {
    return this.pageOf(area.set, 0n) + area.startByte + (iova - area.iova);
  }

  #range(access: Access, iova: bigint, length: bigint): bigint {
    if (length === 0n) refuse('EINVAL');
    if (iova + length - 1n > MAX) refuse('EOVERFLOW');
    if (access.ioas === undefined) refuse('ENOENT');
    return iova + length - 1n;
  }
}

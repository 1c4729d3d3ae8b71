/** The model and the machine side by side: every call goes to both, and afterwards everything is compared. */

import { expect } from 'vitest';
import { DmaFault } from '../../../src/iommu/dma.ts';
import { FrameRuns } from '../../../src/iommu/frame-runs.ts';
import { Access } from '../../../src/iommufd/access.ts';
import type { Arena } from '../../../src/iommufd/arena.ts';
import type { Context } from '../../../src/iommufd/context.ts';
import type { IommufdDevice } from '../../../src/iommufd/device.ts';
import type { HwptPaging } from '../../../src/iommufd/hwpt-paging.ts';
import type { Ioas } from '../../../src/iommufd/ioas.ts';
import { MemoryFile } from '../../../src/iommufd/memory-file.ts';
import { UnmapError } from '../../../src/iommufd/unmap-areas.ts';
import { KernelError } from '../../../src/kernel/errors.ts';
import { Machine, MSI_GB, PAGE, RESERVED_GA, RESERVED_HA, ULONG_MAX } from '../machine.ts';
import { FILE_FD } from './address-spaces.ts';
import type { Choices } from './choices.ts';
import { driverOf } from './devices.ts';
import { Model } from './model.ts';
import { meets } from './pages.ts';
import type { Thing } from './state.ts';

/** Pages the process may lock. */
export const LIMIT = 14;
/** The pages of the file are here for the model. */
const FILE_BASE = 0x6000_0000_0000n;
const FILE_PAGES = 6;
const LOW = 0x7f00_0000_0000n;
const KINDS: Record<Thing['kind'], readonly string[]> = {
  ioas: ['ioas'],
  hwpt: ['hwpt-paging', 'hwpt-nested'],
  device: ['device'],
  access: ['access'],
  fault: ['fault'],
  selftest: ['selftest'],
};

/** Memory whose pages can be pinned. */
type Mapped = Pick<Arena, 'name' | 'base' | 'last' | 'pages' | 'writable' | 'frameOf' | 'bytes'>;

export interface RealAccess {
  access: Access;
  stubborn: boolean;
  pins: { iova: bigint; length: bigint }[];
}

export class World {
  readonly machine: Machine;
  readonly model: Model;
  readonly contexts: Context[];
  /** By context and id. */
  readonly accesses = new Map<string, RealAccess>();
  readonly arenas: readonly Mapped[];
  /** A page the calls read lists from and write bitmaps to. */
  readonly scratch: bigint;
  readonly data: bigint;
  /** Of the next call: the number of the step that fails. */
  failing: number | undefined;
  /** What the arenas should hold, by page. */
  readonly #bytes = new Map<bigint, Uint8Array>();

  constructor() {
    this.machine = new Machine({
      process: { capabilities: ['CAP_SYS_RESOURCE', 'CAP_SYS_RAWIO'], memlockLimit: BigInt(LIMIT) * PAGE },
    });
    const { memory, base } = this.machine;
    this.arenas = [
      memory.mmap(6, { base: LOW, name: 'even' }),
      memory.mmap(5, { base: LOW + 6n * PAGE, name: 'scattered', frames: 'scattered' }),
      memory.mmap(2, { base: LOW + 11n * PAGE, name: 'read-only', writable: false }),
      memory.mmap(4, { base: LOW + 15n * PAGE, name: 'apart' }),
      memory.mmap(520, { base: 0x7f80_0000_0000n, name: 'huge', align: 512 }),
      this.#openFile(),
    ];
    this.scratch = memory.mmap(3, { base: 0x7fa0_0000_0000n }).base;
    this.data = this.scratch + 2n * PAGE;
    this.contexts = [this.machine.context, base.open()];
    this.model = new Model({
      pageAt: (address) => this.arenaAt(address),
      fileBase: FILE_BASE,
      limit: LIMIT,
      regionsOf: (name) => regionsOf(name),
      maxPasids: (name) => (driverOf(name) === 'group' ? 16 : 0),
    });
    for (const _ of this.contexts) {
      this.model.state.contexts.push({ things: new Map(), vfioIoas: undefined, mode: 'user' });
    }
  }

  /** The memory or the file that has the page at an address. */
  arenaAt(address: bigint): Mapped | undefined {
    return this.arenas.find(({ base, last }) => base <= address && address <= last);
  }

  #openFile(): Mapped {
    const { physical, base } = this.machine;
    const file = new MemoryFile(physical, { size: FILE_PAGES * 4096 });
    const fd = base.files.install(file);
    expect(fd).toBe(FILE_FD);
    // Contiguous, and so found by its first frame.
    const runs = new FrameRuns();
    file.pin(0, FILE_PAGES, true, runs);
    const first = runs.first(0);
    physical.unpin(first, FILE_PAGES);
    return {
      name: 'file',
      base: FILE_BASE,
      last: FILE_BASE + BigInt(FILE_PAGES) * PAGE - 1n,
      pages: FILE_PAGES,
      writable: true,
      frameOf: (page) => first + page,
      bytes: (address, length) => {
        const bytes = new Uint8Array(length);
        file.read(Number(address - FILE_BASE), bytes);
        return bytes;
      },
    };
  }

  bytesAt(address: bigint): { page: Uint8Array; at: number } {
    const start = address - (address % PAGE);
    const page = this.#bytes.get(start) ?? new Uint8Array(4096);
    this.#bytes.set(start, page);
    return { page, at: Number(address - start) };
  }

  /** The model's memory. */
  readModel(address: bigint, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, n) => {
      const { page, at } = this.bytesAt(address + BigInt(n));
      return page[at]!;
    });
  }

  writeModel(address: bigint, bytes: Uint8Array): void {
    bytes.forEach((byte, n) => {
      const { page, at } = this.bytesAt(address + BigInt(n));
      page[at] = byte;
    });
  }

  /** The same call on both: the same answer, or the same errno. */
  both<R>(real: () => R, model: () => R): R | undefined {
    const found = this.#afterFailing(real) ?? answerOf(real);
    const wanted = this.model.attempt(model);
    if ('code' in wanted) expect(found).toEqual({ code: wanted.code });
    else expect(found).toEqual(wanted);
    return 'result' in wanted ? wanted.result : undefined;
  }

  /**
   * The call with one of its steps failing, if one is to fail and it has so many: nothing has changed. Answers only
   * where that is no refusal: the call had fewer steps, was refused for another reason, or could do without the step.
   */
  #afterFailing<R>(real: () => R): { result: R } | { code: string } | undefined {
    const { failing, machine } = this;
    this.failing = undefined;
    if (failing === undefined) return undefined;
    machine.faults.failAt(failing, 'ENOSYS');
    const found = answerOf(real);
    machine.faults.disarm();
    if (!('code' in found && found.code === 'ENOSYS')) return found;
    this.compare();
    return undefined;
  }

  /** A call that may have done part of its work when it is refused; both answer what it did. */
  bothInPart<R extends { code?: string }>(real: () => R, model: () => R): void {
    let wanted: R | { code: string };
    const attempt = this.model.attempt(() => model());
    if ('result' in attempt) wanted = attempt.result;
    else wanted = attempt;
    let found: R | { code: string };
    try {
      found = real();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      found = { code: error.code, ...(error instanceof UnmapError && { unmapped: error.unmapped }) };
    }
    if (!('result' in attempt)) expect(found.code).toBe(attempt.code);
    else expect(found).toEqual(wanted);
  }

  device(context: number, id: number): IommufdDevice {
    return this.contexts[context]!.objects.peek<IommufdDevice>(id, 'device')!;
  }

  newAccess(context: number, pinning: boolean, stubborn: boolean): number {
    const pins: RealAccess['pins'] = [];
    const access = Access.create(this.contexts[context]!, {
      needsPinPages: pinning,
      unmap: (iova, length) => {
        if (stubborn && length !== ULONG_MAX) return;
        const asked = { start: iova, last: iova + length - 1n };
        for (const pin of [...pins]) {
          if (!meets({ start: pin.iova, last: pin.iova + pin.length - 1n }, asked)) continue;
          pins.splice(pins.indexOf(pin), 1);
          access.unpinPages(pin.iova, pin.length);
        }
      },
    });
    this.accesses.set(`${context} ${access.id}`, { access, stubborn, pins });
    return access.id;
  }

  /** DMA to both; the bytes, or the first address that fails and why. */
  dma(context: number, id: number, pasid: number, iova: bigint, bytes: Uint8Array, write: boolean): void {
    const { name } = this.model.device(context, id);
    let wanted: unknown;
    const read = new Uint8Array(bytes.length);
    const offset = this.#offsetOf(name, pasid);
    for (let done = 0; done < bytes.length && wanted === undefined; ) {
      const at = iova + BigInt(done);
      const rest = [at, at + offset].map((address) => 2048 - Number(address % 2048n));
      const length = Math.min(bytes.length - done, ...rest);
      const reached = at > ULONG_MAX ? 'not-mapped' : this.model.dma(name, pasid, at, write);
      if (typeof reached === 'string') {
        // Nothing behind it at all is found out before the first address is looked at.
        wanted = { iova: reached === 'blocked' ? iova : at, reason: reached };
      } else if (write) this.writeModel(reached, bytes.subarray(done, done + length));
      else read.set(this.readModel(reached, length), done);
      done += length;
    }
    const dma = this.device(context, id).dmaWithPasid(pasid);
    let found: unknown;
    try {
      if (write) dma.write(iova, bytes);
      else
        expect(dma.read(iova, bytes.length), 'bytes read by DMA').toEqual(
          wanted === undefined ? read : undefined,
        );
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      found = { iova: error.iova, reason: error.reason };
    }
    expect(found).toEqual(wanted);
  }

  #offsetOf(name: string, pasid: number): bigint {
    const { owner, attachments } = this.model.groupOf(name);
    const hwpt = attachments.get(pasid)?.hwpt;
    return hwpt === undefined ? 0n : this.model.hwpt(owner!, hwpt).offset;
  }

  /** Reading or writing by an access; bytes before a refusal are copied. */
  rw(context: number, id: number, iova: bigint, bytes: Uint8Array, write: boolean, slow: boolean): void {
    const length = BigInt(bytes.length);
    const wanted = this.model.attempt(() => this.model.rw(context, id, iova, length, write, slow));
    const { access } = this.accesses.get(`${context} ${id}`)!;
    const read = bytes.slice();
    const found = answerOf(() => access.rw(iova, read, (write ? 1 : 0) | (slow ? 4 : 0)));
    const code = 'code' in wanted ? wanted.code : wanted.result.code;
    expect('code' in found ? found.code : undefined).toBe(code);
    const expected = bytes.slice();
    let done = 0;
    for (const { address, length: count } of 'result' in wanted ? wanted.result.parts : []) {
      if (write) this.writeModel(address, bytes.subarray(done, done + count));
      else expected.set(this.readModel(address, count), done);
      done += count;
    }
    expect(read, 'bytes read by an access').toEqual(expected);
  }

  /** Objects, ranges, leaves, pins and charges are what the model says. */
  compare(): void {
    this.contexts.forEach((context, at) => {
      const { things } = this.model.context(at);
      const ids = [...context.objects].map(({ id, type }) => `${id} ${type}`);
      expect(ids).toEqual(
        [...things].sort(([a], [b]) => a - b).map(([id, thing]) => `${id} ${typeOf(thing)}`),
      );
      for (const [id, thing] of things) {
        if (thing.kind === 'ioas') this.#compareIoas(context, at, id);
        if (thing.kind === 'hwpt' && thing.parent === undefined) this.#compareTable(context, at, id);
        if (thing.kind === 'access') {
          const real = this.accesses.get(`${at} ${id}`)!;
          expect(real.access.ioas?.id).toBe(thing.ioas);
          expect(real.pins).toEqual(thing.pins.map(({ iova, length }) => ({ iova, length })));
        }
        if (thing.kind === 'device') this.#compareDevice(at, id);
      }
    });
    this.#comparePins();
  }

  #compareIoas(context: Context, at: number, id: number): void {
    const { iovas } = context.objects.peek<Ioas>(id, 'ioas')!;
    const ioas = this.model.ioas(at, id);
    const areas = [...iovas.areas].map(({ value: { iova, last, prot } }) => ({ iova, last, prot: prot & 3 }));
    expect(areas).toEqual(
      ioas.areas.map(({ iova, last, read, write }) => ({
        iova,
        last,
        prot: (read ? 1 : 0) | (write ? 2 : 0),
      })),
    );
    expect(iovas.iovaAlignment).toBe(this.model.alignment(at, id));
    expect(iovas.usableRanges()).toEqual(this.model.usable(at, id));
  }

  #compareTable(context: Context, at: number, id: number): void {
    const { domain } = context.objects.peek<HwptPaging>(id, 'hwpt-paging')!;
    const table = domain.pageTable!;
    const areas = this.model.mappedBy(at, id);
    let mapped = 0n;
    for (const { iova, paddr, size, prot } of table.leaves(0n, ULONG_MAX)) {
      mapped += size;
      for (let done = 0n; done < size; done += 2048n) {
        const page = iova + done;
        const area = areas.find((each) => each.iova <= page && page <= each.last);
        const wanted = area && {
          paddr: this.#physical(this.model.addressOf(area, page)),
          prot: (area.read ? 1 : 0) | (area.write ? 2 : 0),
        };
        const found = { paddr: paddr + done, prot: prot & 3 };
        if (wanted?.paddr === found.paddr && wanted.prot === found.prot) continue;
        expect(found, `what is mapped at 0x${page.toString(16)}`).toEqual(wanted);
      }
    }
    expect(mapped).toBe(areas.reduce((sum, { iova, last }) => sum + (last - iova + 1n), 0n));
    for (const { iova, last } of areas) {
      for (const address of [iova, iova + 1n, last]) {
        const area = areas.find((each) => each.iova === iova)!;
        expect(table.translate(address)).toBe(this.#physical(this.model.addressOf(area, address)));
      }
    }
  }

  #physical(address: bigint): bigint {
    const arena = this.arenaAt(address)!;
    const index = Number((address - arena.base) / PAGE);
    return BigInt(arena.frameOf(index)) * PAGE + (address % PAGE);
  }

  #compareDevice(at: number, id: number): void {
    const { name } = this.model.device(at, id);
    const { attachments } = this.model.groupOf(name);
    const { group } = this.device(at, id);
    const found = [...group.attachments].map(([pasid, { hwpt, devices }]) => {
      return { pasid, hwpt: hwpt.id, devices: [...devices].map((device) => device.id) };
    });
    const wanted = [...attachments].map(([pasid, { hwpt, devices }]) => ({ pasid, hwpt, devices }));
    expect(sorted(found)).toEqual(sorted(wanted));
    const attached = group.attachments.get(0)?.hwpt.domain;
    if (attached !== undefined) expect(group.group.domain).toBe(attached);
  }

  #comparePins(): void {
    const wanted = new Map<number, number>();
    for (const [set, pages] of this.model.pinnedPages()) {
      for (const page of pages) {
        const frame = Number(this.#physical(this.model.pageOf(set, page)) / PAGE);
        wanted.set(frame, (wanted.get(frame) ?? 0) + 1);
      }
    }
    const { physical, base } = this.machine;
    for (const arena of this.arenas) {
      for (let page = 0; page < arena.pages; page++) {
        const frame = arena.frameOf(page);
        const pins = physical.pins(frame);
        if (pins !== (wanted.get(frame) ?? 0))
          expect(pins, `pins of page ${page} of ${arena.name}`).toBe(wanted.get(frame) ?? 0);
      }
    }
    const { process } = base;
    expect([process.user.lockedPages, process.lockedPages]).toEqual([
      this.model.locked('user'),
      this.model.locked('process'),
    ]);
    expect(process.pinnedPages).toBe(this.model.locked('user') + this.model.locked('process'));
  }

  /** The memory is what DMA and accesses should have made of it. */
  compareBytes(): void {
    for (const [address, bytes] of this.#bytes) {
      const found = this.arenaAt(address)!.bytes(address, 4096);
      expect(Buffer.from(found).equals(bytes), `bytes of page 0x${address.toString(16)}`).toBe(true);
    }
  }

  /** Everything goes, in an order of the property test's choice; nothing is left. */
  end(choices: Choices): void {
    const { files } = this.machine.base;
    const left: (() => void)[] = [];
    for (const { access } of this.accesses.values()) left.push(() => access.release());
    this.model.state.contexts.forEach(({ things }, at) => {
      for (const [id, thing] of things) {
        if (thing.kind === 'fault' && thing.open) left.push(() => files.close(thing.fd));
        if (thing.kind !== 'device' || driverOf(thing.name) === 'selftest') continue;
        const bound = this.device(at, id);
        left.push(() => {
          for (const [pasid, { devices }] of [...bound.group.attachments]) {
            if (devices.has(bound)) pasid === 0 ? bound.detach() : bound.pasidDetach(pasid);
          }
          bound.unbind();
        });
      }
    });
    for (const context of this.contexts) left.push(() => context.close());
    while (left.length > 0) left.splice(choices.next(left.length), 1)[0]!();
    this.machine.end();
  }
}

function regionsOf(name: string) {
  const regions = { Ga: RESERVED_GA, Gb: MSI_GB, Ha: RESERVED_HA }[name];
  return regions === undefined ? [] : [{ start: regions.start, last: regions.last }];
}

function typeOf(thing: Thing): string {
  if (thing.kind === 'hwpt') return thing.parent === undefined ? 'hwpt-paging' : 'hwpt-nested';
  return KINDS[thing.kind][0]!;
}

function sorted(attachments: { pasid: number; hwpt: number; devices: number[] }[]) {
  return attachments.sort((a, b) => a.pasid - b.pasid);
}

function answerOf<R>(call: () => R): { result: R } | { code: string } {
  try {
    return { result: call() };
  } catch (error) {
    if (error instanceof KernelError) return { code: error.code };
    throw error;
  }
}

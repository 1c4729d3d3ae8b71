/** Where a mapping may go: the check of a fixed address, and the search for a free one. */

import { KernelError } from '../kernel/errors.ts';
import type { AllowedIovas } from './allowed-iovas.ts';
import type { Area } from './area.ts';
import type { AreaMap } from './area-map.ts';
import {
  firstEndingAtOrAfter,
  holesBetween,
  type IovaRange,
  isAligned,
  lastOf,
  rangeWords,
} from './iova-range.ts';
import { HUGE_PAGE_BYTES, PAGE_BYTES, ULONG_MAX } from './limits.ts';
import type { ReservedIovas } from './reserved-iovas.ts';

/** What of an address space decides on places. */
export interface PlacementRules {
  readonly name: string;
  readonly iovaAlignment: bigint;
  readonly allowed: AllowedIovas;
  readonly reserved: ReservedIovas;
  readonly areas: AreaMap<Area>;
  readonly transparentHugePages: boolean;
}

/** Automatic placement keeps a page away from both ends, so that 0 is never the answer. */
const SEARCHED: IovaRange = { start: PAGE_BYTES, last: ULONG_MAX - PAGE_BYTES };

/**
 * `iopt_check_iova`: whether `length` bytes can be mapped at this very address.
 *
 * @throws KernelError EINVAL `iova` is not aligned, or meets a reserved range; EOVERFLOW the range ends past 2^64-1;
 *   EEXIST something is mapped there
 */
export function checkIova(rules: PlacementRules, iova: bigint, length: bigint): void {
  const { name, iovaAlignment, reserved, areas } = rules;
  if (!isAligned(iova, iovaAlignment)) {
    throw new KernelError(
      'EINVAL',
      name,
      `I/O address 0x${iova.toString(16)} is not a multiple of ${iovaAlignment} bytes`,
    );
  }
  const last = lastOf(name, iova, length);
  const taken = reserved.meeting(iova, last);
  if (taken !== undefined) {
    throw new KernelError(
      'EINVAL',
      name,
      `${rangeWords(iova, last)} meets the reserved range ${rangeWords(taken.start, taken.last)}`,
      'IOMMU_IOAS_IOVA_RANGES lists what can be used',
    );
  }
  const area = areas.firstIn(iova, last);
  if (area !== undefined) {
    throw new KernelError(
      'EEXIST',
      name,
      `${rangeWords(iova, last)} meets what is mapped at ${rangeWords(area.iova, area.last)}`,
      'unmap it first',
    );
  }
}

/**
 * `iopt_alloc_iova`: the lowest free place for `length` bytes inside the allowed ranges, aligned so that huge pages
 * of the memory can stay huge. Never 0.
 *
 * @param userAddress where the memory begins for its process, or in its file
 * @throws KernelError EOVERFLOW no length, or half of the address space and more; EINVAL the memory is aligned less
 *   than the address space wants; ENOSPC no place is left
 */
export function allocIova(rules: PlacementRules, userAddress: bigint, length: bigint): bigint {
  const { name, iovaAlignment } = rules;
  if (length === 0n || length >= ULONG_MAX / 2n) {
    throw new KernelError(
      'EOVERFLOW',
      name,
      `no address is looked for where ${length} bytes are to be mapped`,
    );
  }
  const alignment = placementAlignment(userAddress, length, rules.transparentHugePages);
  if (alignment < iovaAlignment) {
    throw new KernelError(
      'EINVAL',
      name,
      `memory at 0x${userAddress.toString(16)} can only be placed on multiples of ${alignment} bytes, ` +
        `${iovaAlignment} are needed`,
    );
  }
  const place = fitting(length, alignment, userAddress & (PAGE_BYTES - 1n));
  for (const allowed of searchedRanges(rules.allowed)) {
    const start = place(allowed.start, allowed.last);
    if (start === undefined) continue;
    for (const hole of holesBetween(rules.reserved.spans, start, allowed.last)) {
      const found = rules.areas.lowestHole(hole.start, hole.last, length, place);
      if (found !== undefined) return found;
    }
  }
  throw new KernelError('ENOSPC', name, `has no room for ${length} bytes`, roomRemedy(rules));
}

/** By the length and by how the memory lies, but no more than the processor's tables can make use of. */
function placementAlignment(userAddress: bigint, length: bigint, transparentHugePages: boolean): bigint {
  let alignment = transparentHugePages ? HUGE_PAGE_BYTES : PAGE_BYTES;
  const ofAddress = userAddress & -userAddress;
  if (userAddress !== 0n && ofAddress < alignment) alignment = ofAddress;
  // Roundup to a power of two, as far as it is below what was found so far.
  while (alignment > 1n && alignment >> 1n >= length) alignment >>= 1n;
  return alignment;
}

/**
 * `__alloc_iova_check_range`: the first good address in a hole. The offset in the page is or-ed in, as the kernel
 * does: after an odd neighbour the result may lie elsewhere in its page than the memory does.
 */
function fitting(length: bigint, alignment: bigint, pageOffset: bigint) {
  const mask = alignment - 1n;
  return (start: bigint, last: bigint): bigint | undefined => {
    if (start + mask > ULONG_MAX) return undefined;
    const aligned = ((start + mask) & ~mask) | pageOffset;
    // A single byte at the end of a hole is never used: this test wants an address above the first.
    return aligned >= last || last - aligned < length - 1n ? undefined : aligned;
  };
}

function* searchedRanges(allowed: AllowedIovas): Generator<IovaRange> {
  if (allowed.size === 0) {
    yield SEARCHED;
    return;
  }
  const { spans } = allowed;
  for (let at = firstEndingAtOrAfter(spans, SEARCHED.start); at < spans.length; at++) {
    const { start, last } = spans[at]!;
    if (start > SEARCHED.last) return;
    yield {
      start: start < SEARCHED.start ? SEARCHED.start : start,
      last: last > SEARCHED.last ? SEARCHED.last : last,
    };
  }
}

function roomRemedy(rules: PlacementRules): string {
  return rules.allowed.size === 0 ? 'unmap something' : 'unmap something, or allow more ranges';
}

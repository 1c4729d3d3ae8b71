import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameRuns } from '../iommu/frame-runs.ts';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { PinnedPages } from './pinned-pages.ts';
import { SparseBytes } from './sparse-bytes.ts';

const PAGES = 24;

/** One page of the model: its frame and how many users it has. */
interface Page {
  frame: number;
  users: number;
}

describe('PinnedPages', () => {
  it('keeps contiguous memory as one stretch, before and after part of it had another user', () => {
    const physical = new PhysicalMemory();
    const { first } = physical.reserve(1000, new SparseBytes());
    const pinned = new PinnedPages();
    const runs = new FrameRuns();
    runs.push(first, 1000);
    physical.pin(first, 1000);
    pinned.insert(0, runs);
    pinned.use(0, 999);
    pinned.use(10, 19);
    expect(pinned.length).toBe(3);
    expect(pinned.unuse(10, 19, physical)).toBe(0);
    expect([...pinned.stretches()]).toEqual([{ first: 0, pages: 1000, frame: first, users: 1 }]);
    expect(pinned.unuse(0, 999, physical)).toBe(1000);
    expect(pinned.length).toBe(0);
    expect(physical.pinned).toBe(0);
  });

  it('agrees with one counter a page under random use', () => {
    const range = fc
      .tuple(fc.integer({ min: 0, max: PAGES - 1 }), fc.integer({ min: 0, max: PAGES - 1 }))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    const op = fc.record({ range, kind: fc.constantFrom('use', 'unuse', 'try'), layout: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const physical = new PhysicalMemory();
        const frames = physical.reserve(4 * PAGES, new SparseBytes());
        const pinned = new PinnedPages();
        const model = new Map<number, Page>();
        for (const {
          range: [first, last],
          kind,
          layout,
        } of ops) {
          const pages = Array.from({ length: last - first + 1 }, (_, n) => first + n);
          if (kind === 'unuse') {
            if (pages.some((page) => !model.has(page))) continue;
            let dropped = 0;
            for (const page of pages) {
              const entry = model.get(page)!;
              if (--entry.users > 0) continue;
              model.delete(page);
              dropped++;
            }
            expect(pinned.unuse(first, last, physical)).toBe(dropped);
          } else {
            const holes = pinned.holes(first, last);
            expect(holes.flatMap((start, at) => (at % 2 ? [] : spread(start, holes[at + 1]!)))).toEqual(
              pages.filter((page) => !model.has(page)),
            );
            const fresh: number[] = [];
            for (let at = 0; at < holes.length; at += 2) {
              const runs = new FrameRuns();
              for (const page of spread(holes[at]!, holes[at + 1]!)) {
                const frame = frames.first + (layout === 0 ? page : layout * PAGES + ((page * 5) % PAGES));
                physical.pin(frame, 1);
                runs.push(frame, 1);
                model.set(page, { frame, users: 0 });
                fresh.push(page);
              }
              pinned.insert(holes[at]!, runs);
            }
            const collected = new FrameRuns();
            pinned.collect(first, last, collected);
            expect([...collected.frames()]).toEqual(pages.map((page) => model.get(page)!.frame));
            if (kind === 'use') {
              pinned.use(first, last);
              for (const page of pages) model.get(page)!.users++;
            } else {
              pinned.sweep(first, last, physical);
              for (const page of fresh) model.delete(page);
            }
          }
          const listed = [...pinned.stretches()].flatMap((stretch) =>
            spread(stretch.first, stretch.first + stretch.pages - 1).map((page) => ({
              page,
              frame: stretch.frame + page - stretch.first,
              users: stretch.users,
            })),
          );
          expect(listed).toEqual(
            [...model].sort(([a], [b]) => a - b).map(([page, entry]) => ({ page, ...entry })),
          );
          expect(pinned.pages).toBe(model.size);
          expect(physical.pinned).toBe(model.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function spread(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

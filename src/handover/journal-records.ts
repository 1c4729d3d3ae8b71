/**
 * What stands in a journal: a line of JSON for what is about to happen, before it does.
 *
 * Lines that are cut short or are no record are counted and passed over. Each write carries what its device held
 * before, so that even without the first line it is known where everything has to go back to.
 */

import { z } from 'zod';
import { planSchema } from '../advise/plan-schema.ts';
import type { Held } from '../advise/plan-steps.ts';
import type { HandoverLine, PlanReport } from '../advise/report.ts';
import { type Memory, memorySchema } from './memory.ts';
import type { Identity } from './tree.ts';

export const JOURNAL_VERSION = 1;

/** Where a device has to go back to. */
export interface Origin extends Held {
  identity?: Identity;
}

export type JournalRecord =
  | {
      record: 'begin';
      version: typeof JOURNAL_VERSION;
      time: string;
      tree: string;
      plan: PlanReport;
      overridden: string[];
      before: Record<string, Origin>;
      memory?: Memory;
    }
  | {
      record: 'write';
      for: 'apply' | 'undo';
      tree: string;
      device: string;
      path: string;
      value: string;
      before: Held;
    }
  | { record: 'undo'; why: string; time: string }
  | { record: 'end'; state: 'applied' | 'undone' | 'forgotten'; time: string };

const text = z.string().max(65536);
const device = z.string().regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/);
/** Whatever a link in a tree was called: what has been written must be readable again. */
const driver = z.string().regex(/^[^/\0]{1,255}$/);
const held = z.strictObject({ driver: driver.nullable(), override: text.nullable().optional() });
const origin = held.extend({
  identity: z
    .strictObject({
      path: text.optional(),
      vendor: text.optional(),
      device: text.optional(),
      subsystemVendor: text.optional(),
      subsystemDevice: text.optional(),
    })
    .optional(),
});

const recordSchema = z.discriminatedUnion('record', [
  z.strictObject({
    record: z.literal('begin'),
    version: z.literal(JOURNAL_VERSION),
    time: text,
    tree: text,
    plan: planSchema,
    overridden: z.array(text),
    before: z.record(device, origin),
    memory: memorySchema.optional(),
  }),
  z.strictObject({
    record: z.literal('write'),
    for: z.enum(['apply', 'undo']),
    tree: text,
    device,
    path: text,
    value: text,
    before: held,
  }),
  z.strictObject({ record: z.literal('undo'), why: text, time: text }),
  z.strictObject({ record: z.literal('end'), state: z.enum(['applied', 'undone', 'forgotten']), time: text }),
]);

/** A journal as it was found. */
export interface Recorded {
  id: number;
  state: HandoverLine['state'];
  time?: string;
  tree?: string;
  plan?: PlanReport;
  /** In the order their first write came, or comes by the plan. */
  before: Map<string, Origin>;
  memory?: Memory;
  /** Lines that are no record, but for a last one that was cut short. */
  damaged: number;
}

export function recordLine(record: JournalRecord): string {
  return `${JSON.stringify(record)}\n`;
}

export function readRecords(id: number, content: string): Recorded {
  const found: Recorded = { id, state: 'empty', before: new Map(), damaged: 0 };
  // A last line without an end is one whose writing was cut short: what it announced was not done.
  for (const line of content.split('\n').slice(0, -1)) {
    if (line === '') continue;
    const record = parseRecord(line);
    if (record === undefined) found.damaged++;
    else take(found, record);
  }
  if (found.state === 'empty' && found.damaged > 0) found.state = 'unreadable';
  return found;
}

function take(found: Recorded, record: JournalRecord): void {
  switch (record.record) {
    case 'begin':
      found.time = record.time;
      found.tree = record.tree;
      found.plan = record.plan;
      found.state = 'unfinished';
      found.before = new Map(Object.entries(record.before));
      if (record.memory !== undefined) found.memory = record.memory;
      break;
    case 'write':
      found.tree ??= record.tree;
      if (found.state === 'empty') found.state = record.for === 'undo' ? 'undo unfinished' : 'unfinished';
      // Only without the first line: what it was before its first write is where it has to go back to.
      if (found.plan === undefined && !found.before.has(record.device) && record.for === 'apply') {
        found.before.set(record.device, record.before);
      }
      break;
    case 'undo':
      found.state = 'undo unfinished';
      break;
    case 'end':
      found.time ??= record.time;
      found.state = record.state;
  }
}

function parseRecord(line: string): JournalRecord | undefined {
  try {
    const checked = recordSchema.safeParse(JSON.parse(line));
    return checked.success ? (checked.data as JournalRecord) : undefined;
  } catch {
    return undefined;
  }
}

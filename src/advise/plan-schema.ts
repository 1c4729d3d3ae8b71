/** The format of plan files, version 1. `schema/plan.json` is made from this; `report.ts` has the same as types. */

import { z } from 'zod';
import { REPORT_VERSION } from './report.ts';

/** A group of a real machine has tens of members; the bound keeps a file from filling memory. */
const MOST = 4096;

const text = z.string().max(4096);
const address = z
  .string()
  .regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/)
  .describe('Full PCI address, lower case: 0000:01:00.0');
const id = z.string().regex(/^[0-9a-f]{4}$/);
const driver = z.string().max(128);
const holder = driver.nullable().optional().describe('null: none; absent: not known');

const refusal = z.strictObject({
  code: text,
  severity: z.enum(['refusal', 'unknown']),
  device: text.optional(),
  what: text,
  remedy: text.optional(),
});

export const planSchema = z
  .strictObject({
    report: z.literal('plan'),
    version: z.literal(REPORT_VERSION),
    host: z.looseObject({
      board: text.optional(),
      arch: text.optional(),
      kernel: text.optional(),
      cmdline: z.string().max(65536).optional(),
      iommus: z.array(text).max(MOST).optional(),
    }),
    driver: driver.describe('Driver that gets the devices'),
    devices: z
      .array(
        z.strictObject({
          address,
          role: z.enum(['named', 'sibling']),
          path: text.optional(),
          vendor: id.optional(),
          device: id.optional(),
          subsystemVendor: id.optional(),
          subsystemDevice: id.optional(),
          before: z.strictObject({ driver: holder, override: holder }),
        }),
      )
      .max(MOST),
    source: z.enum(['kernel', 'predicted']),
    groups: z
      .array(
        z.strictObject({
          id: z
            .int()
            .min(0)
            .max(2 ** 31 - 1),
          members: z.array(z.strictObject({ device: text, driver: holder })).max(MOST),
        }),
      )
      .max(MOST),
    commands: z.array(z.strictObject({ run: text, why: text })).max(MOST),
    steps: z
      .array(
        z.strictObject({
          device: address,
          path: text.describe('Absolute, below /sys'),
          value: z.string().max(128).describe('Exactly as written; a lone newline lifts an override'),
          before: driver.nullable(),
          why: text,
        }),
      )
      .max(4 * MOST),
    left: z.array(z.strictObject({ device: text, driver: holder, why: text })).max(MOST),
    questions: z.array(z.strictObject({ device: text, driver: holder, text, answer: z.boolean() })).max(MOST),
    refusals: z.array(refusal).max(MOST),
    unknown: z.array(text).max(MOST),
    notes: z.array(text).max(MOST),
  })
  .meta({
    title: 'Ringfence plan',
    description:
      'The writes of a hand-over, in order, and the state they start from; made by `ringfence plan --json`, taken by `ringfence apply`.',
  });

/** The published JSON Schema, as text of `schema/plan.json`. */
export function planSchemaText(): string {
  return `${JSON.stringify(z.toJSONSchema(planSchema, { io: 'input' }), null, 2)}\n`;
}

/**
 * The format of policy files, version 1. `schema/policy.json` is made from this. Loaded only when a policy file is
 * read, so that nobody else waits for zod.
 */

import { z } from 'zod';
import { FINDING_CODES, FINDINGS, isFixed } from './policy.ts';

export const POLICY_VERSION = 1;

const RESET_METHODS = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus'] as const;

const level = z.enum(['refusal', 'warning', 'note', 'ignored']);

const findings = z.strictObject(
  Object.fromEntries(
    FINDING_CODES.filter((code) => !isFixed(code)).map((code) => [
      code,
      level.optional().describe(`${FINDINGS[code].about}; default: ${FINDINGS[code].level}`),
    ]),
  ),
);

export const policySchema = z
  .strictObject({
    $schema: z.string().optional(),
    ringfence: z.literal('policy'),
    version: z.literal(POLICY_VERSION),
    findings: findings
      .optional()
      .describe('What each finding counts as; what is not named keeps its default'),
    unknown: z
      .enum(['cannot tell', 'refusal', 'note'])
      .optional()
      .describe('What a fact counts as that could not be read and would matter; default: cannot tell'),
    resetMethods: z
      .array(z.enum(RESET_METHODS))
      .optional()
      .describe('A device must offer at least one of these; default: none is asked for'),
  })
  .meta({
    title: 'Ringfence policy',
    description: 'What is acceptable when `ringfence check` is asked whether a device can be handed over.',
  });

/** The published JSON Schema, as text of `schema/policy.json`. */
export function policySchemaText(): string {
  return `${JSON.stringify(z.toJSONSchema(policySchema, { io: 'input' }), null, 2)}\n`;
}

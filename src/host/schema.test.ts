import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { jsonSchemaText } from './schema.ts';

const PUBLISHED = new URL('../../schema/snapshot.json', import.meta.url);

test('the published JSON Schema is the one made from schema.ts (RINGFENCE_WRITE_SCHEMA=1 writes it)', () => {
  if (process.env.RINGFENCE_WRITE_SCHEMA === '1') writeFileSync(PUBLISHED, jsonSchemaText());
  expect(readFileSync(PUBLISHED, 'utf8')).toBe(jsonSchemaText());
});

import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { DEFAULT_CHECK_POLICY, FINDING_CODES, FINDINGS, isFixed } from './policy.ts';
import { parseCommentedJson, readPolicy } from './policy-file.ts';
import { policySchemaText } from './policy-schema.ts';

const file = (path: string): URL => new URL(`../../${path}`, import.meta.url);
const PUBLISHED = file('schema/policy.json');
const read = (text: string) => readPolicy(Buffer.from(text), 'lab.json');
const HEAD = '"ringfence": "policy", "version": 1';

async function problem(text: string): Promise<string> {
  try {
    await read(text);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

test('the published JSON Schema is the one made from policy-schema.ts (RINGFENCE_WRITE_SCHEMA=1 writes it)', () => {
  if (process.env.RINGFENCE_WRITE_SCHEMA === '1') writeFileSync(PUBLISHED, policySchemaText());
  expect(readFileSync(PUBLISHED, 'utf8')).toBe(policySchemaText());
});

describe('docs/policy.md', () => {
  const text = readFileSync(file('docs/policy.md'), 'utf8');

  test('its example is a policy, and says what the defaults are', async () => {
    const example = /```jsonc\n([\s\S]*?)```/.exec(text)![1]!;
    const policy = await read(example);
    expect(policy.unknown).toBe(DEFAULT_CHECK_POLICY.unknown);
    for (const code of FINDING_CODES) {
      if (!isFixed(code)) expect([code, policy.findings[code]]).toEqual([code, FINDINGS[code].level]);
    }
  });

  test('its other examples are policies', async () => {
    const examples = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, example]) => example!);
    expect(examples.length).toBeGreaterThan(1);
    for (const example of examples) await read(example);
  });

  test('names every finding', () => {
    const named = (code: string): boolean => text.includes(`\`${code}\``) || text.includes(`"${code}"`);
    expect(FINDING_CODES.filter((code) => !named(code))).toEqual([]);
  });
});

describe('a policy', () => {
  test('comments, commas after the last entry, and a byte order mark are welcome', async () => {
    const policy = await read(`\ufeff// ours
      { ${HEAD}, /* who "says" so: { */
        "findings": { "boot-vga": "note", // one card, no // choice
        },
        "resetMethods": ["flr", "bus",], "unknown": "refusal", }`);
    expect(policy).toEqual({
      name: 'lab.json',
      findings: { 'boot-vga': 'note' },
      unknown: 'refusal',
      resetMethods: ['flr', 'bus'],
    });
  });

  test('slashes and commas in text are text', () => {
    expect(parseCommentedJson('["//", "/* ", ",]", "\\"// "]', 'f')).toEqual(['//', '/* ', ',]', '"// ']);
  });
});

describe('what is wrong is said in one line, with file and field', () => {
  test.each([
    ['[]', 'lab.json: is no JSON object'],
    ['null', 'lab.json: is no JSON object'],
    ['{}', 'lab.json: ringfence: must be "policy"; this is no policy file'],
    ['{"ringfence": "policy"}', 'lab.json: version: '],
    ['{"ringfence": "policy", "version": 2}', 'lab.json: version: 2 is newer than this program knows'],
    [`{${HEAD}, "findings": {"boot-vgaa": "note"}}`, 'lab.json: findings: there is no finding "boot-vgaa"'],
    [`{${HEAD}, "findings": {"__proto__": "note"}}`, 'lab.json: findings: there is no finding "__proto__"'],
    [`{${HEAD}, "findings": {"no-iommu": "note"}}`, 'lab.json: findings.no-iommu: is what the kernel does'],
    [`{${HEAD}, "findings": {"boot-vga": "maybe"}}`, 'lab.json: findings.boot-vga: '],
    [`{${HEAD}, "findings": []}`, 'lab.json: findings: '],
    [`{${HEAD}, "resetMethods": ["flr", "kick"]}`, 'lab.json: resetMethods[1]: '],
    [`{${HEAD}, "more": 1}`, 'lab.json: policy: '],
    [`{${HEAD},\n\n "findings": {"a" 1}}`, 'lab.json:3: broken JSON: '],
    [`{${HEAD},\n /* open`, 'lab.json:2: a comment begins and does not end'],
    ['{"ringfence": "pol', 'lab.json'],
    ['[,]', 'lab.json'],
    ['{"a":1,,}', 'lab.json'],
    ['', 'lab.json'],
  ])('%s', async (text, start) => {
    const message = await problem(text);
    expect(message.slice(0, start.length)).toBe(start);
    expect(message).not.toContain('\n');
  });

  test.each([
    [
      `{${HEAD}, "findings": {"boot-vga": "note",\n "boot-vga": "refusal"}}`,
      'lab.json:2: "boot-vga" is there twice',
    ],
    [`{${HEAD}, "version": 1}`, 'lab.json:1: "version" is there twice'],
    [
      `{${HEAD}, "findings": {"interrupts": "note", "\\u0069nterrupts": "note"}}`,
      'lab.json:1: "interrupts" is there twice',
    ],
    ['{"ringfence": "policy"}', 'lab.json: version: is missing; it must be 1'],
    ['{"ringfence": "policy", "version": "1"}', 'lab.json: version: must be 1, not "1"'],
    [
      `{${HEAD}, "unknown": "yes"}`,
      'lab.json: unknown: must be "cannot tell", "refusal" or "note", not "yes"',
    ],
    [
      `{${HEAD}, "findings": {"boot-vga": "maybe"}}`,
      'lab.json: findings.boot-vga: must be "refusal", "warning", "note" or "ignored", not "maybe"',
    ],
    [`{${HEAD}, "findings": []}`, 'lab.json: findings: must be an object, not a list'],
    [`{${HEAD}, "findings": null}`, 'lab.json: findings: must be an object, not null'],
    [`{${HEAD}, "resetMethods": "flr"}`, 'lab.json: resetMethods: must be a list, not "flr"'],
    [
      `{${HEAD}, "more": 1}`,
      'lab.json: policy: there is no field "more"; there are findings, unknown and resetMethods',
    ],
  ])('%s', async (text, message) => {
    expect(await problem(text)).toBe(message);
  });

  test('the same name in two objects is no name twice', () => {
    expect(parseCommentedJson('[{"a": {"a": [1, "a"]}, "b": "a"}, {"a": 1}]', 'f')).toBeTruthy();
  });

  test('longer than any policy', async () => {
    await expect(readPolicy(Buffer.alloc((1 << 20) + 1, ' '), 'lab.json')).rejects.toThrow(
      'longer than 1 MiB',
    );
  });
});

test('any text: a policy or one line', async () => {
  const junk = fc.oneof(
    fc.json(),
    fc.string(),
    fc
      .array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '//', '/*', '*/', '\\', '\n', HEAD))
      .map((parts) => {
        return parts.join('');
      }),
    fc.json().map((value) => `{${HEAD}, "findings": ${value}}`),
  );
  await fc.assert(
    fc.asyncProperty(junk, async (text) => {
      try {
        expect((await read(text)).name).toBe('lab.json');
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/^lab\.json.*$/);
      }
    }),
    { numRuns: 500 },
  );
});

test('JSON with comments put between its parts means what it meant without', () => {
  const pad = fc.constantFrom(' ', '\n', '// note, "quoted" ]\n', '/* , } */');
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(pad, { minLength: 1 }), (value, pads) => {
      let at = 0;
      const parts = JSON.stringify(value).split(/("(?:[^"\\]|\\.)*"|[{}[\],:])/);
      const text = parts.map((part) => part + pads[at++ % pads.length]!).join('');
      expect(parseCommentedJson(text, 'f')).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

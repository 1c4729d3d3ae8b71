/** The bundled example machines: what their description and a real kernel's answer make, and what the rules form. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readHost } from '../src/host/read-host.ts';
import { boot } from '../src/machine/boot.ts';
import { desktop } from '../tools/examples/desktop.ts';
import { laptop } from '../tools/examples/laptop.ts';
import { answered, exampleSnapshot } from '../tools/examples/make.ts';
import { server } from '../tools/examples/server.ts';

const at = (path: string): string => new URL(`../${path}`, import.meta.url).pathname;

describe.each(Object.entries({ desktop, laptop, server }))('examples/%s.json', (name, example) => {
  test('is what npm run examples makes', () => {
    const answer = answered(readFileSync(at(`tools/examples/${name}.groups`), 'utf8'));
    const text = `${JSON.stringify(exampleSnapshot(example, answer), undefined, 1)}\n`;
    expect(readFileSync(at(`examples/${name}.json`), 'utf8')).toBe(text);
  });

  test('the rules form the groups that a kernel formed: numbers, types, regions', async () => {
    const snapshot = await readHost(at(`examples/${name}.json`));
    const formed = boot(snapshot)
      .groups()
      .map(({ id, type, reservedRegions, devices }) => ({
        id,
        type,
        reservedRegions,
        devices: [...devices].sort(),
      }));
    expect(formed).toEqual(snapshot.groups);
  });

  test('carries no serial number', () => {
    for (const { config } of JSON.parse(readFileSync(at(`examples/${name}.json`), 'utf8')).devices) {
      // Extended capability 3, version 1, anywhere on a doubleword.
      const words = (config.bytes.slice(512) as string).match(/.{8}/g) ?? [];
      expect(words.some((word) => word.startsWith('0300') && word[5] === '1')).toBe(false);
    }
  });
});

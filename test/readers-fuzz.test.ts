/**
 * Hostile input: whatever the bytes, `readHost` ends in a snapshot that can be written and read again, or in an
 * InputError of one line; never in anything else. Every form is mutated from real machines.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { factsOf } from '../src/host/facts.ts';
import { readHost } from '../src/host/read-host.ts';
import { readBytes } from '../src/host/readers.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { InputError } from '../src/kernel/errors.ts';
import { makeTar } from './support/tar.ts';

const archive = (machine: string) =>
  readFileSync(new URL(`./fixtures/machines/${machine}.tar.gz`, import.meta.url));
const lspciThere = spawnSync('lspci', ['--version']).status === 0;

let scratch: string;
const seeds = new Map<string, Buffer>();

beforeAll(async () => {
  scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringfence-fuzz-'));
  writeFileSync(join(scratch, 'm.tgz'), archive('sriov-igb'));
  execFileSync('tar', ['-C', scratch, '-xzf', join(scratch, 'm.tgz')]);
  seeds.set('tar', gunzipSync(archive('vfio')));
  seeds.set('tar.gz', archive('switch'));
  seeds.set('snapshot', writeSnapshot(await readHost(scratch)));
  seeds.set('snapshot.gz', writeSnapshot(await readHost(scratch), { gzip: true }));
  if (!lspciThere) return;
  for (const options of ['-vvnn', '-vnn', '-xxxx', '-nnPP']) {
    const from = ['-A', 'linux-sysfs', '-O', `sysfs.path=${scratch}/sys/bus/pci`];
    seeds.set(
      `lspci ${options}`,
      execFileSync('lspci', [...from, options], { stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  }
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Reads, and holds the outcome against the contract. Answers the snapshot, where there is one. */
async function outcome(bytes: Uint8Array): Promise<Snapshot | undefined> {
  let snapshot: Snapshot;
  try {
    snapshot = await readBytes(bytes, 'input');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(/^input.*: /);
    expect((error as Error).message).not.toMatch(/[\n\r]/);
    expect((error as Error).message.length).toBeLessThan(1000);
    return undefined;
  }
  for (const device of snapshot.devices) factsOf(device);
  // What a reader makes keeps to the published format.
  const again = await readBytes(writeSnapshot(snapshot, { keepSerials: true }), 'again');
  expect(again).toEqual(snapshot);
  return snapshot;
}

const mutation = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'remove', 'insert', 'repeat', 'splice'),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 4000 }),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc
      .constantFrom(
        '../',
        '\n',
        '0000:',
        ' [',
        '<',
        '-1',
        '0x',
        'null',
        '"',
        '\0',
        'Capabilities: ',
        '9'.repeat(30),
      )
      .map((text) => Buffer.from(text)),
  ),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(seed: Buffer, { kind, at, length, bytes }: Mutation): Buffer {
  const from = at % seed.length;
  const head = seed.subarray(0, from);
  switch (kind) {
    case 'flip':
      return Buffer.concat([head, bytes, seed.subarray(from + bytes.length)]);
    case 'cut':
      return head;
    case 'remove':
      return Buffer.concat([head, seed.subarray(from + length)]);
    case 'insert':
      return Buffer.concat([head, bytes, seed.subarray(from)]);
    case 'repeat':
      return Buffer.concat([head, seed.subarray(from, from + length), seed.subarray(from)]);
    default:
      return Buffer.concat([seed.subarray(from, from + length), head]);
  }
}

/** Tar headers carry checksums: without repair, most mutations would end there. */
function repairTar(bytes: Buffer): Buffer {
  const fixed = Buffer.from(bytes);
  for (let at = 0; at + 512 <= fixed.length; at += 512) {
    if (fixed.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    fixed.fill(0x20, at + 148, at + 156);
    const sum = fixed.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    fixed.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
  return fixed;
}

test('random bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => void (await outcome(bytes))),
    { numRuns: 500 },
  );
});

const FORMS = [
  'tar',
  'tar.gz',
  'snapshot',
  'snapshot.gz',
  'lspci -vvnn',
  'lspci -vnn',
  'lspci -xxxx',
  'lspci -nnPP',
];

describe.each(FORMS)('%s', (form) => {
  const needsLspci = form.startsWith('lspci') && !lspciThere;

  test.skipIf(needsLspci)('the seed itself is read', async () => {
    expect((await outcome(seeds.get(form)!))?.devices.length).toBeGreaterThan(5);
  });

  test.skipIf(needsLspci)('mutated', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 5 }), async (mutations) => {
        await outcome(mutations.reduce(mutateSome, seeds.get(form)!));
      }),
      { numRuns: 120 },
    );
  });
});

function mutateSome(seed: Buffer, change: Mutation): Buffer {
  return seed.length === 0 ? seed : mutate(seed, change);
}

test('tar with right checksums around mutated headers and contents', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 8 }), async (mutations) => {
      await outcome(repairTar(mutations.reduce(mutateSome, seeds.get('tar')!)));
    }),
    { numRuns: 200 },
  );
});

test('gzip around mutated tar', async () => {
  await fc.assert(
    fc.asyncProperty(
      mutation,
      async (change) => void (await outcome(gzipSync(mutate(seeds.get('tar')!, change)))),
    ),
    { numRuns: 50 },
  );
});

describe('time and memory stay in proportion', () => {
  /** The number of steps doubles with the input; a regular expression that goes back and forth would not end. */
  test.each<[string, string]>([
    ['one line of a million colons', ':'.repeat(1_000_000)],
    ['a header with an endless class', `00:00.0 ${'a '.repeat(500_000)}`],
    ['an endless path', `00:00.0${'/00.0'.repeat(200_000)} PCI bridge [0604]: X`],
    ['endless quotes', `${'> '.repeat(500_000)}00:00.0 X: Y`],
    ['endless brackets', `00:00.0 X: ${'[8086:'.repeat(200_000)}`],
    ['endless parentheses', `00:00.0 X: ${' (rev '.repeat(200_000)}`],
    ['endless hex', `00:00.0 X: Y\n00: ${'00 '.repeat(500_000)}`],
    ['an endless capability', `00:00.0 X: Y\n\tCapabilities: [40] ${'Express '.repeat(200_000)}`],
    ['a million error messages', `00:00.0 X: Y\n${'pcilib: x\n'.repeat(200_000)}`],
    ['error messages in one line', `00:00.0 X: Y\n${'pcilib: '.repeat(200_000)}`],
    ['a million lines of one device', '00:00.0 X: Y\n'.repeat(200_000)],
    ['a million empty lines', '\n'.repeat(2_000_000)],
    ['a hundred thousand deep JSON', `{"a":${'['.repeat(500_000)}`],
  ])('%s', async (_, text) => {
    await outcome(Buffer.from(text));
  });

  test('65,536 devices of lspci text', async () => {
    const lines: string[] = [];
    for (let n = 0; n < 65_536; n++) {
      const [bus, slot, fn] = [n >> 8, (n >> 3) & 31, n & 7].map((part) =>
        part.toString(16).padStart(2, '0'),
      );
      lines.push(
        `${bus}:${slot}.${fn![1]} Ethernet controller [0200]: X [8086:10c9]`,
        '\tIOMMU group: 1',
        '',
      );
    }
    const snapshot = await readBytes(Buffer.from(lines.join('\n')), 'input');
    expect(snapshot.devices).toHaveLength(65_536);
  });

  test('links in circles, through each other and up', async () => {
    const items = Array.from({ length: 2000 }, (_, n) => ({
      path: `sys/bus/pci/devices/0000:${(n >> 8).toString(16).padStart(2, '0')}:${((n >> 3) & 31).toString(16).padStart(2, '0')}.${n & 7}`,
      link: `../../../bus/pci/devices/${'../devices/'.repeat(6)}x`,
    }));
    await outcome(makeTar([...items, { path: 'sys/bus/pci/devices/x', link: 'x/x/x' }]));
  });
});

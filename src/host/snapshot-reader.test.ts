import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { readBytes } from './readers.ts';
import type { Snapshot } from './snapshot.ts';
import { checkSnapshot } from './snapshot-reader.ts';
import { writeSnapshot } from './writer.ts';

const minimal = (): Snapshot => ({
  ringfence: 'snapshot',
  version: 1,
  form: 'live',
  kernel: {},
  devices: [{ address: '0000:00:01.0', config: { bytes: '8680', read: 64, size: 256 } }],
  others: [],
  acpi: {},
});
type Change = (snapshot: Record<string, unknown> & { devices: Record<string, unknown>[] }) => void;
const changed = (change: Change) => {
  const snapshot = minimal() as unknown as Parameters<Change>[0];
  change(snapshot);
  return readBytes(Buffer.from(JSON.stringify(snapshot)), 'm.json');
};

test('what was written is what is read', async () => {
  expect(await readBytes(writeSnapshot(minimal()), 'm.json')).toEqual(minimal());
});

describe('errors name file and field, in one line', () => {
  test.each<[string, Change, string]>([
    ['a bad address', (s) => (s.devices[0]!.address = '00:01.0'), 'm.json: devices[0].address: '],
    ['a missing field', (s) => delete s.acpi, 'm.json: acpi: '],
    [
      'half a byte',
      (s) => (s.devices[0]!.config = { bytes: '868', read: 64 }),
      'm.json: devices[0].config.bytes: half',
    ],
    [
      'no hex',
      (s) => (s.devices[0]!.config = { bytes: 'zz', read: 64 }),
      'm.json: devices[0].config.bytes: ',
    ],
    [
      'more bytes than read',
      (s) => (s.devices[0]!.config = { bytes: '868680', read: 2 }),
      'm.json: devices[0].config.bytes: more bytes than were read',
    ],
    [
      'a size no space has',
      (s) => (s.devices[0]!.config = { bytes: '', read: 0, size: 100 }),
      'devices[0].config.size',
    ],
    ['a field nobody knows', (s) => (s.devices[0]!.drvier = 'x'), 'm.json: devices[0]: '],
    ['a number too large', (s) => (s.devices[0]!.vendor = 65536), 'm.json: devices[0].vendor: '],
    [
      'a device twice',
      (s) => s.devices.push(s.devices[0]!),
      'm.json: devices[1]: 0000:00:01.0 is there twice',
    ],
    ['a driver without a name', (s) => (s.devices[0]!.driver = ''), 'devices[0].driver: is no file name'],
    ['a driver that is a path', (s) => (s.devices[0]!.driver = '../x'), 'devices[0].driver: is no file name'],
    [
      'an IOMMU named as no file is',
      (s) => (s.iommus = [{ name: 'a/b' }]),
      'iommus[0].name: is no file name',
    ],
    [
      'a PCI function among the others',
      (s) => (s.others = [{ name: 'x', bus: 'pci' }]),
      'others[0].bus: PCI functions',
    ],
    [
      'another device twice',
      (s) => (s.others = [{ name: 'x' }, { name: 'x' }]),
      'others[1]: x is there twice',
    ],
    ['an odd table', (s) => (s.acpi = { DMAR: '123' }), 'm.json: acpi.DMAR: half'],
    ['a newer version', (s) => (s.version = 7), 'snapshot version 7 is newer than this program knows (1)'],
    ['no version', (s) => delete s.version, 'm.json: version: '],
    ['another kind', (s) => (s.ringfence = 'report'), 'm.json: JSON, but no snapshot'],
  ])('%s', async (_, change, message) => {
    const error = await changed(change).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain('\n');
  });

  test('broken JSON', async () => {
    await expect(readBytes(Buffer.from('{"ringfence": "snapshot",\n oops'), 'm.json')).rejects.toThrow(
      'm.json: broken JSON: ',
    );
  });
});

test('nesting, size and names that are traps in JavaScript end in an InputError', async () => {
  const deep = `{"ringfence":"snapshot","version":1,"x":${'['.repeat(200_000)}`;
  const long = JSON.stringify({ ...minimal(), acpi: { DMAR: 'a'.repeat(5_000_000) } });
  const proto = '{"ringfence":"snapshot","version":1,"__proto__":{"form":"live"},"constructor":1}';
  for (const text of [deep, long, proto]) {
    await expect(readBytes(Buffer.from(text), 'm.json')).rejects.toBeInstanceOf(InputError);
  }
  const largest = JSON.stringify({ ...minimal(), acpi: { DMAR: 'ab'.repeat(2_000_000) } });
  expect((await readBytes(Buffer.from(largest), 'm.json')).acpi.DMAR).toHaveLength(4_000_000);
});

test('any JSON value is a snapshot or an InputError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), fc.string(), async (value, field) => {
      const whole = minimal() as unknown as Record<string, unknown>;
      for (const candidate of [
        value,
        { ...whole, [field]: value },
        { ...whole, devices: [{ ...minimal().devices[0], [field]: value }] },
      ]) {
        await checkSnapshot(candidate, 'm.json').catch((error: unknown) =>
          expect(error).toBeInstanceOf(InputError),
        );
      }
    }),
    { numRuns: 300 },
  );
});

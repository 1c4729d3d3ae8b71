import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acpiTable } from '../../test/support/acpi.ts';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { interruptIsolation } from './check-interrupts.ts';

const recorded = (name: string): Promise<Snapshot> =>
  readHost(new URL(`../../test/fixtures/machines/${name}.tar.gz`, import.meta.url).pathname);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const cmdline = (snapshot: Snapshot, words: string): Snapshot => ({
  ...snapshot,
  kernel: { cmdline: words },
});

describe('Intel', () => {
  test('the INTR_REMAP flag of DMAR (QEMU with intremap=on)', async () => {
    expect(interruptIsolation(await recorded('root-ports')).isolated).toBe(true);
  });

  test('without the flag: not isolated', async () => {
    const snapshot = await recorded('root-ports');
    const bytes = Buffer.from(snapshot.acpi.DMAR!, 'hex');
    bytes[37]! &= ~1;
    snapshot.acpi.DMAR = bytes.toString('hex');
    expect(interruptIsolation(snapshot)).toMatchObject({
      isolated: false,
      because: expect.stringContaining('DMAR'),
    });
  });

  test('a unit whose extended capabilities lack it', async () => {
    const snapshot = await recorded('root-ports');
    snapshot.iommus = [{ name: 'dmar0', registers: { ecap: 'f00f42' } }];
    expect(interruptIsolation(snapshot)).toMatchObject({
      isolated: false,
      because: expect.stringContaining('dmar0'),
    });
  });

  test.each([
    ['intremap=off', false],
    ['nointremap', false],
    ['intremap=nosid', false],
    ['intremap=off intremap=on', true],
    ['intremap=no_x2apic_optout', true],
    ['intremap=on,off', false],
    ['', true],
  ])('command line %s: %s', async (words, isolated) => {
    expect(interruptIsolation(cmdline(await recorded('root-ports'), words)).isolated).toBe(isolated);
  });

  test('a command line that is not recorded could switch it off', async () => {
    const snapshot = await recorded('root-ports');
    expect(interruptIsolation({ ...snapshot, kernel: {} }).isolated).toBeUndefined();
  });
});

describe('AMD', () => {
  test('an I/O APIC in IVRS (QEMU lists it with intremap=on only)', async () => {
    expect(interruptIsolation(await recorded('amd')).isolated).toBe(true);
  });

  test('a table without: the driver gives up, unless the command line names it', async () => {
    const snapshot = await recorded('amd');
    const bytes = Buffer.from(snapshot.acpi.IVRS!, 'hex');
    const at = bytes.indexOf(0x48, 48);
    bytes.fill(0, at, at + 8);
    bytes[9] = (bytes[9]! - bytes.reduce((sum, byte) => sum + byte, 0)) & 0xff;
    snapshot.acpi.IVRS = bytes.toString('hex');
    expect(interruptIsolation(snapshot).isolated).toBe(false);
    expect(interruptIsolation(cmdline(snapshot, 'ivrs_ioapic[32]=00:14.0')).isolated).toBe(true);
  });
});

describe('Arm', () => {
  const iort = (...types: number[]): string =>
    hex(
      acpiTable('IORT', [
        types.length,
        0,
        0,
        0,
        48,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        ...types.flatMap((t) => [t, 4, 0, 0]),
      ]),
    );
  const arm = async (table: string): Promise<Snapshot> => ({
    ...(await recorded('none')),
    arch: 'aarch64',
    acpi: { IORT: table },
  });

  test('a translation service in IORT', async () => {
    expect(interruptIsolation(await arm(iort(4, 2, 0))).isolated).toBe(true);
    expect(interruptIsolation(await arm(iort(4, 2))).isolated).toBe(false);
  });

  test('nodes of length 0 end the table', async () => {
    const bytes = Buffer.from(iort(4, 0), 'hex');
    bytes[49] = 0;
    expect(interruptIsolation(await arm(bytes.toString('hex'))).isolated).toBe(false);
  });
});

test('x86 with tables recorded, and none of the two among them: nothing remaps', async () => {
  expect(interruptIsolation(await recorded('virtio-iommu-bound')).isolated).toBe(false);
});

test('no tables recorded: not known', async () => {
  const { isolated, remedy } = interruptIsolation({ ...(await recorded('root-ports')), acpi: {} });
  expect(isolated).toBeUndefined();
  expect(remedy).toContain('root');
});

test('any table: an answer', async () => {
  const snapshot = await recorded('root-ports');
  const table = fc.constantFrom('DMAR', 'IVRS', 'IORT', 'VIOT');
  fc.assert(
    fc.property(table, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (name, bytes, whole) => {
      const acpi = { [name]: hex(whole ? acpiTable(name, [...bytes]) : bytes) };
      expect([true, false, undefined]).toContain(interruptIsolation({ ...snapshot, acpi }).isolated);
    }),
  );
});

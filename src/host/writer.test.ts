import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { sysfsTar } from '../../test/support/tar.ts';
import { factsOf } from './facts.ts';
import { readBytes } from './readers.ts';
import { redactConfig } from './redact.ts';
import type { Snapshot } from './snapshot.ts';
import { writeSnapshot } from './writer.ts';

const MAC = 'a0369f123456';
const SERIAL = 'SN4711XYZ98';
const UUID = '4c4c4544-0042-3510-8051-b4c04f564433';

/** A network card as they are: MAC address in the serial number capability, VPD window on a serial number. */
function cardConfig(): Buffer {
  const config = Buffer.alloc(4096);
  config.write('8680c910', 0, 'hex');
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  config.set([0x03, 0x60, 0x10, 0x80], 0x40); // VPD
  config.write(SERIAL.slice(0, 4), 0x44, 'latin1');
  config.set([0x10, 0x00, 0x02, 0x00], 0x60); // Express endpoint
  config.set([0x03, 0x00, 0x01, 0x15], 0x100); // serial number, next 150h
  config.write('123456ffff9f36a0', 0x104, 'hex');
  config.set([0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00], 0x150); // ACS
  return config;
}

const machine = (): Promise<Snapshot> =>
  readBytes(
    sysfsTar({ '0000:00:02.0': { uevent: 'PCI_ID=8086:10C9\n', config: cardConfig(), serial: SERIAL } }, [
      { path: 'sys/devices/pci0000:00/0000:00:02.0/net/eth0/address', data: 'a0:36:9f:12:34:56\n' },
      { path: 'sys/class/dmi/id/board_name', data: 'X11\n' },
      { path: 'sys/class/dmi/id/board_serial', data: `${SERIAL}\n` },
      { path: 'sys/class/dmi/id/product_uuid', data: `${UUID}\n` },
      {
        path: 'proc/cmdline',
        data: `BOOTIF=01-a0-36-9f-12-34-56 ifname=lan:a0:36:9f:12:34:56 root=UUID=${UUID} pci=disable_acs_redir=0000:01:00.0;8086:1901 intel_iommu=on\n`,
      },
    ]),
    'm.tar',
  );

/** The planted numbers in every spelling a capture could hold them in. */
function planted(text: string): string[] {
  const hex = Buffer.from(SERIAL.slice(0, 4)).toString('hex');
  const reversed = MAC.match(/../g)!.reverse().join('');
  const spellings = [
    MAC,
    MAC.slice(0, 6),
    MAC.slice(6),
    reversed.slice(0, 6),
    SERIAL,
    hex,
    UUID,
    UUID.slice(0, 8),
  ];
  const separated = ['a0:36:9f:12:34:56', 'a0-36-9f-12-34-56', '123456ffff9f36a0'];
  return [...spellings, ...separated].filter((spelling) =>
    text.toLowerCase().includes(spelling.toLowerCase()),
  );
}

describe('redaction', () => {
  test('a capture holds no planted serial number, MAC address or UUID', async () => {
    const text = writeSnapshot(await machine()).toString();
    expect(planted(text)).toEqual([]);
  });

  test('unless asked to keep them', async () => {
    const kept = planted(writeSnapshot(await machine(), { keepSerials: true }).toString());
    expect(kept).toEqual(expect.arrayContaining(['123456ffff9f36a0', 'a0:36:9f:12:34:56', UUID]));
  });

  test('facts and parameters that decide groups are not touched', async () => {
    const before = await machine();
    const after = await readBytes(writeSnapshot(before), 'm.json');
    expect(factsOf(after.devices[0]!)).toEqual(factsOf(before.devices[0]!));
    expect(factsOf(after.devices[0]!).acs).toMatchObject({ capability: 0x1f, control: 0x1d });
    expect(after.devices[0]!.config!.read).toBe(4096);
    expect(after.kernel.cmdline).toContain('pci=disable_acs_redir=0000:01:00.0;8086:1901 intel_iommu=on');
  });

  test('redacting twice changes nothing more, and junk survives it', () => {
    for (let round = 0; round < 200; round++) {
      const length = [0, 3, 64, 100, 256, 300, 4096][round % 7]!;
      const bytes = randomBytes(length);
      if (length > 0x40) bytes.set([0x10, 0x00], 0x06);
      const once = redactConfig({ bytes: bytes.toString('hex'), read: length });
      expect(redactConfig(once)).toEqual(once);
    }
  });
});

test('the bytes depend on the facts, not on the order in which they were learned', async () => {
  const snapshot = await machine();
  const device = snapshot.devices[0]!;
  const shuffled = {
    ...snapshot,
    devices: [Object.fromEntries(Object.entries(device).reverse()) as typeof device],
  };
  const turned = Object.fromEntries(Object.entries(shuffled).reverse()) as unknown as Snapshot;
  expect(writeSnapshot(turned).equals(writeSnapshot(snapshot))).toBe(true);
  expect(gunzipSync(writeSnapshot(snapshot, { gzip: true })).equals(writeSnapshot(snapshot))).toBe(true);
});

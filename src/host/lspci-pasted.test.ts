/** lspci text as it comes out of web pages, scripts and several pastes. */

import { describe, expect, test } from 'vitest';
import { readBytes } from './readers.ts';
import type { Snapshot } from './snapshot.ts';

const read = (text: string): Promise<Snapshot> => readBytes(Buffer.from(text), 'dump.txt');
const groups = async (text: string) =>
  (await read(text)).groups?.map(({ id, devices }) => [id, devices.map((name) => name.slice(5)).join(' ')]);

const PORT = `\
00:01.0 PCI bridge [0604]: Intel Corporation Device [8086:a70d] (rev 01) (prog-if 00 [Normal decode])
\tControl: I/O+ Mem+ BusMaster+
\tStatus: Cap+ 66MHz-
\tIOMMU group: 2
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\tCapabilities: [220 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport
`;
const CARD = `\
01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [10de:1b80] (rev a1)
\tControl: I/O+ Mem+ BusMaster+
\tStatus: Cap+ 66MHz-
\tIOMMU group: 7
\tCapabilities: [78] Express (v2) Legacy Endpoint, MSI 00
`;

describe('blanks', () => {
  test.each([
    ['no-break spaces', '\u00a0'],
    ['narrow no-break spaces', '\u202f'],
    ['ideographic spaces', '\u3000'],
    ['figure spaces', '\u2007'],
  ])('%s count as blanks', async (_, blank) => {
    const text = `${PORT}\n${CARD}`;
    expect(await read(text.replaceAll(' ', blank))).toEqual(await read(text));
  });
});

describe('"IOMMU Group: N"', () => {
  const capital = (text: string) => text.replace('IOMMU group', 'IOMMU Group');

  test('inside an entry is the group of that entry', async () => {
    expect(await read(`${capital(PORT)}\n${capital(CARD)}`)).toEqual(await read(`${PORT}\n${CARD}`));
    expect(await read(`${capital(PORT)}${capital(CARD)}`), 'without empty lines').toEqual(
      await read(`${PORT}${CARD}`),
    );
    const last = `${CARD.replace('\tIOMMU group: 7\n', '')}\tIOMMU Group: 7\n\n${PORT}`;
    expect(await groups(last)).toEqual([
      [2, '00:01.0'],
      [7, '01:00.0'],
    ]);
  });

  test('right below the header of an entry as well', async () => {
    const text = (n: number) =>
      `00:0${n}.0 Host bridge [0600]: Intel [8086:a70${n}]\n\tIOMMU Group: ${n + 4}\n`;
    expect(await groups(`${text(0)}\n${text(1)}`)).toEqual([
      [4, '00:00.0'],
      [5, '00:01.0'],
    ]);
  });

  test('above entries it is a heading', async () => {
    const line = (at: string) => `\t${at} Host bridge [0600]: Intel [8086:a70d]\n`;
    const listed = `IOMMU Group: 1\n${line('00:00.0')}${line('00:01.0')}IOMMU Group: 2\n${line('00:02.0')}`;
    expect(await groups(listed)).toEqual([
      [1, '00:00.0 00:01.0'],
      [2, '00:02.0'],
    ]);
    const spaced = `${line('00:00.0')}\nIOMMU Group: 2\n${line('00:02.0')}`;
    expect(await groups(spaced)).toEqual([[2, '00:02.0']]);
  });
});

describe('one address, twice', () => {
  const brief = '01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [10de:1b80] (rev a1)\n';
  const other = brief.replace('10de:1b80', '1002:67df');

  test('as another device: two machines in one text, with the line', async () => {
    await expect(read(`# mine\n${PORT}\n${CARD}\n# yours\n${other}`)).rejects.toThrow(
      /^dump\.txt:20: another device at 0000:01:00\.0 than in line 13: two machines seem to be pasted together$/,
    );
  });

  test('lines are those of the text, whatever error messages stand between', async () => {
    await expect(read(`${brief}pcilib: sysfs_read: out of order\n\n${other}`)).rejects.toThrow(
      'dump.txt:4: ',
    );
  });

  test('as the same device: what each says of it', async () => {
    expect(await read(`${brief}\n${CARD}`)).toEqual(await read(CARD));
    const names = '01:00.0 VGA compatible controller: NVIDIA Corporation GP104 (rev a1)\n';
    expect((await read(`${names}\n${CARD}`)).devices).toHaveLength(1);
  });

  test('in two groups: a note', async () => {
    const { notes } = await read(`${CARD}\n${CARD.replace('group: 7', 'group: 8')}`);
    expect(notes).toContain('0000:01:00.0: told to be in group 7 and in group 8');
  });
});

describe('a tree of lspci -t is told, with what to run', () => {
  test.each([
    [
      'of one root bus',
      '-[0000:00]-+-00.0  Intel Corporation 82G33\n           +-02.0-[01]----00.0  Intel\n',
    ],
    [
      'of several',
      '-+-[0000:00]-+-00.0  Intel\n |           \\-1f.0  Intel\n \\-[0000:c0]---01.0-[c1]----01.0  Intel\n',
    ],
    ['without domains', '-+-[ff]-+-08.0  Intel\n |       \\-1f.0  Intel\n'],
  ])('%s', async (_, text) => {
    await expect(read(text)).rejects.toThrow(
      'a tree of lspci -t does not tell what is needed: run lspci -vvnn as root',
    );
  });
});

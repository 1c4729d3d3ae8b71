import { describe, expect, test } from 'vitest';
import { PcieType } from '../pci/facts.ts';
import { readBytes } from './readers.ts';
import type { PciFacts, Snapshot } from './snapshot.ts';

const read = (text: string | Uint8Array): Promise<Snapshot> => readBytes(Buffer.from(text), 'dump.txt');
const one = async (text: string): Promise<PciFacts> => (await read(text)).devices[0]!;

const HEADER = '01:00.0 Ethernet controller [0200]: Intel Corporation 82576 [8086:10c9] (rev 01)\n';
const CONTROL = '\tControl: I/O+ Mem+ BusMaster+\n';
const STATUS = '\tStatus: Cap+ 66MHz- UDF- FastB2B-\n';
const verbose = (...lines: string[]) =>
  HEADER + CONTROL + STATUS + lines.map((line) => `\t${line}\n`).join('');
const ACS_CAP = '\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+';
const ACS_CTL = '\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-';

describe('header lines of every kind', () => {
  test.each([
    ['-nn', HEADER, { vendor: 0x8086, device: 0x10c9, class: 0x020000, revision: 1 }],
    [
      '-n',
      '01:00.0 0200: 8086:10c9 (rev 01)',
      { vendor: 0x8086, device: 0x10c9, class: 0x020000, revision: 1 },
    ],
    [
      'no -n',
      '01:00.0 Ethernet controller: Intel Corporation 82576 (rev 01)',
      { class: 0x020000, revision: 1 },
    ],
    ['-D', `0000:${HEADER}`, { address: '0000:01:00.0', vendor: 0x8086 }],
    ['a VMD domain', `10000:${HEADER}`, { address: '10000:01:00.0' }],
    [
      'programming interface',
      '00:17.0 SATA controller [0106]: Intel Corporation X [AHCI Mode] [8086:7ae2] (rev 11) (prog-if 01 [AHCI 1.0])',
      { class: 0x010601, revision: 0x11, label: 'Intel Corporation X [AHCI Mode]' },
    ],
    [
      'a header that lspci cut off tells the vendor',
      '22:00.1 Audio device [0403]: Advanced Micro Devices, Inc. [AMD/ATI] Ellesmere [1002:a...',
      { vendor: 0x1002, class: 0x040300 },
    ],
    [
      'colons and brackets in names',
      '00:08.1 PCI bridge [0604]: AMD Internal PCIe GPP Bridge 0 to bus[E:B] [1022:1484] (prog-if 00 [Normal decode])',
      { vendor: 0x1022, device: 0x1484, class: 0x060400 },
    ],
  ])('%s', async (_, text, facts) => {
    expect(await one(text)).toMatchObject(facts);
  });

  test('what was cut off is unknown: no device id, no revision', async () => {
    const device = await one('22:00.1 Audio device [0403]: Advanced Micro Devices, Inc. [1002:a...');
    expect(device).not.toHaveProperty('device');
    expect(device).not.toHaveProperty('revision');
  });

  test('ids on a line that a mail program wrapped', async () => {
    expect(
      await one('01:00.0 Ethernet controller [0200]: Intel Corporation\n82576 [8086:10c9] (rev 01)\n'),
    ).toMatchObject({
      vendor: 0x8086,
      device: 0x10c9,
    });
  });
});

describe('PCIe types in the words of every lspci', () => {
  test.each([
    ['Express (v2) Endpoint, MSI 00', PcieType.Endpoint],
    ['Express Endpoint IRQ 0', PcieType.Endpoint],
    ['Express (v1) Legacy Endpoint, MSI 00', PcieType.LegacyEndpoint],
    ['Express (v2) Root Port (Slot+), MSI 00', PcieType.RootPort],
    ['Express (v2) Root Port (Slot-), IntMsgNum 0', PcieType.RootPort],
    ['Express Root Port (Slot+), MSI 00', PcieType.RootPort],
    ['Express (v2) Upstream Port, MSI 00', PcieType.Upstream],
    ['Express (v2) Downstream Port (Slot+), IntMsgNum 0', PcieType.Downstream],
    ['Express (v1) PCI-Express to PCI/PCI-X Bridge, MSI 00', PcieType.PciBridge],
    ['Express (v1) PCI/PCI-X to PCI-Express Bridge, MSI 00', PcieType.PcieBridge],
    ['Express (v2) Root Complex Integrated Endpoint, MSI 00', PcieType.IntegratedEndpoint],
    ['Express (v2) Root Complex Event Collector, IntMsgNum 0', PcieType.EventCollector],
    ['Express (v2) Unknown type 14, MSI 00', 14],
  ])('%s', async (words, type) => {
    expect((await one(verbose(`Capabilities: [40] ${words}`))).said!.pcie).toEqual({ type });
  });

  test('words that are none of these: the type is unknown, and so is whether there are more capabilities', async () => {
    const { said } = await one(verbose('Capabilities: [40] Express (v2) Ro'));
    expect(said!.pcie).toBeUndefined();
    expect(said!.acs).toBeUndefined();
  });
});

describe('what silence means', () => {
  test('capabilities listed, none Express: known to be conventional', async () => {
    const { said } = await one(verbose('Capabilities: [80] MSI: Enable-'));
    expect(said).toMatchObject({
      headerType: 0,
      bridge: null,
      pcie: null,
      acs: null,
      ari: null,
      sriov: null,
    });
    expect(said).toMatchObject({ pmReset: null, afFlr: null, ats: null, pasid: null });
  });
  test('Express without ACS: known to have none', async () => {
    expect((await one(verbose('Capabilities: [40] Express (v2) Endpoint'))).said!.acs).toBeNull();
  });
  test('access denied: nothing is known, whatever lspci calls it', async () => {
    for (const words of ['<access denied>', '<available only to root>']) {
      const snapshot = await read(verbose(`Capabilities: ${words}`));
      expect(snapshot.devices[0]!.said).toMatchObject({
        headerType: 0,
        bridge: null,
        pcie: undefined,
        acs: undefined,
      });
      expect(snapshot.notes![0]).toContain('run lspci as root');
    }
  });
  test('Status without Cap: known to have none; with Cap but no lines: unknown', async () => {
    const none = HEADER + CONTROL + STATUS.replace('Cap+', 'Cap-');
    expect((await one(none)).said!.pcie).toBeNull();
    expect((await one(verbose())).said!.pcie).toBeUndefined();
  });
  test('no -v (plain list, -nnk): nothing is known', async () => {
    for (const text of [HEADER, `${HEADER}\tSubsystem: Intel [8086:a03c]\n\tKernel driver in use: igb\n`]) {
      const device = await one(text);
      expect(device.said).toMatchObject({ headerType: undefined, pcie: undefined, acs: undefined });
    }
  });
  test('-v names the ACS capability, which is then unknown; what it does not name is absent', async () => {
    const text = `${HEADER}\tFlags: bus master, fast devsel, latency 0, IRQ 22, NUMA node 1, IOMMU group 4
\tCapabilities: [40] Express Root Port (Slot+), MSI 00
\tCapabilities: [148] Access Control Services\n`;
    const device = await one(text);
    expect(device.said).toMatchObject({ acs: undefined, sriov: null, pcie: { type: PcieType.RootPort } });
    expect(device).toMatchObject({ irq: 22, numaNode: 1 });
    expect((await read(text)).groups).toEqual([{ id: 4, devices: ['0000:01:00.0'] }]);
  });
  test('the first -v with no extended capability anywhere may not have listed them: unknown', async () => {
    const text = `${HEADER}\tFlags: bus master, fast devsel\n\tCapabilities: [40] Express Endpoint, MSI 00\n`;
    expect((await one(text)).said!.acs).toBeUndefined();
  });
  test('cut down further, to headers and groups: nothing is known of capabilities', async () => {
    const snapshot = await read(`${HEADER}\tIOMMU group: 4\n`);
    expect(snapshot.groups).toEqual([{ id: 4, devices: ['0000:01:00.0'] }]);
    expect(snapshot.devices[0]!.said).toMatchObject({ pcie: undefined, acs: undefined });
  });
  test('cut down to the ACS lines alone: without both words ACS is unknown, not absent', async () => {
    const { said } = await one(`${HEADER}Capabilities: [40] Express (v2) Endpoint\n${ACS_CTL}\n`);
    expect(said).toMatchObject({ pcie: { type: 0 }, acs: undefined, sriov: null });
  });
  test('cut down to grouping lines: no Capabilities line is conventional, other facts stay unknown', async () => {
    const { devices } = await read(
      `${HEADER}\tIOMMU group: 4\n\n${HEADER.replace('01:', '02:')}\n${HEADER.replace('01:', '03:')}\tCapabilities: [40] Express (v2) Endpoint\n`,
    );
    for (const { said } of devices.slice(0, 2)) {
      expect(said).toMatchObject({ headerType: 0, pcie: null, acs: null });
      expect(said).toMatchObject({ pmReset: undefined, afFlr: undefined, ats: undefined });
    }
  });
  test('a device that answers all ones (rev ff): everything is unknown', async () => {
    const text = `${verbose('Capabilities: [80] MSI')}\n02:00.0 3D controller [0302]: NVIDIA X [10de:1f91] (rev ff) (prog-if ff)\n\t!!! Unknown header type 7f\n`;
    const { devices, notes } = await read(text);
    expect(devices[1]!.said).toMatchObject({ headerType: undefined, pcie: undefined });
    expect(devices[1]).not.toHaveProperty('revision');
    expect(notes![0]).toContain('did not answer');
  });
  test('a capability line cut off: what was not seen may be there', async () => {
    const { said } = await one(verbose('Capabilities: [80] MSI: Enable-', 'Capabil'));
    expect(said).toMatchObject({ pcie: undefined, acs: undefined });
  });
  test('a looping chain ends for the kernel where it ends for lspci', async () => {
    const { said } = await one(
      verbose('Capabilities: [80] MSI: Enable-', 'Capabilities: [80] <chain looped>'),
    );
    expect(said!.pcie).toBeNull();
    expect(said!.damaged).toContain('<chain looped>');
  });
  test('one group line in the text makes devices without one ungrouped; none at all leaves groups unknown', async () => {
    const two = `${verbose('IOMMU group: 3')}\n${verbose().replace('01:00.0', '02:00.0')}`;
    expect((await read(two)).groups).toEqual([{ id: 3, devices: ['0000:01:00.0'] }]);
    expect((await read(verbose())).groups).toBeUndefined();
  });
  test('no driver line: no driver where drivers are told, unknown where none is', async () => {
    const second = verbose('Kernel driver in use: igb', 'Kernel modules: igb, vfio').replace('01:', '02:');
    const { devices } = await read(`${verbose()}\n${second}`);
    expect(devices[0]!.driver).toBeNull();
    expect(devices[1]).toMatchObject({ driver: 'igb', modules: ['igb', 'vfio'] });
    expect(await one(verbose())).not.toHaveProperty('driver');
  });
});

describe('capabilities', () => {
  const express = 'Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00';
  test('ACS words', async () => {
    const { said } = await one(
      verbose(express, 'Capabilities: [148 v1] Access Control Services', ACS_CAP, ACS_CTL),
    );
    expect(said!.acs).toEqual({ capability: 0x5f, control: 0x1d });
  });
  test('ACS as the oldest versions name and space it', async () => {
    const lines = [ACS_CAP, ACS_CTL].map((line) => line.replace(/\t/g, ' ').trim());
    const { said } = await one(verbose(express, 'Capabilities: [148] Access Controls', ...lines));
    expect(said!.acs).toEqual({ capability: 0x5f, control: 0x1d });
  });
  test('an ACS line of which part is lost: unknown and noted; wrapped: read on', async () => {
    const acs = 'Capabilities: [148 v1] Access Control Services';
    const lost = await read(verbose(express, acs, ACS_CAP, ACS_CTL.slice(0, 40)));
    expect(lost.devices[0]!.said!.acs).toBeUndefined();
    expect(lost.notes![0]).toContain('ACS unknown');
    const wrapped = await one(verbose(express, acs, ACS_CAP.replace(' Upstream', '\nUpstream'), ACS_CTL));
    expect(wrapped.said!.acs).toEqual({ capability: 0x5f, control: 0x1d });
  });
  test('ARI forwarding on the lines of DevCap2 and DevCtl2', async () => {
    const { said } = await one(
      verbose(
        express,
        '\tDevCap2: Completion Timeout: Not Supported, TimeoutDis-',
        '\t\t FRS- LN System CLS Not Supported, TPHComp- ExtTPHComp- ARIFwd+',
        '\tDevCtl2: Completion Timeout: 50us to 50ms, TimeoutDis- OBFF Disabled, ARIFwd-',
      ),
    );
    expect(said!.pcie).toEqual({ type: PcieType.RootPort, ariForwarding: true, ariForwardingEnabled: false });
  });
  test('SR-IOV, ARI, ATS, PASID, FLR, power management, AF', async () => {
    const { said } = await one(
      verbose(
        'Capabilities: [40] Power Management version 3',
        '\tStatus: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=1 PME-',
        'Capabilities: [98] PCI Advanced Features',
        '\tAFCap: TP+ FLR+',
        'Capabilities: [a0] Express (v2) Endpoint, MSI 00',
        '\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0W',
        'Capabilities: [150 v1] Alternative Routing-ID Interpretation (ARI)',
        '\tARICap:\tMFVC- ACS-, Next Function: 1',
        'Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)',
        '\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy+',
        '\tInitial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00',
        '\tVF offset: 128, stride: 2, Device ID: 10ca',
        'Capabilities: [1c0 v1] Address Translation Service (ATS)',
        '\tATSCtl:\tEnable+, Smallest Translation Unit: 00',
        'Capabilities: [1d0 v1] Process Address Space ID (PASID)',
        '\tPASIDCap: Exec- Priv+, Max PASID Width: 14',
      ),
    );
    expect(said).toMatchObject({
      pmReset: false,
      afFlr: true,
      pcie: { type: 0, flr: true },
      ari: {},
      sriov: { enabled: true, numVfs: 2, totalVfs: 8, offset: 128, stride: 2, vfDevice: 0x10ca },
      ats: { enabled: true },
      pasid: { bits: 0x14 },
      acs: null,
    });
  });
  test('bridges and their buses; CardBus', async () => {
    const bus = 'Bus: primary=00, secondary=01, subordinate=0d, sec-latency=0';
    expect((await one(verbose(bus))).said).toMatchObject({
      headerType: 1,
      bridge: { primary: 0, secondary: 1, subordinate: 13 },
    });
    const card = verbose(bus, 'Memory window 0: 10000000-13fff000').replace(
      'Ethernet controller [0200]',
      'CardBus bridge [0607]',
    );
    expect((await one(card)).said!.headerType).toBe(2);
  });
  test('regions become what sysfs calls resources', async () => {
    const { resources } = await one(
      verbose(
        'Region 0: Memory at fe400000 (64-bit, prefetchable) [size=16K]',
        'Region 2: I/O ports at d000 [disabled] [size=32]',
      ),
    );
    expect(resources).toEqual([
      { start: '0x00000000fe400000', end: '0x00000000fe403fff', flags: '0x0000000000102200' },
      { start: '0x0000000000000000', end: '0x0000000000000000', flags: '0x0000000000000000' },
      { start: '0x000000000000d000', end: '0x000000000000d01f', flags: '0x0000000000000100' },
    ]);
  });
});

describe('text as people paste it', () => {
  const whole = verbose(
    'Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00',
    'Capabilities: [148 v1] Access Control Services',
    ACS_CAP,
    ACS_CTL,
    'IOMMU group: 4',
  );
  const plain = read(whole);
  test.each<[string, (text: string) => string | Buffer]>([
    ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
    ['quoted twice', (text) => text.replaceAll(/^/gm, '> > ')],
    ['spaces for tabs', (text) => text.replaceAll('\t', '        ')],
    ['no indentation', (text) => text.replaceAll('\t', '')],
    ['kernel timestamps', (text) => text.replaceAll(/^/gm, '[   12.345678] ')],
    ['ISO timestamps', (text) => text.replaceAll(/^/gm, '2024-01-02T03:04:05.678Z ')],
    ['bracketed dates', (text) => text.replaceAll(/^/gm, '[2024-01-02 03:04:05] ')],
    ['syslog', (text) => text.replaceAll(/^/gm, 'Jan  2 03:04:05 host lspci[77]: ')],
    [
      'a prompt, prose and a fence around',
      (text) => `My machine:\n\`\`\`\nroot@pve:~# lspci -vvnn\n${text}\`\`\`\nAny idea?\n`,
    ],
    ['terminal colours', (text) => text.replace('Ethernet', '\u001b[1;31mEthernet\u001b[0m')],
    ['a byte order mark', (text) => `\ufeff${text}`],
    ['UTF-16', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['bytes that are no UTF-8', (text) => Buffer.concat([Buffer.from([0xe9, 0x0a]), Buffer.from(text)])],
    ['stray lines', (text) => text.replaceAll('\n', '\nsome stray text\n')],
    ['libkmod', (text) => `lspci: Unable to load libkmod resources: error -2\n${text}`],
  ])('%s', async (_, change) => {
    const { devices, groups } = await read(change(whole));
    expect(devices).toEqual((await plain).devices);
    expect(groups).toEqual((await plain).groups);
  });

  test('an error message inside any line of the dump, at any place', async () => {
    const { devices } = await plain;
    for (let at = 1; at < whole.length; at++) {
      const mixed = `${whole.slice(0, at)}pcilib: sysfs_read_vpd: read failed: Input/output error\n${whole.slice(at)}`;
      const again = await read(mixed);
      expect(again.devices, `at ${at}: ${JSON.stringify(whole.slice(at - 10, at + 10))}`).toEqual(devices);
    }
  });

  test('a plain list and a verbose excerpt of one device complete each other', async () => {
    const list = `${HEADER}\tKernel driver in use: igb\n${HEADER.replace('01:', '02:')}\tKernel driver in use: igb\n`;
    for (const text of [`${list}\n${whole}`, `${whole}\n${list}`]) {
      const { devices } = await read(text);
      expect(devices[0]).toMatchObject({ driver: 'igb', said: { acs: { capability: 0x5f } } });
      expect(devices[1]!.said!.pcie).toBeUndefined();
    }
  });

  test('the shell loops everybody uses to list groups', async () => {
    const first = `IOMMU Group 7 ${HEADER}IOMMU Group 12 ${HEADER.replace('01:', '02:')}`;
    const second = `IOMMU Group 7:\n\t${HEADER}IOMMU Group 12:\n\t${HEADER.replace('01:', '02:')}`;
    for (const text of [first, second]) {
      const snapshot = await read(text);
      expect(snapshot.groups).toEqual([
        { id: 7, devices: ['0000:01:00.0'] },
        { id: 12, devices: ['0000:02:00.0'] },
      ]);
      expect(snapshot.devices[0]!.said!.pcie).toBeUndefined();
      expect(snapshot.devices[0]!.vendor).toBe(0x8086);
    }
  });

  test.each([
    ['-t', '-[0000:00]-+-00.0\n           +-01.0-[01]----00.0\n', 'a tree of lspci -t'],
    ['-vmm', 'Slot:\t00:00.0\nClass:\tHost bridge\n', 'lspci -vmm'],
    ['-mm', '00:00.0 "Host bridge" "Intel" "X" "" ""\n', 'lspci -mm'],
  ])('lspci %s is told from rubbish, with what to run instead', async (_, text, words) => {
    await expect(read(text)).rejects.toThrow(
      `dump.txt: ${words} does not tell what is needed: run lspci -vvnn as root`,
    );
  });
});

describe('paths (-P, -PP)', () => {
  const bridge = (where: string, secondary: string) =>
    `${where} PCI bridge [0604]: X [8086:1901]\n\tControl: I/O+\n\tStatus: Cap-\n\tBus: primary=00, secondary=${secondary}, subordinate=09, sec-latency=0\n`;
  test('-PP has the buses', async () => {
    const { devices } = await read(`0001:00:1b.0/04:00.0/${HEADER}`);
    expect(devices[0]!.address).toBe('0001:01:00.0');
  });
  test('-P has them from the bridges above', async () => {
    const { devices } = await read(
      `${bridge('00:1b.0', '04')}\n${bridge('00:1b.0/00.0', '05')}\n00:1b.0/00.0/03.1 Audio device [0403]: X [8086:1]\n`,
    );
    expect(devices.map((device) => [device.address, device.path])).toEqual([
      ['0000:00:1b.0', undefined],
      ['0000:04:00.0', 'pci0000:00/0000:00:1b.0/0000:04:00.0'],
      ['0000:05:03.1', 'pci0000:00/0000:00:1b.0/0000:04:00.0/0000:05:03.1'],
    ]);
  });
  test('-P without -v leaves the bus unknown: noted', async () => {
    const { devices, notes } = await read(
      `00:1b.0 PCI bridge [0604]: X [8086:1901]\n00:1b.0/00.0 ${HEADER.slice(8)}`,
    );
    expect(devices).toHaveLength(1);
    expect(notes![0]).toContain('lspci -P without -v');
  });
});

describe('hex dumps', () => {
  const bytes = (count: number) =>
    Array.from({ length: count / 16 }, (_, row) => {
      const first =
        row === 0 ? '86 80 c9 10 07 04 00 00 02 00 00 02 00 00 80 00' : Array(16).fill('00').join(' ');
      return `${(row * 16).toString(16).padStart(2, '0')}: ${first}`;
    }).join('\n');
  const dump = (count: number, where = '01:00.0') =>
    `${where} Ethernet controller: Intel Corporation 82576\n${bytes(count)}\n\n`;

  test('-x, -xxx and -xxxx: as many bytes as were printed', async () => {
    for (const [count, size] of [
      [64, undefined],
      [256, undefined],
      [4096, 4096],
    ] as const) {
      const snapshot = await read(dump(count));
      expect(snapshot.form).toBe('hexdump');
      expect(snapshot.devices[0]!.config).toEqual({
        bytes: '8680c91007040000020000020000800000'.slice(0, 30),
        read: count,
        ...(size && { size }),
      });
    }
  });
  test('ids and class are taken from the bytes where the header has none', async () => {
    expect(await one(dump(64))).toMatchObject({
      vendor: 0x8086,
      device: 0x10c9,
      class: 0x020000,
      revision: 2,
    });
  });
  test('256 bytes are all there is where other devices of the dump show 4096', async () => {
    const { devices } = await read(dump(256) + dump(4096, '02:00.0'));
    expect(devices[0]!.config!.size).toBe(256);
  });
  test('bytes behind a gap are left out', async () => {
    const { devices, notes } = await read(dump(256).replace(/^40: .*\n/m, ''));
    expect(devices[0]!.config!.read).toBe(64);
    expect(notes![0]).toContain('gap before 50');
  });
});

/**
 * Exports as their consumers read them: by the consumer's own program or schema where it is installed, and by what is
 * written down in test/schemas from public documentation everywhere.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Describer } from '../src/advise/describe.ts';
import { type ExportCall, exportReport } from '../src/advise/export/export.ts';
import { EXPORTERS, findExporter } from '../src/advise/export/formats.ts';
import type { ExportReport } from '../src/advise/report.ts';
import { run } from '../src/cli/run.ts';
import { readHost } from '../src/host/read-host.ts';
import { readBytes } from '../src/host/readers.ts';
import { redact } from '../src/host/redact.ts';
import type { PciFacts, Snapshot } from '../src/host/snapshot.ts';
import { writeSnapshot } from '../src/host/writer.ts';
import { InputError } from '../src/kernel/errors.ts';
import { boot } from '../src/machine/boot.ts';
import { PciIds } from '../src/pci/ids.ts';
import { cdiSpec } from './schemas/cdi.ts';
import { kubeVirt } from './schemas/kubevirt.ts';
import { parsePrometheus } from './schemas/prometheus.ts';
import { parseHostPci, parseMappings } from './schemas/proxmox.ts';
import { resourceSlice } from './schemas/resource-slice.ts';
import {
  has,
  hasLibvirtSchemas,
  hasPython,
  libvirtSchemas,
  pyYaml,
  tool,
  withFile,
} from './support/consumers.ts';

const machineFile = (name: string): string =>
  new URL(`fixtures/machines/${name}.tar.gz`, import.meta.url).pathname;

const VFIO = await readHost(machineFile('vfio'));
const SWITCH = await readHost(machineFile('switch'));
const UNISOLATED = await readHost(machineFile('disable-acs-redir'));
const VIRTUAL = await readHost(machineFile('sriov-igb'));
const IDS = new PciIds(`
8086  Intel
	10d3  82574L Gigabit Network Connection
C 02  Network controller
	00  Ethernet controller
`);

const RNG = new URL('schemas/libvirt-hostdev.rng', import.meta.url).pathname;
const hasXmllint = has('xmllint', '--version');
const hasDot = has('dot', '-V');
const hasPromtool = has('promtool', '--version');
const hasModprobe = has('modprobe', '--version');
const hasQemu = has('qemu-system-x86_64', '--version');

/** As much of the explorer's page as matters here. */
const PAGE = '<title>page</title>\n<!-- machine -->\n<script>draw()</script>\n';

function exported(
  format: string,
  snapshot: Snapshot,
  names: string[],
  call: ExportCall = {},
  ids = IDS,
): ExportReport {
  const needs = findExporter(format).needsNode === undefined ? {} : { node: 'node1' };
  return exportReport(new Describer(snapshot, ids), boot(snapshot), findExporter(format), names, {
    ...(format === 'html' && { page: PAGE }),
    ...needs,
    ...call,
  });
}

function text(format: string, snapshot: Snapshot, names: string[], call: ExportCall = {}, ids = IDS): string {
  const report = exported(format, snapshot, names, call, ids);
  expect(report.problems).toEqual([]);
  expect(report.verdict).toBe('yes');
  return report.text!;
}

/** The snapshot with some facts of some devices changed. */
function changed(snapshot: Snapshot, changes: Record<string, Partial<PciFacts>>): Snapshot {
  return {
    ...snapshot,
    devices: snapshot.devices.map((device) => ({ ...device, ...changes[device.address] })),
  };
}

/** Both functions of the vfio machine's card bound, with nodes for iommufd. */
const BOUND = changed(VFIO, {
  '0000:01:00.0': { driver: 'vfio-pci', vfioDevice: 'vfio0' },
  '0000:01:00.1': { driver: 'vfio-pci', vfioDevice: 'vfio7' },
});

const CARD = '0000:01:00.0';
const OF_DEVICES = EXPORTERS.filter((exporter) => exporter.scope === 'devices').map(({ name }) => name);
const OF_MACHINE = EXPORTERS.filter((exporter) => exporter.scope === 'machine').map(({ name }) => name);

describe('what is exported', () => {
  test.each(OF_DEVICES.filter((name) => name !== 'kubevirt' && name !== 'modprobe'))(
    '%s: the whole group, and with only what was named',
    (format) => {
      expect(exported(format, VFIO, [CARD]).devices).toEqual([CARD, '0000:01:00.1']);
      expect(exported(format, VFIO, [CARD], { only: true }).devices).toEqual([CARD]);
      expect(text(format, VFIO, [CARD])).not.toBe(text(format, VFIO, [CARD], { only: true }));
    },
  );

  test('bridges stay behind, though they are in the group', () => {
    // Its group 1: two root ports, and a card behind each.
    expect(UNISOLATED.groups![1]!.devices).toEqual([
      '0000:00:02.0',
      '0000:00:02.1',
      '0000:01:00.0',
      '0000:02:00.0',
    ]);
    expect(exported('qemu', UNISOLATED, ['0000:02:00.0']).devices).toEqual(['0000:01:00.0', '0000:02:00.0']);
  });

  test.each(OF_DEVICES)('%s refuses a bridge that is named', (format) => {
    const report = exported(format, VFIO, ['0000:00:02.0']);
    expect(report).toMatchObject({ verdict: 'no', devices: [] });
    expect(report.problems.join()).toContain('0000:00:02.0 is a bridge');
    expect(report).not.toHaveProperty('text');
  });

  test('a device in no group cannot be exported', async () => {
    const none = await readHost(machineFile('amd'));
    const report = exported('qemu', none, ['0000:00:01.0']);
    expect(report.verdict).toBe('no');
  });

  test('a member that stays behind with a driver of the host is named', () => {
    const busy = changed(VFIO, { '0000:01:00.1': { driver: 'e1000e' } });
    const { notes } = exported('libvirt', busy, [CARD], { only: true });
    expect(notes).toEqual([
      'group 3 cannot be handed over while drivers of the host hold other members: 0000:01:00.1 (e1000e)',
    ]);
    expect(exported('libvirt', VFIO, [CARD], { only: true }).notes).toEqual([]);
  });

  test('what came along with the group is named', () => {
    expect(exported('libvirt', VFIO, [CARD]).notes).toEqual([
      'with the rest of the group: 0000:01:00.1; --only leaves that out',
    ]);
  });

  test.each(OF_DEVICES)('%s: what the host loses is said', (format) => {
    const used: Snapshot = {
      ...changed(VFIO, { '0000:01:00.1': { driver: 'nvme' } }),
      usage: [{ device: '0000:01:00.1', kind: 'root', detail: '/', through: 'nvme0n1p2' }],
    };
    const { notes, text } = exported(format, used, [CARD]);
    expect(notes.join('\n')).toMatch(/the host uses 0000:01:00\.1: .*nvme0n1p2/);
    if (format === 'modprobe') expect(text).toMatch(/^# WARNING: the host uses 0000:01:00\.1/m);
    expect(exported(format, used, [CARD], { only: true }).notes.join()).not.toContain('the host uses');
  });

  describe('where it is not known which groups the kernel formed', () => {
    const { groups: _, ...unknown } = changed(VFIO, { '0000:01:00.1': { driver: 'e1000e' } });

    test('the rules tell which devices go together, and the report says so', () => {
      const report = exported('qemu', unknown, [CARD]);
      expect(report.devices).toEqual([CARD, '0000:01:00.1']);
      expect(report.notes.join()).toContain('not known; these are the devices that the rules keep together');
    });

    test.each(['cdi', 'dra', 'proxmox-mapping'])(
      '%s, which has numbers of groups in it: cannot tell',
      (format) => {
        const report = exported(format, unknown, [CARD]);
        expect(report.verdict).toBe('cannot tell');
        expect(report).not.toHaveProperty('text');
        expect(report.problems.join()).toMatch(/numbers of groups.*ringfence capture/);
      },
    );

    test.each(['libvirt', 'qemu', 'proxmox', 'kubevirt'])(
      '%s: no predicted number gets into it',
      (format) => {
        for (const only of [true, false]) {
          const { verdict, text, notes } = exported(format, unknown, [CARD], { only });
          expect(verdict).toBe('yes');
          expect(`${text}${notes.join()}`).not.toMatch(/group \d/i);
        }
      },
    );
  });

  describe('where no IOMMU is in use', () => {
    const off: Snapshot = { ...VFIO, groups: [] };

    test.each(OF_DEVICES.filter((name) => name !== 'modprobe'))('%s: no, naming no-iommu', (format) => {
      const report = exported(format, off, [CARD]);
      expect(report).toMatchObject({ verdict: 'no', devices: [] });
      expect(report.problems.join()).toMatch(/^no-iommu: /);
      expect(report).not.toHaveProperty('text');
    });

    test.each([...OF_MACHINE, 'modprobe'])('%s does not rest on it', (format) => {
      expect(exported(format, off, [CARD]).verdict).toBe('yes');
    });
  });

  test('a format of devices wants devices', () => {
    expect(() => exported('qemu', VFIO, [])).toThrow(InputError);
    expect(() => findExporter('qemo')).toThrow(/knows libvirt, qemu/);
    expect(() => findExporter(undefined)).toThrow(/say which/);
  });

  test.each(['node.with.dots', 'a,b', '', 'x y'])('no node is called %j for Proxmox', (node) => {
    expect(() => exported('proxmox-mapping', VFIO, [CARD], { node })).toThrow(/^--node: /);
  });

  test.each(['Upper.case', '1st.example', 'a b', 'a'.repeat(59), ''])('no domain is called %j', (domain) => {
    expect(() => exported('cdi', VFIO, [CARD], { domain })).toThrow(/^--domain: /);
  });
});

describe('styles', () => {
  const LEGACY = /\/dev\/vfio\/(?:vfio|\d)/;
  const IOMMUFD = /iommufd|\/dev\/iommu|\/dev\/vfio\/devices/i;

  test.each(['libvirt', 'qemu', 'kubevirt', 'dra', 'cdi'])('%s never mixes them', (format) => {
    const [legacy, iommufd] = [
      text(format, BOUND, [CARD], { style: 'legacy' }),
      text(format, BOUND, [CARD], { style: 'iommufd' }),
    ];
    expect(legacy).not.toMatch(IOMMUFD);
    expect(iommufd).toMatch(IOMMUFD);
    expect(iommufd).not.toMatch(LEGACY);
    expect(iommufd).not.toMatch(/string: legacy/);
  });

  test.each(['proxmox', 'proxmox-mapping'])('%s knows only legacy, and says so', (format) => {
    expect(() => exported(format, VFIO, [CARD], { style: 'iommufd' })).toThrow(/does not know iommufd/);
  });

  test.each(['modprobe', ...OF_MACHINE])('%s is the same in both', (format) => {
    const names = format === 'modprobe' ? [CARD] : [];
    const report = exported(format, VFIO, names, { style: 'iommufd' });
    expect(report.text).toBe(text(format, VFIO, names));
    expect(report).not.toHaveProperty('style');
  });
});

describe('libvirt', () => {
  const wrapped = (xml: string): string => `<devices>\n${xml}</devices>\n`;

  test('a hostdev a function, managed unless told otherwise', () => {
    expect(text('libvirt', VFIO, [CARD], { only: true })).toBe(`\
<!-- 0000:01:00.0 Ethernet controller: Intel 82574L Gigabit Network Connection, IOMMU group 3 -->
<hostdev mode='subsystem' type='pci' managed='yes'>
  <driver name='vfio'/>
  <source>
    <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
  </source>
</hostdev>
`);
    expect(text('libvirt', VFIO, [CARD], { managed: false })).toContain("managed='no'");
    expect(text('libvirt', VFIO, [CARD], { style: 'iommufd' })).toContain(
      "<driver name='vfio' iommufd='yes'/>",
    );
  });

  test.skipIf(!hasXmllint).each([
    ['legacy', true],
    ['legacy', false],
    ['iommufd', true],
    ['iommufd', false],
  ] as const)('%s, managed %s: as the documentation has it (needs xmllint)', (style, managed) => {
    const xml = wrapped(text('libvirt', VFIO, [CARD], { style, managed }));
    expect(tool('xmllint', ['--noout', '--relaxng', RNG, '-'], xml)).toMatchObject({ code: 0 });
    const wrong = xml.replace("slot='0x00'", "slot='0x20'");
    expect(tool('xmllint', ['--noout', '--relaxng', RNG, '-'], wrong).code).not.toBe(0);
  });

  test.skipIf(!hasXmllint || !hasLibvirtSchemas)(
    "legacy is valid by libvirt's own schema (needs xmllint and libvirt0)",
    () => {
      const domain = (xml: string): string =>
        `<domain type='kvm'><name>g</name><memory>1</memory><os><type>hvm</type></os>${wrapped(xml)}</domain>`;
      const schema = join(libvirtSchemas, 'domain.rng');
      const xml = domain(text('libvirt', VFIO, [CARD]));
      expect(tool('xmllint', ['--noout', '--relaxng', schema, '-'], xml)).toMatchObject({ code: 0 });
      const wrong = xml.replace("name='vfio'", "name='vfoi'");
      expect(tool('xmllint', ['--noout', '--relaxng', schema, '-'], wrong).code).not.toBe(0);
    },
  );
});

describe('qemu', () => {
  test('a device a function; with iommufd one object for all', () => {
    expect(text('qemu', VFIO, [CARD])).toBe(`\
-device vfio-pci,host=0000:01:00.0 \\
-device vfio-pci,host=0000:01:00.1
`);
    expect(text('qemu', VFIO, [CARD], { style: 'iommufd' })).toBe(`\
-object iommufd,id=iommufd0 \\
-device vfio-pci,host=0000:01:00.0,iommufd=iommufd0 \\
-device vfio-pci,host=0000:01:00.1,iommufd=iommufd0
`);
  });

  const words = (args: string): string[] => args.replaceAll('\\\n', ' ').trim().split(/\s+/);
  const start = (args: string) =>
    tool('qemu-system-x86_64', ['-nodefaults', '-machine', 'q35', '-display', 'none', ...words(args)]);
  /** QEMU has read the argument when what it misses is the device. */
  const DEVICE_MISSING = /no such host device|Could not open|No such file|no iommu_group/i;

  /** An address that no machine has. */
  const nowhere = (snapshot: Snapshot, domain: string): Snapshot =>
    JSON.parse(JSON.stringify(snapshot).replaceAll('0000:01:00.', `${domain}:e9:1f.`)) as Snapshot;

  test.skipIf(!hasQemu).each(['0000', '10000'])(
    'QEMU takes the arguments, in domain %s too (needs qemu-system-x86_64)',
    (domain) => {
      const args = text('qemu', nowhere(VFIO, domain), [`${domain}:e9:1f.0`], { only: true });
      const { err } = start(args);
      expect(err).toMatch(DEVICE_MISSING);
      expect(err).not.toMatch(/doesn't take value|not found/);
      expect(start(args.replace('vfio-pci,', 'vfio-pci,hots=1,')).err).toMatch(/not found/);
    },
  );

  const knowsIommufd = hasQemu && tool('qemu-system-x86_64', ['-object', 'help']).out.includes('iommufd');
  test.skipIf(!knowsIommufd)('QEMU takes the iommufd arguments (needs QEMU 9.0)', () => {
    const address = '0000:e9:1f.0';
    const { err } = start(text('qemu', nowhere(VFIO, '0000'), [address], { style: 'iommufd', only: true }));
    expect(err).not.toMatch(/doesn't take value|not found|Invalid parameter/);
  });
});

describe('proxmox', () => {
  test('a slot that is exported whole goes by the name of the slot', () => {
    expect(parseHostPci(text('proxmox', VFIO, [CARD]))).toEqual([
      { index: 0, hosts: ['0000:01:00'], options: { pcie: '1' } },
    ]);
    expect(parseHostPci(text('proxmox', VFIO, [CARD], { only: true }))).toMatchObject([
      { hosts: ['0000:01:00.0'] },
    ]);
  });

  test('more than sixteen slots are refused, not cut off', () => {
    const copies = Array.from({ length: 17 }, (_, i) => `0000:${(0x20 + i).toString(16)}:00.0`);
    const card = VFIO.devices.find((device) => device.address === CARD)!;
    const many: Snapshot = {
      ...VFIO,
      devices: [...VFIO.devices, ...copies.map((address) => ({ ...card, address }))],
      groups: [...VFIO.groups!, ...copies.map((address, i) => ({ id: 50 + i, devices: [address] }))],
    };
    const report = exported('proxmox', many, copies);
    expect(report.verdict).toBe('no');
    expect(report.problems.join()).toContain('hostpci15');
    expect(exported('proxmox', many, copies.slice(1)).verdict).toBe('yes');
  });

  test('a mapping has what Proxmox compares before it starts a guest', () => {
    expect(parseMappings(text('proxmox-mapping', VFIO, [CARD], { node: 'pve1' }))).toEqual([
      {
        id: 'pci-0000-01-00',
        description: 'Ethernet controller: Intel 82574L Gigabit Network Connection',
        map: [
          {
            id: '8086:10d3',
            iommugroup: '3',
            node: 'pve1',
            path: '0000:01:00',
            'subsystem-id': '8086:0000',
          },
        ],
      },
    ]);
    expect(() => exported('proxmox-mapping', VFIO, [CARD], { node: undefined } as never)).toThrow(/--node/);
  });

  test('functions that come one by one get a mapping each, since a mapping has one pair of ids', () => {
    const two = parseMappings(text('proxmox-mapping', { ...SWITCH }, [endpointOf(SWITCH)], { only: true }));
    expect(two).toHaveLength(1);
    expect(two[0]!.map).toHaveLength(1);
  });
});

function endpointOf(snapshot: Snapshot): string {
  return snapshot.devices.find((device) => device.class! >> 16 !== 6)!.address;
}

describe('kubevirt', () => {
  test.skipIf(!hasPython).each(['legacy', 'iommufd'] as const)(
    '%s: as the types have it, an entry a pair of ids (needs python3-yaml)',
    (style) => {
      const [object] = pyYaml(text('kubevirt', VFIO, [CARD], { style }));
      const { spec } = kubeVirt.parse(object);
      expect(spec.configuration.permittedHostDevices.pciHostDevices).toEqual([
        { pciVendorSelector: '8086:10D3', resourceName: 'ringfence.local/pci-8086-10d3' },
      ]);
      expect(spec.configuration.developerConfiguration.featureGates).toEqual(
        style === 'iommufd' ? ['HostDevices', 'IOMMUFD'] : ['HostDevices'],
      );
    },
  );

  test('identical cards that are not exported are permitted all the same, and named', () => {
    expect(exported('kubevirt', VFIO, [CARD], { only: true }).notes.join()).toMatch(
      /0000:01:00\.1, identical to 0000:01:00\.0, is permitted as well/,
    );
    expect(exported('kubevirt', VFIO, [CARD]).notes.join()).not.toContain('identical');
  });
});

describe('dra', () => {
  test.skipIf(!hasPython).each(['legacy', 'iommufd'] as const)(
    '%s: slices as the API has them (needs python3-yaml)',
    (style) => {
      const slices = pyYaml(text('dra', VFIO, [CARD], { style })).map((one) => resourceSlice.parse(one));
      expect(slices[0]!.spec.devices[0]).toEqual({
        name: 'pci-0000-01-00-0',
        attributes: {
          'resource.kubernetes.io/pciBusID': { string: '0000:01:00.0' },
          'resource.kubernetes.io/pcieRoot': { string: 'pci0000:00' },
          backend: { string: style },
          class: { string: '0200' },
          device: { string: '10d3' },
          driver: { string: 'vfio-pci' },
          iommuGroup: { int: 3 },
          product: { string: 'Ethernet controller: Intel 82574L Gigabit Network Connection' },
          vendor: { string: '8086' },
        },
      });
    },
  );

  test.skipIf(!hasPython)('names are cut at 64 bytes, never within a character (needs python3-yaml)', () => {
    const ids = { className: () => 'é'.repeat(40), vendorName: () => undefined, deviceName: () => undefined };
    const [object] = pyYaml(text('dra', VFIO, [CARD], {}, ids as unknown as PciIds));
    const { attributes } = resourceSlice.parse(object).spec.devices[0]!;
    expect(attributes.product).toEqual({ string: 'é'.repeat(32) });
  });

  test.skipIf(!hasPython)('129 devices go into two slices of one pool (needs python3-yaml)', () => {
    const card = VFIO.devices.find((device) => device.address === CARD)!;
    const hex = (n: number) => n.toString(16).padStart(2, '0');
    const names = Array.from({ length: 129 }, (_, i) => `0000:${hex(0x40 + (i >> 5))}:${hex(i & 31)}.0`);
    const many: Snapshot = {
      ...VFIO,
      devices: names.map((address) => ({ ...card, address })),
      groups: names.map((address, id) => ({ id, devices: [address] })),
    };
    const slices = pyYaml(text('dra', many, names)).map((one) => resourceSlice.parse(one));
    expect(slices.map(({ spec }) => spec.devices.length)).toEqual([128, 1]);
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2);
    expect(slices.every(({ spec }) => spec.pool.resourceSliceCount === 2)).toBe(true);
  });
});

describe('cdi', () => {
  const spec = (snapshot: Snapshot, call: ExportCall = {}) =>
    cdiSpec.parse(JSON.parse(text('cdi', snapshot, [CARD], call)));
  const paths = (edits: { deviceNodes: { path: string }[] }) => edits.deviceNodes.map(({ path }) => path);

  test('legacy: the container and the node of the group', () => {
    const { devices, containerEdits } = spec(VFIO);
    expect(paths(containerEdits)).toEqual(['/dev/vfio/vfio']);
    expect(devices.map((device) => [device.name, paths(device.containerEdits)])).toEqual([
      [CARD, ['/dev/vfio/3']],
    ]);
  });

  test('iommufd: /dev/iommu and a node a device', () => {
    const { devices, containerEdits } = spec(BOUND, { style: 'iommufd' });
    expect(paths(containerEdits)).toEqual(['/dev/iommu']);
    expect(paths(devices[0]!.containerEdits)).toEqual(['/dev/vfio/devices/vfio0', '/dev/vfio/devices/vfio7']);
  });

  test('iommufd: no node is made up for a device that has none', () => {
    const cdi = (change: Partial<PciFacts>) =>
      exported('cdi', changed(BOUND, { [CARD]: change }), [CARD], { style: 'iommufd' });
    expect(cdi({ driver: null, vfioDevice: undefined } as never)).toMatchObject({ verdict: 'no' });
    expect(cdi({ driver: 'vfio-pci', vfioDevice: undefined } as never)).toMatchObject({
      verdict: 'cannot tell',
    });
    expect(cdi({ vfioDevice: null }).problems.join()).toContain('CONFIG_VFIO_DEVICE_CDEV');
  });

  test('a group that vfio made without an IOMMU is refused', () => {
    const groups = VFIO.groups!.map((group) => ({ ...group, name: 'vfio-noiommu' }));
    expect(exported('cdi', { ...VFIO, groups }, [CARD]).verdict).toBe('no');
  });

  test('which node is not there yet, and who keeps the group shut', () => {
    const busy = changed(VFIO, { [CARD]: { driver: null }, '0000:01:00.1': { driver: 'e1000e' } });
    const notes = exported('cdi', busy, [CARD]).notes.join('\n');
    expect(notes).toContain('/dev/vfio/3 is not there until vfio-pci is bound');
    expect(notes).toContain('0000:01:00.1 is driven by e1000e');
    expect(exported('cdi', VFIO, [CARD], { only: true }).notes).toEqual([]);
  });
});

describe('modprobe', () => {
  const lines = (snapshot: Snapshot, call: ExportCall = {}): string[] =>
    text('modprobe', snapshot, [CARD], call)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));

  test('ids once each, and a softdep for the driver that would come first', () => {
    const driven = changed(VFIO, {
      [CARD]: { driver: 'e1000e' },
      '0000:01:00.1': { driver: null, modules: ['snd-hda-intel', 'vfio-pci'] },
    });
    expect(lines(driven)).toEqual([
      'options vfio-pci ids=8086:10d3',
      'softdep e1000e pre: vfio-pci',
      'softdep snd_hda_intel pre: vfio-pci',
    ]);
  });

  test('an identical card that would be taken as well is warned of, in the file and beside it', () => {
    const report = exported('modprobe', VFIO, [CARD], { only: true });
    expect(report.text).toMatch(/^# WARNING: 0000:01:00\.1 has the same ids as 0000:01:00\.0/m);
    expect(report.notes.join()).toContain('0000:01:00.1 has the same ids');
  });

  test("where the card makers' ids differ, they tell the cards apart and nothing is warned of", () => {
    const other = changed(VFIO, { '0000:01:00.1': { subsystemVendor: 0x1043, subsystemDevice: 0x8369 } });
    expect(lines(other, { only: true })).toEqual(['options vfio-pci ids=8086:10d3:8086:0000']);
    expect(text('modprobe', other, [CARD], { only: true })).not.toContain('WARNING');
  });

  test.skipIf(!hasModprobe)('modprobe reads it as meant (needs kmod)', () => {
    const driven = changed(VFIO, { [CARD]: { driver: 'xhci_hcd' } });
    const { code, out } = withFile('vfio.conf', text('modprobe', driven, [CARD]), (path) =>
      tool('modprobe', ['-C', path, '--showconfig']),
    );
    expect(code).toBe(0);
    expect(out).toContain('options vfio_pci ids=8086:10d3\n');
    expect(out).toContain('softdep xhci_pci pre: vfio-pci\n');
  });
});

describe('prometheus', () => {
  test('groups, devices, drivers and isolation as metrics', () => {
    const samples = parsePrometheus(text('prometheus', VFIO, []));
    const of = (name: string) => samples.filter((sample) => sample.name === `ringfence_${name}`);
    expect(of('iommu_group_info')[3]).toMatchObject({
      labels: { group: '3', type: 'DMA', source: 'kernel' },
      value: 1,
    });
    expect(of('iommu_group_endpoints').map(({ value }) => value)).toEqual([0, 0, 2, 2]);
    expect(of('iommu_group_vfio_devices').map(({ value }) => value)).toEqual([0, 0, 0, 1]);
    expect(of('device_info')).toHaveLength(VFIO.devices.length);
    expect(of('device_info').at(-2)!.labels).toMatchObject({ device: CARD, driver: 'vfio-pci', group: '3' });
    expect(of('device_isolates').find(({ labels }) => labels.device === '0000:00:02.0')!.value).toBe(1);
    expect(of('verify_differences')).toMatchObject([{ labels: {}, value: 0 }]);
  });

  test('with devices named, those of their groups', () => {
    const samples = parsePrometheus(text('prometheus', VFIO, [CARD]));
    const devices = samples.filter(({ name }) => name === 'ringfence_device_info');
    expect(devices.map(({ labels }) => labels.device)).toEqual([CARD, '0000:01:00.1']);
    expect(samples.filter(({ name }) => name === 'ringfence_iommu_group_info')).toHaveLength(1);
  });

  test.skipIf(!hasPromtool)('promtool finds nothing to say (needs promtool)', () => {
    const ran = tool('promtool', ['check', 'metrics'], text('prometheus', SWITCH, []));
    expect(ran).toEqual({ code: 0, out: '', err: '' });
  });
});

describe('pictures', () => {
  interface DotJson {
    objects: { name: string; label: string; nodes?: number[] }[];
  }
  const dotJson = (source: string): DotJson => {
    const { code, out, err } = tool('dot', ['-Tdot_json'], source);
    expect([code, err]).toEqual([0, '']);
    return JSON.parse(out) as DotJson;
  };

  test.skipIf(!hasDot)('dot: a cluster a group, with its members (needs graphviz)', () => {
    const { objects } = dotJson(text('dot', SWITCH, []));
    const nodes = objects.filter(({ name }) => /^n\d+$/.test(name));
    for (const group of SWITCH.groups!) {
      const cluster = objects.find(({ name }) => name === `cluster_${group.id}`)!;
      const members = cluster.nodes!.map((index) => objects[index]!.label.split(/ |\\n/)[0]);
      expect(members.sort()).toEqual([...group.devices].sort());
    }
    expect(nodes).toHaveLength(SWITCH.devices.length + 1);
  });

  test.each(['switch', 'sriov-igb', 'amd', 'none', 'bridges'])(
    'svg: every device of %s once',
    async (name) => {
      const snapshot = await readHost(machineFile(name));
      const drawn = text('svg', snapshot, []);
      for (const { address } of snapshot.devices)
        expect(drawn.split(`>${address} `), address).toHaveLength(2);
      expect(drawn).toContain('prefers-color-scheme: dark');
    },
  );

  test('svg and dot with devices named: their groups, and the bridges above', () => {
    for (const format of ['svg', 'dot']) {
      const drawn = text(format, VFIO, [CARD]);
      expect(drawn).toContain('0000:01:00.1');
      expect(drawn).toContain('0000:00:02.0');
      expect(drawn).not.toContain('0000:00:1f.2');
    }
  });

  test.skipIf(!hasXmllint)('svg is well-formed (needs xmllint)', () => {
    expect(tool('xmllint', ['--noout', '-'], text('svg', VIRTUAL, []))).toMatchObject({ code: 0 });
  });
});

describe('html', () => {
  test('the machine stands in the page, as a capture has it', () => {
    const written = text('html', VFIO, []);
    const [, json] = /id="ringfence-machine" data-name="[^"]*">(.*)<\/script>/.exec(written)!;
    expect(JSON.parse(json!).devices).toEqual(redact(VFIO).devices);
    expect(written).toContain('draw()');
  });

  test('nothing in a recording ends its element or reaches a terminal', () => {
    const hostile = '</script><script>alert(1)</script><!-- \u001b[31m \u009b \u202e " & $&';
    const snapshot = { ...VFIO, board: hostile, kernel: { ...VFIO.kernel, version: hostile } };
    const written = text('html', snapshot, []);
    expect(written.match(/<\/?script/g)).toHaveLength(6);
    expect(written).not.toContain('<!--');
    for (const unfit of ['\u001b', '\u009b', '\u202e']) expect(written).not.toContain(unfit);
    const [, json] = /id="ringfence-machine" data-name="[^"]*">(.*)<\/script>/.exec(written)!;
    expect(JSON.parse(json!)).toMatchObject({ board: hostile });
  });

  test('without the page it cannot be written', () => {
    expect(() => text('html', VFIO, [], { page: '' })).toThrow(/needs the page/);
  });
});

describe('determinism', () => {
  test.each(EXPORTERS.map(({ name }) => name))(
    '%s: the order in which things were recorded is no matter',
    (format) => {
      const backwards: Snapshot = {
        ...VFIO,
        groups: [...VFIO.groups!]
          .reverse()
          .map((group) => ({ ...group, devices: [...group.devices].reverse() })),
      };
      const names = OF_DEVICES.includes(format) ? ['0000:00:1f.2', CARD] : [];
      expect(text(format, backwards, [...names].reverse())).toBe(text(format, VFIO, names));
    },
  );
});

describe('the command', () => {
  const command = async (words: string[]) => {
    const said = { code: -1, out: '', err: '' };
    said.code = await run(['export', ...words], {
      env: {},
      stdout: {
        write: (line: string) => {
          said.out += line;
        },
      },
      stderr: {
        write: (line: string) => {
          said.err += line;
        },
      },
    });
    return said;
  };
  const at = ['--host', machineFile('vfio')];

  test('the text goes to standard output, what to know of it to standard error', async () => {
    const { code, out, err } = await command(['-f', 'proxmox', '01:00', ...at]);
    expect([code, out]).toEqual([0, 'hostpci0: 0000:01:00,pcie=1\n']);
    expect(err).toBe('ringfence: note: pcie=1 needs machine type q35; for i440fx leave it out\n');
  });

  test('--json is one report with both', async () => {
    const { out, err } = await command(['-f', 'qemu', '01:00.0', '--iommufd', '--json', ...at]);
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({
      report: 'export',
      version: 1,
      format: 'qemu',
      style: 'iommufd',
      verdict: 'yes',
      devices: [CARD, '0000:01:00.1'],
      problems: [],
      notes: [expect.stringContaining('--only'), expect.stringContaining('QEMU 9.0')],
    });
  });

  test('a group by its number, without its bridges', async () => {
    const { out } = await command(['-f', 'qemu', '1', '--host', machineFile('disable-acs-redir')]);
    expect(out.match(/host=\S+/g)).toEqual(['host=0000:01:00.0', 'host=0000:02:00.0']);
  });

  test.each([
    [1, ['-f', 'qemu', '00:02.0'], 'is a bridge'],
    [3, ['-f', 'cdi', '--iommufd', '--only', '01:00.0'], 'does not tell its node'],
    [2, ['01:00.0'], '--format: say which'],
    [2, ['-f', 'qemu'], 'expects DEVICE'],
    [2, ['-f', 'dra', '01:00.0'], '--node: '],
    [2, ['-f', 'qemu', '99'], 'no group of that number'],
  ])('exit code %i for %j', async (code, words, problem) => {
    const said = await command([...words, ...at]);
    expect(said.err).toContain(problem);
    expect(said).toMatchObject({ code, out: '' });
  });
});

describe('the node of a device in /dev/vfio/devices', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ringfence-export-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  test('is read from sysfs and kept in snapshots; null where the kernel makes none', async () => {
    execFileSync('tar', ['-xzf', machineFile('vfio'), '-C', scratch]);
    const top = existsSync(join(scratch, 'sys')) ? scratch : join(scratch, readdirSync(scratch)[0]!);
    const device = join(top, 'sys/bus/pci/devices', CARD);
    const node = async () => {
      const snapshot = await readHost(top);
      const again = await readBytes(writeSnapshot(snapshot), 'snapshot');
      const [read, kept] = [snapshot, again].map(({ devices }) =>
        devices.map(({ address, vfioDevice }) => [address, vfioDevice] as const),
      );
      expect(kept).toEqual(read);
      return new Map(read).get(CARD);
    };
    expect(await node()).toBeUndefined();
    mkdirSync(join(device, 'vfio-dev/vfio4'), { recursive: true });
    expect(await node()).toBeNull();
    writeFileSync(join(device, 'vfio-dev/vfio4/dev'), '511:0\n');
    expect(await node()).toBe('vfio4');
  });
});

/** Names as nobody would give them, and everybody's parser would like them least. */
const NASTY = [
  `"'<>&--> ]]> <!-- \\`,
  '\\n\\"}; evil [label="x"]; {',
  '"} 1\nringfence_fake{x="',
  '# null ~ yes: - [a] {b}',
  '&lt; &#0; %s $(id) `id` \u0000\u0007\u001b[31m',
  'é漢字🂡\u2028\u0085\ud800\ufffe',
  '---',
  '-',
];

/** The nearest name that a driver could have in sysfs. */
function fileName(name: string): string {
  const legal = name.replace(/[/\0]/g, '!');
  return /^\.{0,2}$/.test(legal) ? '!' : legal;
}

function hostile(names: readonly string[]): { snapshot: Snapshot; ids: PciIds } {
  const at = (index: number): string => names[index % names.length]!;
  const ids = {
    className: (code: number) => at(code >> 8),
    vendorName: (vendor: number) => at(vendor),
    deviceName: (_: number, device: number) => at(device + 1),
    subsystemName: () => at(3),
  } as unknown as PciIds;
  const snapshot: Snapshot = {
    ...VFIO,
    board: at(2),
    devices: VFIO.devices.map((device, index) => ({ ...device, driver: fileName(at(index)) })),
    groups: VFIO.groups!.map((group, index) => ({ ...group, type: at(index + 3), name: at(index + 4) })),
  };
  return { snapshot, ids };
}

describe('hostile names', () => {
  const anything = fc.array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary' }), fc.string()), {
    minLength: 1,
    maxLength: 6,
  });

  test('every format keeps its own structure, whatever devices, drivers and groups are called', () => {
    fc.assert(
      fc.property(anything, (names) => {
        const { snapshot, ids } = hostile(names);
        const write = (format: string, call: ExportCall = {}) =>
          text(format, snapshot, named(format), call, ids);
        expect(write('libvirt').match(/^<hostdev /gm)).toHaveLength(2);
        expect(write('libvirt').replace(/^<!-- (?:(?!--).)* -->\n/gm, '')).not.toContain('<!--');
        expect(write('qemu')).toBe(text('qemu', VFIO, [CARD]));
        expect(parseHostPci(write('proxmox'))).toHaveLength(1);
        expect(parseMappings(write('proxmox-mapping'))).toHaveLength(1);
        cdiSpec.parse(JSON.parse(write('cdi')));
        const plain = write('modprobe')
          .split('\n')
          .filter((line) => !line.startsWith('#'));
        for (const line of plain)
          expect(line).toMatch(/^(?:options vfio-pci ids=[0-9a-f:,]+|softdep \w+ pre: vfio-pci|)$/);
        const metrics = parsePrometheus(write('prometheus'));
        expect(metrics.filter(({ name }) => name === 'ringfence_device_info')).toHaveLength(7);
        expect(metrics.some(({ name }) => name.includes('fake'))).toBe(false);
        expect(write('dot').match(/ -> /g)!.length).toBeGreaterThanOrEqual(7);
        expect(write('svg').match(/<\/?[a-z]+/g)!.length).toBe(
          text('svg', { ...VFIO, board: 'x' }, []).match(/<\/?[a-z]+/g)!.length,
        );
      }),
      { numRuns: 60 },
    );
  });

  function named(format: string): string[] {
    return OF_DEVICES.includes(format) ? [CARD] : [];
  }

  test.skipIf(!hasXmllint)('XML stays well-formed (needs xmllint)', () => {
    for (const name of NASTY) {
      const { snapshot, ids } = hostile([name]);
      const xml = `<devices>${text('libvirt', snapshot, [CARD], {}, ids)}</devices>`;
      expect(tool('xmllint', ['--noout', '--relaxng', RNG, '-'], xml), name).toMatchObject({ code: 0 });
      expect(tool('xmllint', ['--noout', '-'], text('svg', snapshot, [], {}, ids)), name).toMatchObject({
        code: 0,
      });
    }
  });

  test.skipIf(!hasPython)('YAML says what was meant (needs python3-yaml)', () => {
    for (const name of NASTY) {
      const { snapshot, ids } = hostile([name]);
      const slices = pyYaml(text('dra', snapshot, [CARD], {}, ids));
      const { attributes } = resourceSlice.parse(slices[0]).spec.devices[0]!;
      const clean = Buffer.from(fileName(name)).toString();
      if (Buffer.byteLength(clean) <= 64) expect(attributes.driver).toEqual({ string: clean });
      kubeVirt.parse(pyYaml(text('kubevirt', snapshot, [CARD], {}, ids))[0]);
    }
  });

  test.skipIf(!hasDot)('dot gives labels back as they were meant (needs graphviz)', () => {
    for (const name of NASTY) {
      const { snapshot, ids } = hostile([name]);
      const { code, out } = tool('dot', ['-Tdot_json'], text('dot', snapshot, [], {}, ids));
      expect(code, name).toBe(0);
      expect(
        (JSON.parse(out) as { objects: { name: string }[] }).objects.filter((o) => /^n\d+$/.test(o.name)),
      ).toHaveLength(8);
    }
  });

  test.skipIf(!hasPromtool)('promtool takes it (needs promtool)', () => {
    const { snapshot, ids } = hostile(NASTY);
    expect(tool('promtool', ['check', 'metrics'], text('prometheus', snapshot, [], {}, ids)).code).toBe(0);
  });
});

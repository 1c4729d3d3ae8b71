/** What happens when files of the simulated /sys are written, held against Linux 6.12's drivers/pci. */

import { expect, test } from 'vitest';
import { boot } from '../../machine/boot.ts';
import type { Machine } from '../../machine/machine.ts';
import { code, recording, type Simulated, simulate, walk } from './testing.ts';

const PF = '0000:01:00.0';
const VFS = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4'];
const BUS = '/bus/pci';
const device = (address: string) => `${BUS}/devices/${address}`;
const groupOf = ({ sysfs }: Simulated, address: string) =>
  sysfs
    .readlink(`${device(address)}/iommu_group`)
    .split('/')
    .at(-1);
const groups = (machine: Machine) =>
  machine
    .groups()
    .map(({ devices }) => [...devices].sort())
    .sort();
const igb = () => simulate(recording('sriov-igb'));

test('sriov_numvfs: switching off takes the virtual functions, on brings them back in groups of the model', async () => {
  const simulated = await igb();
  const { sysfs, machine } = simulated;
  const before = groups(machine);
  expect(sysfs.readText(`${device(PF)}/sriov_numvfs`)).toBe('3\n');
  sysfs.write(`${device(PF)}/sriov_numvfs`, '0\n');
  expect(sysfs.readText(`${device(PF)}/sriov_numvfs`)).toBe('0\n');
  for (const vf of VFS) expect(sysfs.lookup(device(vf))).toBeUndefined();
  expect(sysfs.lookup(`${device(PF)}/virtfn0`)).toBeUndefined();
  sysfs.write(`${device(PF)}/sriov_numvfs`, '3');
  expect(groups(machine)).toEqual(before);
  for (const [index, vf] of VFS.entries()) {
    expect(sysfs.readlink(`${device(PF)}/virtfn${index}`)).toBe(`../${vf}`);
    expect(sysfs.readlink(`${device(vf)}/physfn`)).toBe(`../${PF}`);
    expect(groupOf(simulated, vf)).toBe(String(machine.groupOf(vf)!.id));
  }
});

test('sriov_numvfs beyond what was recorded: ids, addresses and regions follow from the capability', async () => {
  const { sysfs, machine } = await igb();
  sysfs.write(`${device(PF)}/sriov_numvfs`, '0');
  sysfs.write(`${device(PF)}/sriov_numvfs`, '7');
  const last = '0000:01:11.4';
  expect(sysfs.readlink(`${device(PF)}/virtfn6`)).toBe(`../${last}`);
  expect(sysfs.readText(`${device(last)}/device`)).toBe('0x10ca\n');
  expect(sysfs.readText(`${device(last)}/vendor`)).toBe('0x8086\n');
  expect(sysfs.readText(`${device(last)}/resource`).split('\n')[0]).toBe(
    '0x00000000fea18000 0x00000000fea1bfff 0x000000000014220c',
  );
  expect(sysfs.readText(`${device(last)}/uevent`)).toContain('PCI_ID=8086:10CA\n');
  expect(machine.groupOf(last)!.devices).toEqual([last]);
  // Registers of a virtual function do not tell its ids.
  expect([...sysfs.read(`${device(last)}/config`).subarray(0, 4)]).toEqual([255, 255, 255, 255]);
  const fresh = boot(machine.snapshot);
  expect(groups(machine)).toEqual(groups(fresh));
});

test('sriov_numvfs refuses what the kernel refuses', async () => {
  const { sysfs } = await igb();
  const write = (text: string) => code(() => sysfs.write(`${device(PF)}/sriov_numvfs`, text));
  expect(write('nonsense')).toBe('EINVAL');
  expect(write('8')).toBe('ERANGE');
  expect(write('70000')).toBe('ERANGE');
  expect(write('2')).toBe('EBUSY');
  expect(write('3')).toBe('ok');
  expect(sysfs.lookup(`${device(VFS[0]!)}/sriov_numvfs`)).toBeUndefined();
  sysfs.write(`${BUS}/drivers/igb/unbind`, PF);
  // As most drivers do, igb switched them off when it let go.
  expect(sysfs.readText(`${device(PF)}/sriov_numvfs`)).toBe('0\n');
  expect(write('0')).toBe('ok');
  expect(write('1')).toBe('ENOENT');
  sysfs.write(`${device(PF)}/driver_override`, 'vfio-pci');
  sysfs.write(`${BUS}/drivers_probe`, PF);
  expect(write('1')).toBe('ENOENT');
});

test('sriov_drivers_autoprobe off: virtual functions get a driver only by an override', async () => {
  const { sysfs } = await igb();
  const vf = VFS[0]!;
  sysfs.write(`${device(PF)}/sriov_drivers_autoprobe`, 'n\n');
  expect(sysfs.readText(`${device(PF)}/sriov_drivers_autoprobe`)).toBe('0\n');
  sysfs.write(`${device(PF)}/sriov_numvfs`, '0');
  sysfs.write(`${BUS}/drivers/pci-stub/new_id`, '8086 10ca');
  sysfs.write(`${device(PF)}/sriov_numvfs`, '1');
  expect(sysfs.lookup(`${device(vf)}/driver`)).toBeUndefined();
  sysfs.write(`${device(vf)}/driver_override`, 'pci-stub');
  sysfs.write(`${BUS}/drivers_probe`, vf);
  expect(sysfs.readlink(`${device(vf)}/driver`)).toMatch(/\/pci-stub$/);
});

test.each(['switch', 'multifunction', 'random-30', 'sriov-igb', 'bridges'])(
  'every device of %s removed and found again: groups are those of the model, and what is shown is as before',
  async (name) => {
    const { sysfs, machine } = await simulate(recording(name));
    for (const { address } of [...machine.pci.devices].filter(
      (each) => each.pciBus.isRoot && !each.isVirtual,
    )) {
      sysfs.write(`${device(address)}/remove`, '1');
      expect(sysfs.lookup(device(address))).toBeUndefined();
    }
    expect(sysfs.list(`${BUS}/devices`)).toEqual([]);
    expect(machine.groups()).toEqual([]);
    sysfs.write(`${BUS}/rescan`, '1');
    const again = machine.pci.devices.map(({ address }) => address);
    expect([...sysfs.list(`${BUS}/devices`)].sort()).toEqual([...again].sort());
    for (const { id, devices } of machine.groups()) {
      expect(sysfs.list(`/kernel/iommu_groups/${id}/devices`)).toEqual([...devices].sort());
    }
    const { machine: first } = await simulate(recording(name));
    const physical = first.pci.devices.filter((each) => !each.isVirtual).map(({ address }) => address);
    expect([...again].sort()).toEqual([...physical].sort());
    for (const address of again) {
      const driver = (of: Machine) => of.device(address)!.driver?.name;
      expect(driver(machine)).toBe(driver(first));
    }
  },
  60_000,
);

test('remove takes what is below; rescan of a bus brings back only what is on it', async () => {
  const { sysfs, events } = await simulate(recording('switch'));
  const paths = new Set([...walk(sysfs.root)].map(([path]) => path));
  const root = sysfs
    .list(`${BUS}/devices`)
    .find((name) => sysfs.lookup(`${device(name)}/pci_bus`) !== undefined)!;
  const path = sysfs.readlink(device(root)).replace(/^(\.\.\/)+/, '/');
  const open = sysfs.lookup(`${path}/uevent`);
  sysfs.write(`${path}/remove`, '1\n');
  expect([...walk(sysfs.root)].some(([each]) => each.startsWith(`${path}/`))).toBe(false);
  expect(events.filter(({ action }) => action === 'remove').at(-1)).toEqual({ action: 'remove', path });
  expect(code(() => open?.kind === 'file' && open.open({ admin: true }).read(0, 10))).toBe('ENODEV');
  expect(sysfs.lookup(`/class/pci_bus/0000:01`)).toBeUndefined();
  sysfs.write('/devices/pci0000:00/pci_bus/0000:00/rescan', '1');
  expect(new Set([...walk(sysfs.root)].map(([each]) => each))).toEqual(paths);
});

test('config: everybody reads the header, root all of it; hardware keeps the bits that can be written', async () => {
  const { sysfs } = await igb();
  const file = `${device(PF)}/config`;
  expect(sysfs.read(file, { admin: false })).toHaveLength(64);
  expect(sysfs.read(file)).toHaveLength(4096);
  const word = (at: number) => Buffer.from(sysfs.read(file)).readUInt16LE(at);
  const ids = word(0);
  sysfs.write(file, Uint8Array.of(0x12, 0x34), 0);
  expect(word(0)).toBe(ids);
  sysfs.write(file, Uint8Array.of(0xff, 0xff), 4);
  expect(word(4)).toBe(0x0557);
  sysfs.write(file, Uint8Array.of(0, 0), 4);
  expect(word(4)).toBe(0);
  // A BAR answers with its size.
  sysfs.write(file, Uint8Array.of(0xff, 0xff, 0xff, 0xff), 0x10);
  expect(Buffer.from(sysfs.read(file)).readUInt32LE(0x10)).toBe(0xfffe_0000);
  expect(sysfs.write(file, Uint8Array.of(1), 4096)).toBe(0);
});

test('config of a device and of its vfio-pci is the same', async () => {
  const { sysfs, vfio, machine } = await simulate(recording('vfio'));
  const bound = vfio.devices[0]!;
  const file = `${device(bound.label)}/config`;
  sysfs.write(file, Uint8Array.of(0x99), 0x3c);
  const { hardware } = bound.ops as unknown as { hardware: { read(at: number, width: number): number } };
  expect(hardware.read(0x3c, 1)).toBe(0x99);
  expect(machine.device(bound.label)).toBe(bound.device);
});

test('ACS switched off by setpci: what is found below afterwards shares the group of the port', async () => {
  const { sysfs, machine } = await simulate(recording('root-ports'));
  const port = machine.pci.devices.find(
    ({ facts, subordinate }) => (facts.acs?.control ?? 0) !== 0 && (subordinate?.devices.length ?? 0) > 0,
  )!;
  const below = port.subordinate!.devices[0]!.address;
  const alone = machine.groupOf(below)!.devices;
  expect(alone).not.toContain(port.address);
  sysfs.write(`${device(port.address)}/config`, Uint8Array.of(0, 0), port.facts.acs!.at! + 6);
  expect(machine.acs(port.address).enabled).toBe(false);
  // Groups stay as they are until somebody looks again.
  expect(machine.groupOf(below)!.devices).toEqual(alone);
  sysfs.write(`${device(below)}/remove`, '1');
  sysfs.write(`${device(port.address)}/rescan`, '1');
  expect(machine.groupOf(below)!.devices).toContain(port.address);
});

test('new_id gives a driver devices with that id, remove_id takes the id and leaves them', async () => {
  const { sysfs, vfio } = await simulate(recording('vfio'));
  const nic = '0000:01:00.1';
  const write = (file: string, text: string) =>
    code(() => sysfs.write(`${BUS}/drivers/vfio-pci/${file}`, text));
  expect(write('new_id', '8086')).toBe('EINVAL');
  expect(write('remove_id', '8086 10d3')).toBe('ENODEV');
  const ids = ['vendor', 'device']
    .map((file) =>
      sysfs
        .readText(`${device(nic)}/${file}`)
        .trim()
        .slice(2),
    )
    .join(' ');
  const says = write('new_id', ids);
  // Its neighbour, recorded with vfio-pci, may have the same id: then vfio-pci is for it already.
  expect(['ok', 'EEXIST']).toContain(says);
  sysfs.write(`${BUS}/drivers_probe`, nic);
  expect(sysfs.readlink(`${device(nic)}/driver`)).toMatch(/\/vfio-pci$/);
  if (says === 'ok') expect(write('remove_id', ids)).toBe('ok');
  const { name } = vfio.devices.find(({ label }) => label === nic)!;
  expect(sysfs.readText(`${device(nic)}/vfio-dev/${name}/dev`)).toMatch(/^511:\d+\n$/);
  expect(sysfs.readlink(`/class/vfio-dev/${name}`)).toMatch(new RegExp(`${nic}/vfio-dev/${name}$`));
  expect(sysfs.readText(`/class/vfio-dev/${name}/device/vendor`)).toBe('0x8086\n');
});

test('uevent names the driver; writing it is heard; a word that is no event is EINVAL', async () => {
  const { sysfs, events } = await igb();
  expect(sysfs.readText(`${device(PF)}/uevent`)).toMatch(/^DRIVER=igb\nPCI_CLASS=/);
  sysfs.write(`${BUS}/drivers/igb/unbind`, PF);
  expect(sysfs.readText(`${device(PF)}/uevent`)).toMatch(/^PCI_CLASS=/);
  const path = `/devices/pci0000:00/0000:00:02.0/${PF}`;
  expect(events.filter((event) => event.path === path)).toEqual([{ action: 'unbind', path }]);
  sysfs.write(`${path}/uevent`, 'change\n');
  expect(events.at(-1)).toEqual({ action: 'change', path });
  expect(code(() => sysfs.write(`${path}/uevent`, 'bogus'))).toBe('EINVAL');
});

test("a group's type is what the model makes of what is written", async () => {
  const simulated = await igb();
  const { sysfs, machine } = simulated;
  const group = `/kernel/iommu_groups/${groupOf(simulated, '0000:00:00.0')}`;
  sysfs.write(`${group}/type`, 'identity');
  expect(sysfs.readText(`${group}/type`)).toBe('identity\n');
  expect(machine.groupOf('0000:00:00.0')!.type).toBe('identity');
  expect(code(() => sysfs.write(`${group}/type`, 'nonsense'))).toBe('EINVAL');
  const used = `/kernel/iommu_groups/${groupOf(simulated, PF)}`;
  sysfs.write(`${BUS}/drivers/igb/unbind`, PF);
  sysfs.write(`${device(PF)}/driver_override`, 'vfio-pci');
  sysfs.write(`${BUS}/drivers_probe`, PF);
  expect(sysfs.readText(`${used}/type`)).toMatch(/^DMA/);
});

test('enable, reset, reset_method, power and settings answer as the kernel does', async () => {
  const { sysfs } = await igb();
  const write = (file: string, text: string, admin = true) =>
    code(() => sysfs.write(`${device(PF)}/${file}`, text, 0, { admin }));
  expect(write('enable', '1')).toBe('EBUSY');
  expect(write('enable', '1', false)).toBe('EPERM');
  sysfs.write(`${BUS}/drivers/igb/unbind`, PF);
  expect(sysfs.readText(`${device(PF)}/enable`)).toBe('0\n');
  expect(write('enable', '0')).toBe('EIO');
  expect(write('enable', '1')).toBe('ok');
  expect(sysfs.readText(`${device(PF)}/enable`)).toBe('1\n');
  expect(sysfs.readText(`${device(PF)}/reset_method`)).toBe('flr pm bus\n');
  expect(write('reset_method', 'bus flr')).toBe('ok');
  expect(sysfs.readText(`${device(PF)}/reset_method`)).toBe('bus flr\n');
  expect(write('reset_method', 'magic')).toBe('EINVAL');
  expect(write('reset', '1')).toBe('ok');
  expect(write('reset', '2')).toBe('EINVAL');
  expect(write('reset_method', '\n')).toBe('ok');
  expect(write('reset', '1')).toBe('ENOTTY');
  expect(write('reset_method', 'default')).toBe('ok');
  expect(sysfs.readText(`${device(PF)}/reset_method`)).toBe('flr pm bus\n');
  expect(write('power/control', 'auto')).toBe('ok');
  expect(write('power/control', 'off')).toBe('EINVAL');
  expect(write('msi_bus', '0')).toBe('ok');
  expect(sysfs.readText(`${device(PF)}/msi_bus`)).toBe('0\n');
  expect(write('numa_node', '5')).toBe('EINVAL');
  expect(write('vendor', '0x1234')).toBe('EIO');
});

test('regions have their sizes; memory is not read, ports answer all ones', async () => {
  const { sysfs } = await igb();
  const entry = sysfs.lookup(`${device(PF)}/resource0`);
  expect(entry).toMatchObject({ kind: 'file', mode: 0o600, size: 0x20000 });
  expect(code(() => sysfs.read(`${device(PF)}/resource0`))).toBe('EIO');
  const ports = sysfs.lookup(`${device(PF)}/resource2`);
  if (ports?.kind !== 'file') throw new Error('no ports');
  expect([...ports.open({ admin: true }).read(0, 2)]).toEqual([255, 255]);
  expect(code(() => ports.open({ admin: true }).read(0, 8))).toBe('EINVAL');
  expect(sysfs.lookup(`${device(PF)}/resource4`)).toBeUndefined();
});

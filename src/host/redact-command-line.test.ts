import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCommandLine } from '../pci/command-line.ts';
import { redactCommandLine } from './redact-command-line.ts';

/** What recorded machines were booted with, and what the rules read. */
const STAYS = [
  'console=ttyS0 panic=-1 quiet loglevel=4 log_buf_len=1M nokaslr mitigations=off no_timer_check tsc=reliable',
  'random.trust_cpu=on cryptomgr.notests=1 intel_iommu=on oracle.mods=igb rd.modules-load=vfio oracle.vfio=0000:01:00.0 oracle.sriov=0000:01:00.0/3',
  'pci=noari,disable_acs_redir=0000:00:02.0;0000:00:03.0/00.0/01.0 pci=config_acs=xx1x0xx@pci:104c:8233',
  'pci=disable_acs_redir=00:1f.0/1a.0/1b.0/1c.0/1d.0/1e.0 iommu=pt intel_iommu=sm_on iommu.strict=1',
  'vfio-pci.ids=10de:1b80,10de:10f0 pci-stub.ids=8086:1502:8086:2015 vfio_iommu_type1.allow_unsafe_interrupts=1',
  'pcie_acs_override=downstream,id:8086:1901 amd_iommu=fullflush ivrs_ioapic[32]=00:14.0 intremap=nosid',
  'nointremap pcie_aspm=off video=efifb:off module_blacklist=nouveau,snd_hda_intel hugepages=16 isolcpus=2-7,10',
  'acpi_osi="!Windows 2012" i915.modeset=0 nvme.use_threaded_interrupts=1 8250.nr_uarts=0 ro single',
];

test.each(STAYS)('stays: %s', (line) => expect(redactCommandLine(line)).toBe(line));

/** Every one holds `dead`, `secret` or the serial number in some notation. */
const PLANTED = [
  'root=/dev/disk/by-id/nvme-Samsung_SSD_970_EVO_Plus_1TB_S4EWNX0R123456A-part2',
  'resume=/dev/disk/by-id/wwn-0x5002538e4092dead',
  'ip=10.0.0.2::10.0.0.1:255.255.255.0:deadhost:eth0:none',
  'ifname=eth0:de:ad:be:ef:00:01',
  'BOOTIF=01-de-ad-be-ef-00-02',
  'rd.znet_ifname=x:dead.beef.0003',
  'root=PARTUUID=deadbeef-02',
  'root=UUID=deadbeef-1111-2222-3333-444444444444',
  'root="LABEL=dead disk"',
  '"root=LABEL=dead disk"',
  'rd.luks.uuid=luks-deadbeef-1111-2222-3333-444444444444',
  'systemd.machine_id=deadbeefdeadbeefdeadbeefdeadbeef',
  'rd.iscsi.initiator=iqn.1994-05.com.redhat:deadbeef1234',
  'netroot=iscsi:user:secret@10.0.0.9::3260::iqn.x',
  'inst.ks=http://user:secret@h/ks',
  'rd.auth=secret',
  'nfsroot=10.1.1.1:/export/deadhost',
  'nvme.hostnqn=nqn.2014-08.org.nvmexpress:uuid:deadbeef-dead-beef-dead-beefdeadbeef',
  'iface=dead:beef:0000:0007::1',
  'de:ad:be:ef:00:05',
  'deadbeef-1111-2222-3333-444444444444',
  'deadbeef0004=on',
  // Values that may stay, unless they look like what must not.
  'console=ttyS0,de:ad:be:ef:00:01',
  'crashkernel=deadbeef0004',
  '-- secret',
  'init=/bin/sh -- --token=secret',
];

test.each(PLANTED)('leaves no trace of %s', (word) => {
  const redacted = redactCommandLine(`quiet ${word}`);
  expect(redacted).not.toMatch(/dead|de.ad|secret|S4EWN|beef/i);
  expect(redacted).toMatch(/^quiet /);
});

test('keeps the names of what it takes out', () => {
  expect(redactCommandLine('BOOT_IMAGE=/vmlinuz root=/dev/sda2  ro\tip=dhcp "a=b c" -- x')).toBe(
    'BOOT_IMAGE=… root=… ro ip=… a=… -- …',
  );
});

const word = fc.oneof(
  fc.constantFrom(...STAYS.join(' ').split(' '), ...PLANTED, '--', '"', '"--"', '=', 'a="b', ' ', '\t'),
  fc.string({ unit: fc.constantFrom(...'ab01:.-=",;@/ \t') }),
);

test('what the kernel reads of a line stays, and doing it twice changes nothing more', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      const line = words.join(' ');
      const once = redactCommandLine(line);
      expect(redactCommandLine(once)).toBe(once);
      expect(parseCommandLine(once)).toEqual(parseCommandLine(line));
    }),
  );
});

import { describe, expect, it } from 'vitest';
import type { Device } from '../device/device.ts';
import { DeviceDma, DmaFault } from './dma.ts';
import { Domain, DomainType } from './domain.ts';
import { MockDriver, MockIommu } from './drivers/mock.ts';
import { VtdSecondLevel } from './pagetable/vtd-second-level.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { Bench } from './testing.ts';

const PAGE = 4096n;

/** One device behind an IOMMU, claimed, and three pages of memory. */
function setUp() {
  const bench = new Bench();
  const driver = new MockDriver({ maxPasids: () => 8 });
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const device = bench.device('0000:01:00.0');
  const group = bench.iommu.states.find(device)?.group;
  if (group === undefined) throw new Error('the device has no group');
  const physical = new PhysicalMemory();
  const bytes = new Uint8Array(3 * 4096);
  const { first } = physical.reserve(3, {
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    write: (offset, from) => bytes.set(from, offset),
  });
  const ops = { attachDev: () => {}, setDevPasid: () => {} };
  const pageTable = new VtdSecondLevel();
  const domain = new Domain({ type: DomainType.Unmanaged, ops, pageTable, pageSizes: pageTable.pageSizes });
  domain.owner = driver;
  const dma = new DeviceDma(bench.iommu, device, physical);
  return { bench, driver, device, group, physical, bytes, base: BigInt(first) * PAGE, domain, dma, ops };
}

function faultOf(act: () => unknown): DmaFault {
  try {
    act();
  } catch (error) {
    if (error instanceof DmaFault) return error;
    throw error;
  }
  throw new Error('no fault');
}

describe('DMA of a device', () => {
  it('goes through the domain its group is attached to at that moment', () => {
    const { group, domain, base, bytes, dma } = setUp();
    group.claimDmaOwner({});
    expect(faultOf(() => dma.write(0x1000n, Uint8Array.of(1))).reason).toBe('blocked');
    group.attachDomain(domain);
    domain.map(0x1000n, base + PAGE, PAGE, 3);
    dma.write(0x1005n, Uint8Array.of(9));
    expect(bytes[4096 + 5]).toBe(9);
    expect([...dma.read(0x1004n, 3)]).toEqual([0, 9, 0]);
    group.detachDomain();
    expect(faultOf(() => dma.read(0x1000n, 1)).reason).toBe('blocked');
  });

  it('an identity domain, and no IOMMU at all, lead to the address itself', () => {
    const { bench, driver, group, physical, base, bytes, dma } = setUp();
    group.claimDmaOwner({});
    group.replaceDomain(driver.identityDomain);
    dma.write(base, Uint8Array.of(4));
    expect(bytes[0]).toBe(4);
    const stranger: Device = bench.device('0000:02:00.0', undefined, bench.addBus('other'));
    bench.iommu.unregisterDevice(bench.iommu.instances[0]!);
    const free = new DeviceDma(bench.iommu, stranger, physical);
    free.write(base + 1n, Uint8Array.of(5));
    expect(bytes[1]).toBe(5);
    const marked = new DeviceDma(bench.iommu, stranger, physical, 3);
    expect(faultOf(() => marked.read(base, 1)).reason).toBe('no-iommu');
  });

  it('a fault says in one line who may not do what, and why', () => {
    const { group, domain, base, physical, bench, device, dma } = setUp();
    group.claimDmaOwner({});
    group.attachDomain(domain);
    domain.map(0x1000n, base, PAGE, 1);
    domain.map(0x2000n, base, PAGE, 2);
    domain.map(0x3000n, 0x10n * PAGE, PAGE, 3);
    const messages = [
      faultOf(() => dma.write(0x1000n, Uint8Array.of(1))),
      faultOf(() => dma.read(0x2010n, 1)),
      faultOf(() => dma.read(0x5000n, 1)),
      faultOf(() => dma.read(0x3000n, 1)),
      faultOf(() => new DeviceDma(bench.iommu, device, physical, 5).read(0x1000n, 1)),
    ].map((fault) => fault.message);
    expect(messages).toEqual([
      '0000:01:00.0 may not write 0x1000: mapped read-only',
      '0000:01:00.0 may not read 0x2010: mapped write-only',
      '0000:01:00.0 may not read 0x5000: nothing is mapped there',
      '0000:01:00.0 may not read 0x3000: no memory is where that leads',
      '0000:01:00.0 may not read 0x1000 with PASID 5: all its DMA is blocked',
    ]);
  });

  it('crosses pages that are apart in memory; a fault leaves the pages before it written', () => {
    const { group, domain, base, bytes, dma } = setUp();
    group.claimDmaOwner({});
    group.attachDomain(domain);
    domain.map(0x1000n, base + 2n * PAGE, PAGE, 3);
    domain.map(0x2000n, base, PAGE, 3);
    domain.map(0x3000n, base + PAGE, PAGE, 1);
    dma.write(0x1fffn, Uint8Array.of(1, 2));
    expect([bytes[3 * 4096 - 1], bytes[0]]).toEqual([1, 2]);
    const heard: DmaFault[] = [];
    dma.onFault = (fault) => heard.push(fault);
    const fault = faultOf(() => dma.write(0x2ffen, Uint8Array.of(3, 4, 5)));
    expect([fault.iova, fault.write, fault.reason]).toEqual([0x3000n, true, 'not-writable']);
    expect(heard).toEqual([fault]);
    expect([bytes[4094], bytes[4095], bytes[4096]]).toEqual([3, 4, 0]);
  });

  it('marked with a PASID goes through what is attached to that', () => {
    const { bench, group, device, domain, base, bytes, physical } = setUp();
    group.attachPasid(domain, device, 3, {});
    domain.map(0x1000n, base, PAGE, 3);
    new DeviceDma(bench.iommu, device, physical, 3).write(0x1000n, Uint8Array.of(6));
    expect(bytes[0]).toBe(6);
  });

  it('sets dirty bits of what it writes while tracking is on', () => {
    const { group, domain, base, dma } = setUp();
    group.claimDmaOwner({});
    group.attachDomain(domain);
    domain.map(0x1000n, base, 2n * PAGE, 3);
    domain.pageTable?.setDirtyTracking(true);
    dma.read(0x1000n, 10);
    dma.write(0x2000n, Uint8Array.of(1));
    const dirty: bigint[] = [];
    domain.pageTable?.readAndClearDirty(0n, 0xffffn, true, (iova) => dirty.push(iova));
    expect(dirty).toEqual([0x2000n]);
  });

  it('lets the driver translate where the page table is not all of it', () => {
    const { driver, group, base, bytes, dma } = setUp();
    const nested = new Domain({
      type: DomainType.Nested,
      ops: {
        attachDev: () => {},
        translateDma: (_domain, iova) => (iova < 8n ? { paddr: base + iova, last: 7n } : 'not-mapped'),
      },
    });
    nested.owner = driver;
    group.claimDmaOwner({});
    group.attachDomain(nested);
    expect(faultOf(() => dma.write(6n, Uint8Array.of(1, 2, 3))).iova).toBe(8n);
    expect([...bytes.subarray(6, 9)]).toEqual([1, 2, 0]);
  });

  it('ends at 2^64-1', () => {
    const { driver, group, dma } = setUp();
    const everything = new Domain({
      type: DomainType.Nested,
      ops: { attachDev: () => {}, translateDma: () => ({ paddr: 0n, last: 0xffff_ffff_ffff_ffffn }) },
    });
    everything.owner = driver;
    group.claimDmaOwner({});
    group.attachDomain(everything);
    expect(faultOf(() => dma.read(0xffff_ffff_ffff_ffffn, 1)).reason).toBe('no-memory');
  });
});

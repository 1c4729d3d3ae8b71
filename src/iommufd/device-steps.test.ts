/** Issue section 5 for devices: whatever step fails, the state is what it was, object by object and pin by pin. */

import { describe, expect, test } from 'vitest';
import { RegionType } from '../iommu/reserved-region.ts';
import { faultQueueAlloc } from './calls/fault-queue-alloc.ts';
import { hwptAlloc } from './calls/hwpt-alloc.ts';
import type { IommufdDevice } from './device.ts';
import { DeviceBench, hwptRequest } from './device-testing.ts';
import { everyStepFails } from './testing.ts';

const SOFTWARE_MSI = { start: 0x800_0000n, last: 0x80f_ffffn, type: RegionType.SoftwareMsi };
const RESERVED = { start: 0x20_0000n, last: 0x20_ffffn, type: RegionType.Reserved };
const FAULT_ID_VALID = 4;
const PASID = 8;

function stage() {
  const bench = new DeviceBench(['Ga', 'Gb', 'Ha'], {
    resvRegions: (device) => (device.name === 'Ga' ? [SOFTWARE_MSI] : [RESERVED]),
    pageRequests: () => true,
    maxPasids: () => 16,
  });
  const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
  const [from, to] = [bench.ioas(), bench.ioas()];
  bench.map(from, 0x1000n, 3);
  bench.map(to, 0x2000n, 2);
  return { bench, ga, gb, from, to };
}

/** A nested table with a fault queue. */
function faulting(bench: DeviceBench, device: IommufdDevice) {
  const parent = bench.hwpt(device, bench.ioas(), { flags: 1 });
  const arena = bench.base.memory.mmap(1);
  const queue = { flags: 0, outFaultId: 0, outFaultFd: 0 };
  faultQueueAlloc(bench.context, queue);
  return bench.hwpt(device, parent, {
    flags: FAULT_ID_VALID,
    faultId: queue.outFaultId,
    dataType: 0x6d6f636b,
    dataLen: 8,
    dataUptr: arena.base,
  });
}

function attempt(prepare: (on: ReturnType<typeof stage>) => () => unknown): string[] {
  return everyStepFails(() => {
    const on = stage();
    const act = prepare(on);
    return { faults: on.bench.faults, act, picture: () => on.bench.picture() };
  });
}

describe('every step fails once', () => {
  test('bind', () => {
    const steps = attempt(
      ({ bench }) =>
        () =>
          bench.bind('Ha'),
    );
    expect(steps).toEqual(['iommufd group', 'DMA ownership', 'attach', 'object id']);
  });

  test('attach of the first device to an IOAS', () => {
    const steps = attempt(
      ({ ga, from }) =>
        () =>
          ga.attach(from.id),
    );
    expect(steps).toEqual(
      expect.arrayContaining(['object look-up', 'domain', 'object id', 'MSI cookie', 'attach', 'map']),
    );
  });

  test('attach of a second device of the group', () => {
    const steps = attempt(({ ga, gb, from }) => {
      ga.attach(from.id);
      return () => gb.attach(from.id);
    });
    expect(steps).toEqual(['object look-up', 'reserved regions', 'reserved range']);
  });

  test('attach to an HWPT', () => {
    attempt(({ bench, ga, from }) => {
      const hwpt = bench.hwpt(ga, from);
      return () => ga.attach(hwpt.id);
    });
  });

  test('attach to a table with a fault queue', () => {
    const steps = attempt(({ bench, ga }) => {
      const hwpt = faulting(bench, ga);
      return () => ga.attach(hwpt.id);
    });
    expect(steps).toContain('page requests');
  });

  test('replace of a group of two, to another IOAS', () => {
    const steps = attempt(({ ga, gb, from, to }) => {
      ga.attach(from.id);
      gb.attach(from.id);
      return () => gb.replace(to.id);
    });
    expect(steps.filter((step) => step === 'reserved regions')).toHaveLength(2);
    expect(steps.filter((step) => step === 'attach')).toHaveLength(2);
  });

  test('replace by another HWPT of the same IOAS', () => {
    attempt(({ bench, ga, gb, from }) => {
      const [one, two] = [bench.hwpt(ga, from), bench.hwpt(ga, from)];
      ga.attach(one.id);
      gb.attach(one.id);
      return () => ga.replace(two.id);
    });
  });

  test('replace by a table with a fault queue', () => {
    attempt(({ bench, ga, from }) => {
      ga.attach(from.id);
      const hwpt = faulting(bench, ga);
      return () => ga.replace(hwpt.id);
    });
  });

  test('replace of a table with a fault queue', () => {
    attempt(({ bench, ga, from }) => {
      ga.attach(faulting(bench, ga).id);
      return () => ga.replace(from.id);
    });
  });

  test('attach and replace at a PASID', () => {
    attempt(({ bench, ga, from }) => {
      const hwpt = bench.hwpt(ga, from, { flags: PASID });
      return () => ga.pasidAttach(7, hwpt.id);
    });
    attempt(({ bench, ga, from, to }) => {
      const [one, two] = [bench.hwpt(ga, from, { flags: PASID }), bench.hwpt(ga, to, { flags: PASID })];
      ga.pasidAttach(7, one.id);
      return () => ga.pasidReplace(7, two.id);
    });
  });

  test('HWPT_ALLOC on an IOAS', () => {
    const steps = attempt(({ bench, ga, from }) => {
      const request = hwptRequest(ga, from, { flags: 1 });
      return () => hwptAlloc(bench.context, request);
    });
    expect(steps).toEqual(expect.arrayContaining(['domain', 'object id', 'map']));
  });

  test('HWPT_ALLOC on a parent, with a fault queue', () => {
    attempt(({ bench, ga, from }) => {
      const parent = bench.hwpt(ga, from, { flags: 1 });
      const queue = { flags: 0, outFaultId: 0, outFaultFd: 0 };
      faultQueueAlloc(bench.context, queue);
      const arena = bench.base.memory.mmap(1);
      const data = { dataType: 0x6d6f636b, dataLen: 8, dataUptr: arena.base };
      const request = hwptRequest(ga, parent, { flags: FAULT_ID_VALID, faultId: queue.outFaultId, ...data });
      return () => hwptAlloc(bench.context, request);
    });
  });
});

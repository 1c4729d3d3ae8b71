/** Issue section 5, devices and page tables: every step, every member of a group, every kind of table. */

import { describe, expect, test } from 'vitest';
import { faultQueueAlloc } from '../../../src/iommufd/calls/fault-queue-alloc.ts';
import { getHwInfo } from '../../../src/iommufd/calls/get-hw-info.ts';
import { hwQueueAlloc } from '../../../src/iommufd/calls/hw-queue-alloc.ts';
import { hwptAlloc } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { hwptGetDirtyBitmap } from '../../../src/iommufd/calls/hwpt-get-dirty-bitmap.ts';
import { hwptInvalidate } from '../../../src/iommufd/calls/hwpt-invalidate.ts';
import { hwptSetDirtyTracking } from '../../../src/iommufd/calls/hwpt-set-dirty-tracking.ts';
import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { vdeviceAlloc } from '../../../src/iommufd/calls/vdevice-alloc.ts';
import { veventqAlloc } from '../../../src/iommufd/calls/veventq-alloc.ts';
import { viommuAlloc } from '../../../src/iommufd/calls/viommu-alloc.ts';
import type { FaultQueue } from '../../../src/iommufd/fault-queue.ts';
import {
  DeviceFlag,
  HW_QUEUE_TYPE_SELFTEST,
  HWPT_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST,
  TestOp,
  VEVENTQ_TYPE_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
} from '../../../src/iommufd/selftest/numbers.ts';
import { drop, hwptRequest, mockDomain, newFaultQueue, newHwpt } from '../calls.ts';
import { PAGE } from '../machine.ts';
import { type EveryStepOptions, everyStep, refusedCleanly } from './every-step.ts';
import { AREAS, IoasStage, type Situation } from './stage.ts';

const LOOK_UP = 'object look-up';
const NEST_PARENT = 1;
const DIRTY_TRACKING = 2;
const FAULT_ID_VALID = 4;
const PASID = 8;
/** Detaching must succeed: a driver that refuses is warned of, and everything is given back all the same. */
const DETACHING = { survives: ['attach'] };
const PLAIN: Situation = { name: 'no page table' };

/** All of group G is bound, and nothing attached. */
class DeviceStage extends IoasStage {
  readonly ga = this.bind('Ga');
  readonly gb = this.bind('Gb');
  readonly gc = this.bind('Gc');

  constructor(situation: Situation = PLAIN) {
    super(situation);
    this.memory.write(this.scratch, new Uint8Array(16).fill(8));
  }

  hwpt(flags = 0, ioas = this.ioas): number {
    return newHwpt(this.context, this.ga.id, ioas, { flags });
  }

  /** Of the mock driver: data of 8 bytes. */
  nested(extra: { faultId?: number; flags?: number } = {}, ioas = this.ioas): number {
    const parent = this.hwpt(NEST_PARENT, ioas);
    const data = { dataType: 0x6d6f636b, dataLen: 8, dataUptr: this.scratch };
    return newHwpt(this.context, this.ga.id, parent, { ...data, ...extra });
  }

  faulting(ioas = this.ioas): { hwpt: number; queue: FaultQueue } {
    const { id } = newFaultQueue(this.context);
    const hwpt = this.nested({ flags: FAULT_ID_VALID, faultId: id }, ioas);
    return { hwpt, queue: this.context.objects.peek<FaultQueue>(id, 'fault')! };
  }

  /** `Ga` asks for a page. */
  fault(grpid: number): void {
    const { iommu } = this.base.iommufd;
    iommu.reportDeviceFault(this.ga.device, { flags: 2, pasid: 0, grpid, perm: 1, addr: 0x5000n });
  }
}

function tryAll(
  prepare: (on: DeviceStage) => () => unknown,
  options?: EveryStepOptions,
  situation?: Situation,
): string[] {
  return everyStep(() => new DeviceStage(situation), prepare, options);
}

describe('every step fails once', () => {
  test('bind of the first device of a group, and of another', () => {
    expect(tryAll((on) => () => on.bind('Ha'))).toContain('DMA ownership');
    const bench = () => new IoasStage(PLAIN);
    everyStep(bench, (on) => {
      on.bind('Ga');
      return () => on.bind('Gb');
    });
  });

  test('unbind', () => {
    const steps = everyStep(
      () => new IoasStage(PLAIN),
      (on) => {
        const bound = on.bind('Ha');
        return () => bound.unbind();
      },
      DETACHING,
    );
    expect(steps).toEqual(['attach']);
  });

  describe.each([
    ['an IOAS', (on: DeviceStage) => on.ioas],
    ['an IOAS with reserved regions set up before', (on: DeviceStage) => on.other],
    ['an HWPT', (on: DeviceStage) => on.hwpt()],
    ['an HWPT with dirty tracking', (on: DeviceStage) => on.hwpt(DIRTY_TRACKING)],
    ['a nested HWPT', (on: DeviceStage) => on.nested()],
    ['a nested HWPT with a fault queue', (on: DeviceStage) => on.faulting().hwpt],
    ['a nested HWPT of another IOAS', (on: DeviceStage) => on.nested({}, on.other)],
  ])('to %s', (_, target) => {
    test('attach of the first device of a group', () => {
      tryAll((on) => {
        const pt = target(on);
        return () => on.ga.attach(pt);
      });
    });

    test('attach of the first device, which has a window for interrupt messages', () => {
      tryAll((on) => {
        const pt = target(on);
        return () => on.gb.attach(pt);
      });
    });

    test('attach of the third', () => {
      const steps = tryAll((on) => {
        const pt = target(on);
        on.gc.attach(pt);
        on.ga.attach(pt);
        return () => on.gb.attach(pt);
      });
      expect(steps).not.toContain('attach');
    });

    test('detach of the last, and of one of two', () => {
      for (const others of [0, 1]) {
        const steps = tryAll((on) => {
          const pt = target(on);
          on.ga.attach(pt);
          if (others > 0) on.gb.attach(pt);
          return () => on.ga.detach();
        }, DETACHING);
        expect(steps).toEqual(others > 0 ? [] : ['attach', 'attach', 'attach']);
      }
    });

    test.each([
      ['the automatic table of the IOAS', (on: DeviceStage) => on.ioas],
      ['the automatic table of another IOAS', (on: DeviceStage) => on.other],
      ['an HWPT', (on: DeviceStage) => on.hwpt()],
      ['a faulting HWPT', (on: DeviceStage) => on.faulting().hwpt],
      ['a faulting HWPT of another IOAS', (on: DeviceStage) => on.faulting(on.other).hwpt],
    ])('replace of %s', (_name, before) => {
      tryAll((on) => {
        const pt = before(on);
        const next = target(on);
        on.ga.attach(pt);
        on.gb.attach(pt);
        return () => on.gb.replace(next);
      });
    });
  });

  test('replace by the same', () => {
    const steps = tryAll((on) => {
      const pt = on.hwpt();
      on.ga.attach(pt);
      return () => on.ga.replace(pt);
    });
    expect(steps).toEqual([LOOK_UP]);
  });

  test('replace while page faults wait: they are answered when it succeeds, and only then', () => {
    tryAll((on) => {
      const { hwpt, queue } = on.faulting();
      on.ga.attach(hwpt);
      on.fault(1);
      queue.readFaults(1);
      on.fault(2);
      return () => on.ga.replace(on.other);
    });
  });

  describe('with PASIDs', () => {
    test('attach, replace and detach', () => {
      const steps = tryAll((on) => {
        const pt = on.hwpt(PASID);
        return () => on.ga.pasidAttach(3, pt);
      });
      // Every member of the group that has PASIDs is told.
      expect(steps.filter((step) => step === 'pasid')).toHaveLength(3);
      tryAll((on) => {
        const [from, to] = [on.hwpt(PASID), on.hwpt(PASID, on.other)];
        on.ga.pasidAttach(3, from);
        return () => on.ga.pasidReplace(3, to);
      });
      expect(
        tryAll((on) => {
          on.ga.pasidAttach(3, on.hwpt(PASID));
          return () => on.ga.pasidDetach(3);
        }),
      ).toEqual([]);
    });

    test('attach of a second device, and beside what has none', () => {
      tryAll((on) => {
        const pt = on.hwpt(PASID);
        on.ga.attach(pt);
        on.ga.pasidAttach(3, pt);
        return () => on.gb.pasidAttach(3, pt);
      });
    });
  });

  test.each([
    ['plain', 0],
    ['parent', NEST_PARENT],
    ['with dirty tracking', DIRTY_TRACKING],
    ['for PASIDs', PASID],
    ['all of it', NEST_PARENT | DIRTY_TRACKING | PASID],
  ])('HWPT_ALLOC on an IOAS: %s', (_, flags) => {
    const steps = tryAll((on) => {
      const request = on.watch(hwptRequest(on.ga.id, on.ioas, { flags }));
      return () => hwptAlloc(on.context, request);
    });
    expect(steps).toContain('domain');
    expect(steps.filter((step) => step === 'page batch')).toHaveLength(3);
  });

  test('HWPT_ALLOC where another table holds the pages, and where an access has some pinned', () => {
    for (const situation of [
      { name: '', mocks: 1 },
      { name: '', pinned: true },
    ]) {
      tryAll(
        (on) => {
          const request = on.watch(hwptRequest(on.ga.id, on.ioas));
          return () => hwptAlloc(on.context, request);
        },
        {},
        situation,
      );
    }
  });

  test('HWPT_ALLOC on a parent, without and with a fault queue', () => {
    for (const withQueue of [false, true]) {
      tryAll((on) => {
        const parent = on.hwpt(NEST_PARENT);
        const data = { dataType: 0x6d6f636b, dataLen: 8, dataUptr: on.scratch };
        const fault = withQueue ? { flags: FAULT_ID_VALID, faultId: newFaultQueue(on.context).id } : {};
        const request = on.watch(hwptRequest(on.ga.id, parent, { ...data, ...fault }));
        return () => hwptAlloc(on.context, request);
      });
    }
  });

  test('DESTROY of every kind of table', () => {
    for (const make of [
      (on: DeviceStage) => on.hwpt(),
      (on: DeviceStage) => on.nested(),
      (on: DeviceStage) => on.faulting().hwpt,
    ]) {
      const steps = tryAll((on) => {
        const id = make(on);
        return () => drop(on.context, id);
      });
      expect(steps).toEqual([]);
    }
  });

  test('SET_DIRTY_TRACKING and GET_DIRTY_BITMAP', () => {
    for (const flags of [0, 1]) {
      tryAll((on) => {
        const hwptId = on.hwpt(DIRTY_TRACKING);
        return () => hwptSetDirtyTracking(on.context, { flags, hwptId, reserved: 0 });
      });
    }
    tryAll((on) => {
      const hwptId = on.hwpt(DIRTY_TRACKING);
      on.ga.attach(hwptId);
      hwptSetDirtyTracking(on.context, { flags: 1, hwptId, reserved: 0 });
      on.ga.dma.write(AREAS.even, new Uint8Array(5000));
      const range = { iova: AREAS.even, length: 4n * PAGE, pageSize: PAGE, data: on.scratch };
      return () => hwptGetDirtyBitmap(on.context, { hwptId, flags: 0, reserved: 0, ...range });
    });
  });

  test('GET_HW_INFO', () => {
    tryAll((on) => {
      const request = on.watch({
        flags: 0,
        devId: on.ga.id,
        dataLen: 12,
        dataUptr: on.scratch,
        outDataType: 0,
        outMaxPasidLog2: 0,
        reserved: [0, 0, 0] as [number, number, number],
        outCapabilities: 0n,
      });
      return () => getHwInfo(on.context, request);
    });
  });

  test('FAULT_QUEUE_ALLOC, and closing its descriptor', () => {
    const steps = tryAll((on) => {
      const request = on.watch({ flags: 0, outFaultId: 0, outFaultFd: 0 });
      return () => faultQueueAlloc(on.context, request);
    });
    expect(steps).toEqual(['object id', 'page fault file', 'page fault descriptor']);
    expect(
      tryAll((on) => {
        const { fd } = newFaultQueue(on.context);
        return () => on.base.files.close(fd);
      }),
    ).toEqual([]);
  });

  test('page faults arrive, are read and answered', () => {
    const prepared = (on: DeviceStage): FaultQueue => {
      const { hwpt, queue } = on.faulting();
      on.ga.attach(hwpt);
      on.fault(1);
      on.fault(2);
      return queue;
    };
    const steps = tryAll((on) => {
      const queue = prepared(on);
      return () => queue.readFaults(1);
    });
    expect(steps).toEqual(['page fault cookie']);
    tryAll((on) => {
      const queue = prepared(on);
      return () => on.fault(queue.waiting);
    });
    tryAll((on) => {
      const queue = prepared(on);
      const [first] = queue.readFaults();
      return () => queue.writeResponses([{ cookie: first!.cookie, code: 0 }]);
    });
    tryAll((on) => {
      const queue = prepared(on);
      queue.readFaults(1);
      return () => on.ga.detach();
    }, DETACHING);
  });
});

describe('every step fails once: what the selftest has', () => {
  class GuestStage extends IoasStage {
    readonly mock = mockDomain(this.context, this.ioas, DeviceFlag.Pasid);
    readonly parent = newHwpt(this.context, this.mock.idev, this.ioas, { flags: NEST_PARENT });

    viommu(): number {
      const request = this.#viommuRequest();
      viommuAlloc(this.context, request);
      return request.outViommuId;
    }

    #viommuRequest() {
      const rest = { flags: 0, outViommuId: 0, dataLen: 0, reserved: 0, dataUptr: 0n };
      return { type: VIOMMU_TYPE_SELFTEST, devId: this.mock.idev, hwptId: this.parent, ...rest };
    }

    viommuRequest() {
      return this.watch(this.#viommuRequest());
    }

    nestedRequest(ptId: number) {
      const data = { dataType: HWPT_DATA_SELFTEST, dataLen: 4, dataUptr: this.scratch };
      return this.watch(hwptRequest(this.mock.idev, ptId, data));
    }

    vdevice(viommuId: number): number {
      const request = { viommuId, devId: this.mock.idev, outVdeviceId: 0, virtId: 9n };
      vdeviceAlloc(this.context, request);
      return request.outVdeviceId;
    }
  }
  const tryGuest = (prepare: (on: GuestStage) => () => unknown, options?: EveryStepOptions) =>
    everyStep(() => new GuestStage(PLAIN), prepare, options);

  test('nested tables, on a parent and on a vIOMMU', () => {
    tryGuest((on) => {
      const request = on.nestedRequest(on.parent);
      return () => hwptAlloc(on.context, request);
    });
    tryGuest((on) => {
      const request = on.nestedRequest(on.viommu());
      return () => hwptAlloc(on.context, request);
    });
  });

  test('invalidation', () => {
    tryGuest((on) => {
      const request = on.nestedRequest(on.parent);
      hwptAlloc(on.context, request);
      on.memory.write(on.scratch, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
      const entries = { dataUptr: on.scratch, entryLen: 8, entryNum: 1, reserved: 0 };
      const hwptId = request.outHwptId;
      return () => hwptInvalidate(on.context, { hwptId, dataType: INVALIDATE_DATA_SELFTEST, ...entries });
    });
  });

  test('VIOMMU_ALLOC', () => {
    tryGuest((on) => {
      const request = on.viommuRequest();
      return () => viommuAlloc(on.context, request);
    });
  });

  test('VDEVICE_ALLOC', () => {
    tryGuest((on) => {
      const viommuId = on.viommu();
      const request = on.watch({ viommuId, devId: on.mock.idev, outVdeviceId: 0, virtId: 9n });
      return () => vdeviceAlloc(on.context, request);
    });
  });

  test('attach to a nested table of a vIOMMU', () => {
    tryGuest((on) => {
      const viommu = on.viommu();
      on.vdevice(viommu);
      const nested = on.nestedRequest(viommu);
      hwptAlloc(on.context, nested);
      const request = on.watch({ id: on.mock.stdev, ptId: nested.outHwptId });
      return () => testCmd(on.context, TestOp.MockDomainReplace, request);
    });
  });

  test('VEVENTQ_ALLOC', () => {
    tryGuest((on) => {
      const request = on.watch({
        flags: 0,
        viommuId: on.viommu(),
        type: VEVENTQ_TYPE_SELFTEST,
        veventqDepth: 2,
        outVeventqId: 0,
        outVeventqFd: 0,
        reserved: 0,
      });
      return () => veventqAlloc(on.context, request);
    });
  });

  test('HW_QUEUE_ALLOC, in pages that are mapped side by side', () => {
    tryGuest((on) => {
      const where = { nestingParentIova: AREAS.even + 8n, length: 3n * PAGE };
      const request = on.watch({
        flags: 0,
        viommuId: on.viommu(),
        type: HW_QUEUE_TYPE_SELFTEST,
        index: 0,
        outHwQueueId: 0,
        ...where,
      });
      return () => hwQueueAlloc(on.context, request);
    });
  });

  test('PASID ops', () => {
    tryGuest((on) => {
      const ptId = newHwpt(on.context, on.mock.idev, on.ioas, { flags: PASID });
      testCmd(on.context, TestOp.MockDomainReplace, { id: on.mock.stdev, ptId });
      const request = on.watch({ id: on.mock.stdev, pasid: 5, ptId });
      return () => testCmd(on.context, TestOp.PasidAttach, request);
    });
    tryGuest((on) => {
      const [one, two] = [0, 0].map(() => newHwpt(on.context, on.mock.idev, on.ioas, { flags: PASID }));
      testCmd(on.context, TestOp.MockDomainReplace, { id: on.mock.stdev, ptId: one! });
      testCmd(on.context, TestOp.PasidAttach, { id: on.mock.stdev, pasid: 5, ptId: one! });
      const request = on.watch({ id: on.mock.stdev, pasid: 5, ptId: two! });
      return () => testCmd(on.context, TestOp.PasidReplace, request);
    });
  });

  test('TRIGGER_IOPF', () => {
    tryGuest((on) => {
      const request = { devId: on.mock.idev, pasid: 0, grpid: 1, perm: 1, addr: 0n };
      return () => testCmd(on.context, TestOp.TriggerIopf, request);
    });
  });

  test('DIRTY', () => {
    tryGuest((on) => {
      const id = newHwpt(on.context, on.mock.idev, on.ioas, { flags: DIRTY_TRACKING });
      hwptSetDirtyTracking(on.context, { flags: 1, hwptId: id, reserved: 0 });
      on.memory.write(on.scratch, new Uint8Array([0xff]));
      const range = { iova: AREAS.even, length: 4n * PAGE, pageSize: 2048n, uptr: on.scratch };
      const request = on.watch({ id, flags: 0, ...range, outNrDirty: 0n });
      return () => testCmd(on.context, TestOp.Dirty, request);
    });
  });
});

describe('a driver refuses one member of a group', () => {
  const MEMBERS = ['Ga', 'Gb', 'Gc'] as const;

  test.each(MEMBERS)('%s, at an attach: the ones before go back', (refused) => {
    for (const target of [
      (on: DeviceStage) => on.ioas,
      (on: DeviceStage) => on.hwpt(),
      (on: DeviceStage) => on.nested(),
    ]) {
      for (const first of ['ga', 'gb', 'gc'] as const) {
        const on = new DeviceStage();
        const pt = target(on);
        on.fits = (_, device) => device.name !== refused;
        refusedCleanly(on, () => on[first].attach(pt), 'EINVAL');
        on.fits = () => true;
        on[first].attach(pt);
        on.end();
      }
    }
  });

  test.each(MEMBERS)('%s, at a replace: the group stays where it was', (refused) => {
    for (const target of [
      (on: DeviceStage) => on.other,
      (on: DeviceStage) => on.hwpt(),
      (on: DeviceStage) => on.faulting(on.other).hwpt,
    ]) {
      const on = new DeviceStage();
      on.ga.attach(on.ioas);
      on.gb.attach(on.ioas);
      const before = on.ga.group.group.domain!;
      const pt = target(on);
      on.fits = (domain, device) => device.name !== refused || domain === before;
      refusedCleanly(on, () => on.gb.replace(pt), 'EINVAL');
      expect(on.ga.group.group.domain).toBe(before);
      expect([...on.driver.attached.values()].filter((domain) => domain === before)).toHaveLength(3);
      expect(on.ga.dma.read(AREAS.even, 4)).toHaveLength(4);
      on.end();
    }
  });
});

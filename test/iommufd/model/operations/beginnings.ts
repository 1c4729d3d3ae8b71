import { hwptSetDirtyTracking } from '../../../../src/iommufd/calls/hwpt-set-dirty-tracking.ts';
import { vfioIoas } from '../../../../src/iommufd/calls/vfio-ioas.ts';
import { IommufdDevice } from '../../../../src/iommufd/device.ts';
import { vfioSetIommu } from '../../../../src/iommufd/vfio/calls.ts';
import {
  newHwpt as allocHwpt,
  map as mapAt,
  newFaultQueue,
  newIoas,
  mockDomain as newMock,
} from '../../calls.ts';
import { PAGE } from '../../machine.ts';
import type { World } from '../world.ts';
import { BASE } from './draw.ts';
import { real } from './users.ts';

/** Where a sequence begins: 0 with nothing, the others with what takes long to come about by chance. */
export function prepare(on: World, beginning: number): void {
  if (beginning === 0) return;
  const [context] = on.contexts;
  const { model } = on;
  const ioas = () =>
    on.both(
      () => newIoas(context!),
      () => model.ioasAlloc(0, 0),
    )!;
  const fixed = (to: number, page: number, pages: number, iova: bigint) => {
    const call = { userVa: on.arenas[0]!.base + BigInt(page) * PAGE, length: BigInt(pages) * PAGE, iova };
    on.both(
      () => mapAt(context!, to, call.userVa, call.length, iova),
      () => void model.ioasMap(0, { ioas: to, flags: 7, reserved: 0, ...call }),
    );
  };
  const give = (name: string) =>
    on.both(
      () => IommufdDevice.bind(context!, on.machine.device(name)).id,
      () => model.bind(0, name),
    )!;
  const put = (dev: number, pt: number) =>
    on.both(
      () => on.device(0, dev).attach(pt),
      () => model.attach(0, dev, pt),
    );
  const table = (dev: number, pt: number, flags: number, faultId = 0, dataType = 0) =>
    on.both(
      () => {
        const data = dataType === 0 ? {} : { dataType, dataLen: 8, dataUptr: on.data };
        return allocHwpt(context!, dev, pt, { flags, faultId, ...data });
      },
      () => model.hwptAlloc(0, { flags, dev, pt, reserved: 0, data: dataType !== 0, offset: 0n, faultId }),
    )!;
  const mock = (pt: number) =>
    on.both(
      () => newMock(context!, pt, 0),
      () => model.mockDomain(0, pt),
    )!;
  const [one, two] = [ioas(), ioas()];
  fixed(one, 0, 3, BASE);
  fixed(one, 4, 4, BASE + 3n * PAGE);
  fixed(two, 5, 2, BASE + PAGE);
  const [ga, gb, ha] = [give('Ga'), give('Gb'), give('Ha')];
  if (beginning === 1) {
    put(ga, one);
    put(gb, one);
    put(ha, two);
    mock(two);
  } else if (beginning === 2) {
    const parent = table(ga, one, 1);
    const fault = on.both(
      () => newFaultQueue(context!),
      () => model.faultAlloc(0, 0),
    )!;
    const nested = table(ga, parent, 4, fault.id, 0x6d6f636b);
    put(ga, nested);
    put(gb, nested);
    const { idev } = mock(two);
    const dirty = table(idev, two, 2);
    on.both(
      () => on.device(0, idev).replace(dirty),
      () => model.replace(0, idev, dirty),
    );
    on.both(
      () => hwptSetDirtyTracking(context!, { flags: 1, hwptId: dirty, reserved: 0 }),
      () => model.setDirty(0, dirty, 1),
    );
  } else {
    const access = on.both(
      () => on.newAccess(0, true, beginning === 4),
      () => model.accessCreate(0, true, beginning === 4),
    )!;
    on.both(
      () => real(on, 0, access).access.attach(one),
      () => model.accessAttach(0, access, one),
    );
    const marked = table(ga, one, 8);
    put(ga, marked);
    on.both(
      () => vfioIoas(context!, { ioasId: two, op: 1, reserved: 0 }),
      () => void model.vfioIoas(0, 1, two),
    );
    on.both(
      () => vfioSetIommu(context!, 1),
      () => model.vfioSetIommu(0, 1),
    );
    put(ha, two);
  }
}

/** Of `prepare`. */
export const BEGINNINGS = 5;

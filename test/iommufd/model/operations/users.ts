/** Random page faults and their answers, in-kernel users, and DMA. */

import { faultQueueAlloc } from '../../../../src/iommufd/calls/fault-queue-alloc.ts';
import type { FaultQueue } from '../../../../src/iommufd/fault-queue.ts';
import { ULONG_MAX } from '../../machine.ts';
import type { Choices } from '../choices.ts';
import { driverOf } from '../devices.ts';
import type { World } from '../world.ts';
import {
  bytesOf,
  contextOf,
  GROUP_DEVICES,
  id,
  idsOf,
  mappedAddress,
  mappedLength,
  type Operation,
  some,
} from './draw.ts';

export const newFault: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (idsOf(on, at, 'fault').length > 2) return;
  const flags = choose.rarely(20) ? 1 : 0;
  on.both(
    () => {
      const request = { flags, outFaultId: 0, outFaultFd: 0 };
      faultQueueAlloc(on.contexts[at]!, request);
      return { id: request.outFaultId, fd: request.outFaultFd };
    },
    () => on.model.faultAlloc(at, flags),
  );
};

export const closeFault: Operation = (on, choose) => {
  const at = contextOf(choose);
  const queue = some(on, at, choose, 'fault');
  if (queue === undefined || !on.model.fault(at, queue).open || !choose.rarely(3)) return;
  const { fd } = on.model.fault(at, queue);
  on.both(
    () => on.machine.base.files.close(fd),
    () => on.model.closeFault(at, queue),
  );
};

export const pageFault: Operation = (on, choose) => {
  const asking = GROUP_DEVICES.filter((each) =>
    [...on.model.groupOf(each).attachments.values()].some(({ asks }) => asks === each),
  );
  const name = choose.pick(choose.rarely(5) || asking.length === 0 ? GROUP_DEVICES : asking);
  const grpid = choose.next(100);
  const { iommu } = on.machine.base.iommufd;
  on.both(
    () => iommu.reportDeviceFault(on.machine.device(name), { flags: 2, pasid: 0, grpid, perm: 1, addr: 0n }),
    () => on.model.pageFault(name, grpid),
  );
};

export const readFaults: Operation = (on, choose) => {
  const at = contextOf(choose);
  const queue = some(on, at, choose, 'fault');
  if (queue === undefined) return;
  const room = choose.next(4);
  on.both(
    () =>
      on.contexts[at]!.objects.peek<FaultQueue>(queue)!
        .readFaults(room)
        .map(({ devId, grpid, cookie }) => ({ device: devId, grpid, cookie })),
    () => on.model.readFaults(at, queue, room),
  );
};

export const respond: Operation = (on, choose) => {
  const at = contextOf(choose);
  const read = idsOf(on, at, 'fault').filter((each) => on.model.fault(at, each).read.size > 0);
  const queue = read.length > 0 ? choose.pick(read) : some(on, at, choose, 'fault');
  if (queue === undefined) return;
  const cookies = [...on.model.fault(at, queue).read.keys()];
  const cookie = choose.pick(cookies.length === 0 ? [1, 99] : [...cookies, ...cookies, ...cookies, 99]);
  const code = choose.pick([0, 1, 1, 2]);
  on.both(
    () => void on.contexts[at]!.objects.peek<FaultQueue>(queue)!.writeResponses([{ cookie, code }]),
    () => on.model.respond(at, queue, cookie, code),
  );
};

export const newAccess: Operation = (on, choose) => {
  const at = contextOf(choose);
  if (idsOf(on, at, 'access').length > 3) return;
  const pinning = choose.next(3) > 0;
  const stubborn = choose.rarely(5);
  on.both(
    () => on.newAccess(at, pinning, stubborn),
    () => on.model.accessCreate(at, pinning, stubborn),
  );
};

export function onAccess(call: (on: World, at: number, access: number, choose: Choices) => void): Operation {
  return (on, choose) => {
    const at = contextOf(choose);
    const access = some(on, at, choose, 'access');
    if (access !== undefined) call(on, at, access, choose);
  };
}

export function real(on: World, at: number, access: number) {
  return on.accesses.get(`${at} ${access}`)!;
}

export const attachAccess = onAccess((on, at, access, choose) => {
  const ioas = id(on, at, choose, 'ioas');
  const replace = choose.rarely(3);
  on.both(
    () => (replace ? real(on, at, access).access.replace(ioas) : real(on, at, access).access.attach(ioas)),
    () => (replace ? on.model.accessReplace(at, access, ioas) : on.model.accessAttach(at, access, ioas)),
  );
});

export const detachAccess = onAccess((on, at, access, choose) => {
  if (!choose.rarely(2)) return;
  const release = choose.rarely(3);
  on.both(
    () => {
      if (!release) return real(on, at, access).access.detach();
      real(on, at, access).access.release();
      on.accesses.delete(`${at} ${access}`);
    },
    () => (release ? on.model.accessRelease(at, access) : on.model.accessDetach(at, access)),
  );
});

/** In the address space the access is attached to, mostly. */
export function accessRange(
  on: World,
  at: number,
  access: number,
  choose: Choices,
): { iova: bigint; length: bigint } {
  const ioas = on.model.access(at, access).ioas ?? 0;
  const iova = mappedAddress(on, at, ioas, choose);
  return { iova, length: mappedLength(on, at, ioas, iova, choose) };
}

export const pin = onAccess((on, at, access, choose) => {
  const { iova, length } = accessRange(on, at, access, choose);
  const write = choose.next(2) === 1;
  on.both(
    () => {
      const { access: user, pins } = real(on, at, access);
      user.pinPages(iova, length, write ? 1 : 0);
      pins.push({ iova, length });
    },
    () => on.model.pin(at, access, iova, length, write),
  );
});

export const unpin = onAccess((on, at, access, choose) => {
  const { access: user, pins } = real(on, at, access);
  if (pins.length === 0) return;
  const which = choose.next(pins.length);
  on.both(
    () => {
      const [gone] = pins.splice(which, 1);
      user.unpinPages(gone!.iova, gone!.length);
    },
    () => on.model.unpin(at, access, which),
  );
});

export const rw = onAccess((on, at, access, choose) => {
  const { iova } = accessRange(on, at, access, choose);
  const within = choose.pick([0n, 0n, 100n, 4000n]);
  on.rw(at, access, iova + within, bytesOf(choose), choose.next(2) === 1, choose.next(2) === 1);
});

export const dma: Operation = (on, choose) => {
  const at = contextOf(choose);
  const dev = some(on, at, choose, 'device');
  if (dev === undefined) return;
  const { name } = on.model.device(at, dev);
  const pasid = driverOf(name) === 'group' && choose.rarely(4) ? choose.pick([1, 2]) : 0;
  const attachment = on.model.groupOf(name).attachments.get(pasid);
  const ioas = attachment === undefined ? 0 : on.model.hwpt(at, attachment.hwpt).ioas;
  const iova = mappedAddress(on, at, ioas, choose) + choose.pick([0n, 0n, 100n, 2000n]);
  if (iova > ULONG_MAX) return;
  const bytes = bytesOf(choose);
  if (bytes.length > 0) on.dma(at, dev, pasid, iova, bytes, choose.next(2) === 1);
};

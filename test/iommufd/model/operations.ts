/** One random call on model and machine, for each kind there is. */

import {
  attaching,
  bind,
  detach,
  getDirty,
  mockDomain,
  newHwpt,
  setDirty,
  unbind,
} from './operations/devices.ts';
import type { Operation } from './operations/draw.ts';
import {
  accounting,
  addReserved,
  alloc,
  allow,
  changeProcess,
  copy,
  destroy,
  hugePages,
  map,
  mapFile,
  unmap,
} from './operations/spaces.ts';
import {
  attachAccess,
  closeFault,
  detachAccess,
  dma,
  newAccess,
  newFault,
  pageFault,
  pin,
  readFaults,
  respond,
  rw,
  unpin,
} from './operations/users.ts';
import { vfioMap, vfioOptions, vfioUnmap } from './operations/vfio.ts';

/** Each as often as it is here. */
export const OPERATIONS: readonly Operation[] = [
  ...[
    alloc,
    alloc,
    map,
    map,
    map,
    map,
    mapFile,
    mapFile,
    changeProcess,
    copy,
    copy,
    copy,
    unmap,
    unmap,
    allow,
    hugePages,
    accounting,
  ],
  ...[destroy, destroy, bind, bind, unbind, mockDomain, mockDomain, addReserved],
  ...[
    attaching('attach'),
    attaching('attach'),
    attaching('attach'),
    attaching('replace'),
    attaching('replace'),
  ],
  ...[attaching('pasidAttach'), attaching('pasidReplace'), detach, newHwpt, newHwpt, newHwpt],
  ...[setDirty, getDirty, newFault, closeFault, pageFault, pageFault, readFaults, respond],
  ...[newAccess, attachAccess, attachAccess, detachAccess, pin, pin, pin, unpin, rw, rw],
  ...[dma, dma, dma, vfioOptions, vfioMap, vfioMap, vfioUnmap],
];

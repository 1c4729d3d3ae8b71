/** An open /dev/vfio/NUMBER, by the ioctls of groups (`vfio_group_fops_unl_ioctl`). */

import type { VfioGroupFile } from '../iommufd/vfio/group-file.ts';
import { KernelError } from '../kernel/errors.ts';
import { type CallShape, ioctlCommand } from './call-shape.ts';
import type { Caller, IoctlResult, OpenFile } from './open-file.ts';
import type { Struct } from './struct.ts';
import { readString, readStruct, readU32, writeStruct } from './user-structs.ts';
import { VfioDeviceNodeFile } from './vfio-device-file.ts';
import { GROUP_STATUS } from './vfio-structs.ts';

const GET_STATUS = ioctlCommand(103);
const SET_CONTAINER = ioctlCommand(104);
const UNSET_CONTAINER = ioctlCommand(105);
export const GROUP_GET_DEVICE_FD = ioctlCommand(106);

/** Longest name of a device, its end included. */
const NAME_ROOM = 4096;

export const GROUP_CALLS: readonly CallShape[] = [
  {
    command: GET_STATUS,
    name: 'VFIO_GROUP_GET_STATUS',
    argument: 'struct',
    size: GROUP_STATUS.size,
    structOf: () => GROUP_STATUS as Struct<never>,
  },
  { command: SET_CONTAINER, name: 'VFIO_GROUP_SET_CONTAINER', argument: 'descriptor' },
  { command: UNSET_CONTAINER, name: 'VFIO_GROUP_UNSET_CONTAINER', argument: 'none' },
  { command: GROUP_GET_DEVICE_FD, name: 'VFIO_GROUP_GET_DEVICE_FD', argument: 'string' },
];

export class VfioGroupNodeFile implements OpenFile {
  readonly kind = 'vfio-group';
  readonly seekable = true;
  readonly file: VfioGroupFile;

  constructor(file: VfioGroupFile) {
    this.file = file;
  }

  get label(): string {
    return this.file.name;
  }

  /** @throws KernelError ENOTTY no such call; EFAULT; else what the call refuses */
  ioctl(caller: Caller, command: number, arg: bigint): IoctlResult {
    const { file } = this;
    file.process = caller.process;
    return caller.process.files.during(caller, () => {
      switch (command) {
        case GET_STATUS: {
          const request = readStruct(caller.memory, GROUP_STATUS, arg, GROUP_STATUS.size);
          request.flags = 0;
          file.getStatus(request);
          writeStruct(caller.memory, GROUP_STATUS, arg, request, GROUP_STATUS.size);
          return 0;
        }
        case SET_CONTAINER:
          file.setContainer(readU32(caller.memory, arg) | 0);
          return 0;
        case UNSET_CONTAINER:
          file.unsetContainer();
          return 0;
        case GROUP_GET_DEVICE_FD:
          return this.#getDeviceFd(caller, readString(caller.memory, arg, NAME_ROOM));
        default:
          throw new KernelError('ENOTTY', this.label, `has no ioctl 0x${(command >>> 0).toString(16)}`);
      }
    });
  }

  release(): void {
    this.file.close();
  }

  #getDeviceFd({ noDescriptors }: Caller, name: string): IoctlResult {
    if (noDescriptors !== undefined) {
      const problem = `no descriptor can be put into the process: ${noDescriptors}`;
      throw new KernelError('ENOSYS', this.label, problem, 'open the device through /dev/vfio/devices');
    }
    const file = this.file.getDeviceFd(name);
    const install = new VfioDeviceNodeFile(file);
    return { install, closeOnExec: true, at: 0n, value: 0, undo: () => file.close() };
  }
}

/** Which calls each kind of file has, for whoever wants to put a call in words. */

import { type CallShape, ioctlCommand } from './call-shape.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import type { FileKind } from './open-file.ts';
import { TEST_CALL } from './selftest-table.ts';
import { CONTAINER_CALLS } from './vfio-container-table.ts';
import { DEVICE_CALLS } from './vfio-device-file.ts';
import { GROUP_CALLS, GROUP_GET_DEVICE_FD } from './vfio-group-file.ts';

const SHAPES: Readonly<Record<FileKind, readonly CallShape[]>> = {
  iommufd: [...IOMMUFD_CALLS, TEST_CALL, ...CONTAINER_CALLS],
  'fault-queue': [],
  'event-queue': [],
  'test-access': [],
  'vfio-group': GROUP_CALLS,
  'vfio-device': DEVICE_CALLS,
};

const BY_COMMAND = new Map(
  Object.entries(SHAPES).map(([kind, shapes]) => [
    kind,
    new Map(shapes.map((shape) => [shape.command, shape])),
  ]),
);

export function callShape(kind: FileKind, command: number): CallShape | undefined {
  return BY_COMMAND.get(kind)?.get(command);
}

/**
 * Commands that may put a descriptor into the process that calls. Of IOMMU_TEST_CMD only one op does, which the
 * command does not tell.
 */
export const DESCRIPTOR_COMMANDS: readonly number[] = [
  ioctlCommand(0x8e),
  ioctlCommand(0x93),
  TEST_CALL.command,
  GROUP_GET_DEVICE_FD,
];

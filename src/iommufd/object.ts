/** What everything with an id in an iommufd context has in common (`struct iommufd_object`). */

import type { Context } from './context.ts';

/** `enum iommufd_object_type`. */
export type ObjectType =
  | 'device'
  | 'hwpt-paging'
  | 'hwpt-nested'
  | 'ioas'
  | 'access'
  | 'fault'
  | 'selftest'
  | 'viommu'
  | 'vdevice'
  | 'veventq'
  | 'hw-queue';

const WORDS: Record<ObjectType, string> = {
  device: 'device',
  'hwpt-paging': 'HWPT',
  'hwpt-nested': 'nested HWPT',
  ioas: 'IOAS',
  access: 'access',
  fault: 'fault queue',
  selftest: 'selftest device',
  viommu: 'vIOMMU',
  vdevice: 'vDEVICE',
  veventq: 'event queue',
  'hw-queue': 'hardware queue',
};

/** As messages name what has no id, or only an id: `IOAS 3`. */
export function objectWords(type: ObjectType): string {
  return WORDS[type];
}

/** An object of one context. Made, then given its id by `context.objects.reserve`, shown by `publish`. */
export abstract class IommufdObject {
  readonly context: Context;
  readonly type: ObjectType;
  /** Set by `ObjectTable.reserve`; 0 before. */
  id = 0;
  /** `users`: 1 is the table's own; 0 once the object is gone. Whoever keeps a pointer for longer adds 1. */
  users = 1;
  /** `shortterm_users`, without the table's own: calls that work on the object right now. */
  callsInFlight = 0;

  constructor(context: Context, type: ObjectType) {
    this.context = context;
    this.type = type;
  }

  /** As in messages: `IOAS 3`. */
  get label(): string {
    return `${WORDS[this.type]} ${this.id}`;
  }

  /** `iommufd_object_ops.destroy`: only the table calls it, once, when nobody can find the object any more. */
  abstract destroy(): void;

  /** `iommufd_object_ops.abort`, for an object that was set up in full but never shown; as `destroy` unless told. */
  abort(): void {
    this.destroy();
  }
}

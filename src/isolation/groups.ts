/** The part of the isolation core that makes and frees groups. */

import { KernelError } from '../kernel/errors.ts';
import type { Kobject } from '../kernel/kobject.ts';
import { IsolationDomains } from './domains.ts';
import { IsolationGroup } from './group.ts';
import type { IsolationProvider } from './provider.ts';
import type { StateOptions } from './state.ts';

/** More than any generator needs; one that has run dry must not hang us. */
const MOST_ATTEMPTS = 1000;

export interface GroupOptions extends StateOptions {
  /** What nameless groups are called; random UUIDs unless told. */
  uuid?(): string;
}

export abstract class IsolationGroups extends IsolationDomains {
  /** `/isolation`, once the subsystem has started. */
  protected top: Kobject | undefined;
  readonly #uuid: () => string;

  constructor(options: GroupOptions) {
    super(options);
    this.#uuid = options.uuid ?? (() => crypto.randomUUID());
  }

  /**
   * `isolation_create_group`: an empty group with its directory.
   *
   * @param name what its provider wants it called, best something that is the same after a reboot; where that is
   *   taken, with `.0`, `.1` … behind it, since providers do not know of each other. Absent: a UUID
   * @throws KernelError ENODEV the subsystem has not started; EINVAL no file can have that name; ENOMEM
   */
  createGroup(provider: IsolationProvider, name?: string): IsolationGroup {
    const { top } = this;
    if (top === undefined) throw new KernelError('ENODEV', 'isolation groups', 'have not been started');
    using _ = this.lock.hold('creating a group');
    const free = name === undefined ? this.#freeUuid(top) : freeName(top, name);
    const group = new IsolationGroup(provider, free, top, this.step);
    this.groups.set(group.name, group);
    return group;
  }

  /**
   * `isolation_free_group`: its domain is left, its directory goes.
   *
   * @throws KernelError EBUSY it has devices, or a manager
   */
  freeGroup(group: IsolationGroup): void {
    this.assertLive(group, 'freeing');
    using _ = this.lock.hold(`freeing ${group.describe()}`);
    if (group.size > 0) {
      throw new KernelError('EBUSY', group.describe(), `has ${group.size} devices`, 'delete them first');
    }
    if (group.manager !== undefined) {
      throw new KernelError('EBUSY', group.describe(), `is managed by ${group.manager.name}`);
    }
    this.leaveDomain(group);
    this.discard(group);
  }

  /** Without devices, domain and manager. */
  protected discard(group: IsolationGroup): void {
    this.groups.delete(group.name);
    group.remove();
  }

  #freeUuid(top: Kobject): string {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const uuid = this.#uuid();
      if (!top.entry(uuid)) return uuid;
    }
    throw new KernelError(
      'EEXIST',
      'isolation groups',
      'the generator of UUIDs only gives ones that are taken',
    );
  }
}

function freeName(top: Kobject, name: string): string {
  let free = name;
  for (let suffix = 0; top.entry(free); suffix++) free = `${name}.${suffix}`;
  return free;
}

/**
 * Isolation groups of one machine, as proposed in March 2012 and as its reviewers wanted them: who forms groups, who
 * owns them, which drivers may enter, and how much isolation is enough.
 *
 * One class in layers, each in its file: state → domains → groups → members → managers → notifiers
 * → consolidation.
 */

import type { DeviceCore } from '../device/core.ts';
import { KernelError } from '../kernel/errors.ts';
import { IsolationConsolidation } from './consolidation.ts';
import type { IsolationInterface } from './interface.ts';
import type { ManagerOptions } from './managers.ts';

export interface IsolationOptions extends ManagerOptions {
  core: DeviceCore;
}

export class Isolation extends IsolationConsolidation implements IsolationInterface {
  readonly #core: DeviceCore;

  constructor(options: IsolationOptions) {
    super(options);
    this.#core = options.core;
  }

  /**
   * `isolation_init`: the directory `/isolation`, and its say in the device core. Until then there can be no groups.
   *
   * @throws KernelError EBUSY it was started before; ENOMEM, EEXIST something else has that directory
   */
  init(): void {
    if (this.top !== undefined)
      throw new KernelError('EBUSY', 'isolation groups', 'have been started already');
    const { root } = this.#core.sysfs;
    if (root.entry('isolation'))
      throw new KernelError('EEXIST', '/isolation', 'is somebody else’s directory');
    this.step('top directory');
    this.top = this.#core.sysfs.makePath('/isolation');
    this.#core.addMatchGate(this.gate);
    this.#core.notifier.register(this.onDevice);
  }
}

/** Follows a script: knows which line is next, what it waits for, and does it. */

import type { Device } from '../device/device.ts';
import { DeviceDma, DmaFault } from '../iommu/dma.ts';
import { PageRequestFlag, PageRequestPerm } from '../iommu/page-faults.ts';
import type { Iommufd } from '../iommufd/iommufd.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Machine } from '../machine/machine.ts';
import type { Action, DmaTransfer, PageFault, ScriptStep } from './script.ts';
import type { SimulatedSysfs } from './sysfs/view.ts';

export interface ScriptRunnerInit {
  steps: readonly ScriptStep[];
  machine: Machine;
  iommufd: Iommufd;
  sysfs: SimulatedSysfs;
  /** Seconds since the program started; negative while it has not. */
  clock(): number;
  /** `elapsed` is to be called when the clock has reached a time. */
  wakeAt(seconds: number): void;
  signal(name: string): void;
  /** What was done, or why it could not be. */
  tell(text: string, failed: boolean): void;
}

export class ScriptRunner {
  readonly #init: ScriptRunnerInit;
  #next = 0;
  /** Of the calls the next line waits for. */
  #seen = 0;
  #asked = false;
  #running = false;

  constructor(init: ScriptRunnerInit) {
    this.#init = init;
  }

  get isDone(): boolean {
    return this.#next >= this.#init.steps.length;
  }

  /** The program starts, or time has passed: does what is due. */
  elapsed(): void {
    this.#asked = false;
    this.#run();
  }

  /** A call of that name was made. */
  called(name: string | undefined): void {
    const moment = this.#init.steps[this.#next]?.moment;
    if (moment === undefined || !('after' in moment) || moment.after !== name) return;
    this.#seen++;
    this.#run();
  }

  #run(): void {
    // What a line does may itself count as a call.
    if (this.#running) return;
    this.#running = true;
    try {
      for (let step = this.#due(); step !== undefined; step = this.#due()) {
        this.#next++;
        this.#seen = 0;
        this.#do(step);
      }
    } finally {
      this.#running = false;
    }
  }

  #due(): ScriptStep | undefined {
    const step = this.#init.steps[this.#next];
    const moment = step?.moment;
    if (moment === undefined) return step;
    if ('after' in moment) return this.#seen >= moment.count ? step : undefined;
    if (this.#init.clock() >= moment.at) return step;
    if (!this.#asked) {
      this.#asked = true;
      this.#init.wakeAt(moment.at);
    }
    return undefined;
  }

  #do({ place, action }: ScriptStep): void {
    const { tell } = this.#init;
    try {
      tell(`${place}: ${this.#perform(action)}`, false);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      tell(`${place}: ${error.message}`, true);
    }
  }

  #perform(action: Action): string {
    const { machine, iommufd, sysfs } = this.#init;
    switch (action.kind) {
      case 'plug':
        machine.plug(...action.functions);
        return `plugged ${action.functions.map(({ address }) => address).join(', ')}`;
      case 'unplug':
        machine.unplug(action.device);
        return `unplugged ${action.device}`;
      case 'fault':
        this.#fault(action.fault);
        return `page fault of ${action.fault.device} at 0x${action.fault.addr.toString(16)}`;
      case 'dma':
        return this.#dma(action.transfer);
      case 'fail':
        iommufd.faults.failAt(action.step, action.errno);
        return `step ${action.step} from here fails with ${action.errno}`;
      case 'fail-every':
        iommufd.faults.failEvery(action.step, action.errno);
        return `every step '${action.step}' fails with ${action.errno}`;
      case 'fail-none':
        iommufd.faults.disarm();
        return 'nothing is made to fail any more';
      case 'write':
        sysfs.write(action.file, action.text);
        return `wrote ${JSON.stringify(action.text)} to /sys${action.file}`;
      case 'signal':
        this.#init.signal(action.signal);
        return `sent ${action.signal}`;
    }
  }

  #dma({ device: name, addr, pasid, what }: DmaTransfer): string {
    const { machine, iommufd } = this.#init;
    const dma = new DeviceDma(machine.iommu, this.#device(name), iommufd.physical, pasid);
    const at = `at 0x${addr.toString(16)}`;
    try {
      if (typeof what === 'number') {
        return `${name} read ${Buffer.from(dma.read(addr, what)).toString('hex')} ${at}`;
      }
      dma.write(addr, what);
      return `${name} wrote ${what.length} bytes ${at}`;
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      return error.message;
    }
  }

  #fault(fault: PageFault): void {
    const flags = [
      fault.pasid === undefined ? 0 : PageRequestFlag.PasidValid,
      fault.more ? 0 : PageRequestFlag.LastPage,
    ];
    const perms = [
      fault.read ? PageRequestPerm.Read : 0,
      fault.write ? PageRequestPerm.Write : 0,
      fault.exec ? PageRequestPerm.Exec : 0,
      fault.privileged ? PageRequestPerm.Privileged : 0,
    ];
    this.#init.machine.iommu.reportDeviceFault(this.#device(fault.device), {
      flags: sum(flags),
      pasid: fault.pasid ?? 0,
      grpid: fault.grpid,
      perm: sum(perms),
      addr: fault.addr,
    });
  }

  /** @throws KernelError ENODEV */
  #device(name: string): Device {
    const { machine, iommufd } = this.#init;
    const device = machine.device(name) ?? iommufd.selftest?.devices.find((each) => each.name === name);
    if (device === undefined) throw new KernelError('ENODEV', name, 'is no device of this machine');
    return device;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all | each, 0);
}

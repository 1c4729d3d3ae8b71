/** Files of a PCI function that make something happen: enabling, removal, rescan, reset. */

import { KernelError } from '../../kernel/errors.ts';
import type { PciDevice } from '../../pci/device.ts';
import { type ResetMethod, resetAnswers, resetMethods } from '../../pci/reset.ts';
import { recordedDirectory, type ViewContext } from './context.ts';
import { parseUnsigned } from './numbers.ts';
import type { PciAttribute } from './pci-attributes.ts';

const isPhysical = (device: PciDevice) => !device.isVirtual;
const COMMAND = 0x04;
const IO_AND_MEMORY = 0x0003;

/** Methods a reset would try, in order: what was chosen, else what is offered. */
function methodsOf(device: PciDevice, context: ViewContext): string[] {
  const chosen = context.written.get(device)?.get('reset_method');
  return chosen === undefined ? offered(device, context) : words(chosen);
}

/** As recorded, else what the kernel finds. Whether the files are there is settled by this, whatever is chosen later. */
function offered(device: PciDevice, { facts }: ViewContext): string[] {
  return facts.get(device.address)?.resetMethods ?? resetMethods(device, 'scan').methods;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function storeResetMethod(device: PciDevice, text: string, context: ViewContext): string {
  if (text === 'default' || text === 'default\n') {
    context.written.get(device)?.delete('reset_method');
    return `${methodsOf(device, context).join(' ')}\n`;
  }
  const recorded = context.facts.get(device.address)?.resetMethods;
  const wanted = words(text);
  for (const word of wanted) {
    const works =
      recorded?.includes(word) ??
      resetAnswers(device).some(
        ({ method, available }) => method === (word as ResetMethod) && available === true,
      );
    if (!works) throw new KernelError('EINVAL', `${device.name}/reset_method`, `${word} is not supported`);
  }
  return `${wanted.join(' ')}\n`;
}

function reset(device: PciDevice, text: string, context: ViewContext): undefined {
  const name = `${device.name}/reset`;
  if (parseUnsigned(text, name) !== 1n) throw new KernelError('EINVAL', name, 'only 1 resets');
  // Registers are saved before and restored after it, so nothing is left to see.
  if (methodsOf(device, context).length === 0) {
    throw new KernelError('ENOTTY', device.name, 'all its ways of being reset are switched off');
  }
  return undefined;
}

function storeEnable(device: PciDevice, text: string, context: ViewContext, admin: boolean): string {
  const name = `${device.name}/enable`;
  if (!admin) throw new KernelError('EPERM', name, 'needs CAP_SYS_ADMIN');
  const on = parseUnsigned(text, name) !== 0n;
  if (device.driver !== undefined)
    throw new KernelError('EBUSY', device.name, `${device.driver.name} has it`);
  const count = enableCount(device, context);
  if (!on && count === 0) throw new KernelError('EIO', device.name, 'is not enabled');
  const { bytes } = context.registers.of(device);
  if (on) bytes.write(COMMAND, 2, bytes.read(COMMAND, 2) | IO_AND_MEMORY);
  return `${count + (on ? 1 : -1)}\n`;
}

/** `enable_cnt`: as it was recorded while the driver is the recorded one; else one for a driver that uses it. */
function enableCount(device: PciDevice, context: ViewContext): number {
  const chosen = context.written.get(device)?.get('enable');
  if (chosen !== undefined && device.driver === undefined) return Number(chosen);
  if (context.drivers.isRecorded(device)) {
    const recorded = context.recorded.text(`${recordedDirectory(device, context.facts)}/enable`);
    if (recorded !== undefined) return Number(recorded);
  }
  // vfio-pci and pci-stub enable it only for a program, or never.
  return device.driver === undefined || !context.drivers.usesDevice(device.driver) ? 0 : 1;
}

/** Files that begin with a number, of which 0 does nothing. */
function trigger(
  name: string,
  act: (device: PciDevice, context: ViewContext) => void,
): NonNullable<PciAttribute['store']> {
  return (device: PciDevice, text: string, context: ViewContext): undefined => {
    if (parseUnsigned(text, `${device.name}/${name}`) !== 0n) act(device, context);
    return undefined;
  };
}

export const PCI_CONTROLS: readonly PciAttribute[] = [
  {
    name: 'enable',
    mode: 0o644,
    live: true,
    show: (device, context) => `${enableCount(device, context)}\n`,
    store: (device, text, context, { admin }) => storeEnable(device, text, context, admin),
  },
  {
    name: 'remove',
    mode: 0o220,
    live: true,
    visible: isPhysical,
    store: trigger('remove', (device, { hotPlug }) => hotPlug.remove(device)),
  },
  {
    name: 'rescan',
    mode: 0o200,
    live: true,
    visible: isPhysical,
    store: trigger('rescan', (device, { hotPlug }) => hotPlug.rescan(device.pciBus)),
  },
  {
    name: 'reset',
    mode: 0o200,
    live: true,
    visible: (device, context) => offered(device, context).length > 0,
    store: reset,
  },
  {
    name: 'reset_method',
    mode: 0o644,
    live: true,
    visible: (device, context) =>
      context.written.get(device)?.has('reset_method') === true || methodsOf(device, context).length > 0,
    show: (device, context) => `${methodsOf(device, context).join(' ')}\n`,
    store: storeResetMethod,
  },
];

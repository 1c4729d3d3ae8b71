/** How a device can be reset between users, and whom a reset hits besides. */

import type { Machine } from '../machine/machine.ts';
import type { PciBus } from '../pci/bus.ts';
import { type PciDevice, PciFlag } from '../pci/device.ts';
import { resetAnswers } from '../pci/reset.ts';
import type { Findings } from './check-findings.ts';
import { enumerate } from './check-use.ts';
import { type Describer, sortNames } from './describe.ts';
import type { CheckReset } from './report.ts';
import { shortener } from './shorten.ts';

/** Reset of one device; `hits` are those that go down with it when its bus is reset. */
export function resetOf(describer: Describer, device: PciDevice): CheckReset {
  const recorded = describer.facts(device.name)?.resetMethods;
  const answers = resetAnswers(device);
  const busNow = answers.find(({ method }) => method === 'bus')?.available;
  const offered = answers.filter(({ available }) => available === true).map(({ method }) => method as string);
  // The list of sysfs was made as the function was found, before its siblings were there.
  const methods = recorded?.filter((method) => method !== 'bus' || busNow !== false) ?? offered;
  // ACPI methods stand in tables that no recording holds; alone they are not worth a word on every device.
  const open = answers.filter(({ method, available }) => available === undefined && method !== 'acpi');
  return {
    methods,
    from: recorded === undefined ? 'capabilities' : 'kernel',
    unknown: recorded === undefined ? open.map(({ method }) => method) : [],
    busReset: canResetBus(device),
    hits: sortNames(onBus(device.pciBus).filter((name) => name !== device.name)),
  };
}

export function checkReset(
  describer: Describer,
  machine: Machine,
  findings: Findings,
  names: readonly string[],
  groupOf: (name: string) => readonly string[],
): void {
  const shorten = shortener(describer.snapshot);
  for (const name of names) {
    const device = machine.pci.find(name);
    if (device === undefined || device.subordinate !== undefined) continue;
    const reset = resetOf(describer, device);
    checkRequired(findings, name, shorten(name), reset);
    if (reset.methods.length > 0) continue;
    const about = { device: name, concerns: [name] };
    if (reset.unknown.length > 0) {
      findings.doubt('no-reset', {
        ...about,
        what: `Whether ${shorten(name)} can be reset could not be read.`,
      });
      continue;
    }
    const others = reset.hits.filter(
      (other) => !names.includes(other) && machine.pci.find(other)?.subordinate === undefined,
    );
    if (!reset.busReset) {
      findings.add('no-reset', {
        ...about,
        what: `There is no way to reset ${shorten(name)}: every user finds it as the one before left it.`,
      });
    } else if (others.length > 0) {
      const group = groupOf(name);
      const outside = others.filter((other) => !group.includes(other));
      const where =
        outside.length === 0 ? '' : `, of which ${enumerate(outside.map(shorten))} are not in its group`;
      findings.add('reset-scope', {
        ...about,
        detail: others.join(','),
        what: `${shorten(name)} can only be reset with its whole bus, which hits ${enumerate(others.map(shorten))} too${outside.length === others.length ? ', outside its group' : where}.`,
        remedy: 'hand those over together with it, to the same user',
      });
    }
  }
}

function checkRequired(findings: Findings, name: string, short: string, reset: CheckReset): void {
  const wanted = findings.policy.resetMethods;
  if (wanted.length === 0 || wanted.some((method) => reset.methods.includes(method))) return;
  const about = { device: name, concerns: [name], detail: wanted.join('|') };
  const has = reset.methods.length === 0 ? 'none is known' : `it has ${enumerate(reset.methods)}`;
  const what = `The policy asks for one of the reset methods ${wanted.join(', ')} on ${short}; ${has}.`;
  const maybe = reset.from === 'capabilities' && (reset.unknown.length > 0 || wanted.includes('acpi'));
  if (maybe) findings.doubt('reset-required', { ...about, what });
  else findings.add('reset-required', { ...about, what });
}

/** The bus of a function below a bridge can be reset through the bridge, if no quirk forbids it. */
function canResetBus(device: PciDevice): boolean {
  const bus = device.pciBus;
  if (bus.self === undefined || bus.self.facts.cxlPort?.busResetMasked === true) return false;
  return bus.devices.every((other) => (other.flags & PciFlag.NoBusReset) === 0);
}

function onBus(bus: PciBus): string[] {
  return bus.devices
    .filter((device) => !device.isVirtual)
    .flatMap((device) => [
      device.name,
      ...(device.subordinate === undefined ? [] : onBus(device.subordinate)),
    ]);
}

/**
 * A name for a device that survives bus renumbering: the device and function at each level below the root bus,
 * `00:01.0/00.0`, as `pci=config_acs=` and `disable_acs_redir=` take it.
 */

import type { Machine } from '../machine/machine.ts';

export function stableName(machine: Machine, name: string): string {
  const steps = [...machine.bridgesAbove(name)].reverse();
  if (steps.length === 0) return name;
  return [steps[0]!, ...[...steps.slice(1), name].map((step) => step.slice(step.lastIndexOf(':') + 1))].join(
    '/',
  );
}

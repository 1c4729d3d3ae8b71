/**
 * The kernel's own announcements, through `udevadm monitor --kernel`. They say when to look; what happened is seen by
 * looking, since groups and their types are announced by nobody.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface KernelEvent {
  /** `add`, `remove`, `bind`, `unbind`, `change`, `move` … */
  action: string;
  /** Below /sys: `/devices/pci0000:00/0000:00:01.0`. */
  path: string;
  subsystem: string;
}

/** One line of `udevadm monitor`; `undefined` for its heading and for what it does not print. */
export function parseKernelEvent(line: string): KernelEvent | undefined {
  const found = /^KERNEL\s?\[\d+\.\d+\]\s+([a-z]{1,16})\s+(\/\S{1,4096})\s+\(([^\s()]{1,64})\)$/.exec(
    line.trimEnd(),
  );
  return found === null ? undefined : { action: found[1]!, path: found[2]!, subsystem: found[3]! };
}

/** Buses of devices that groups have, and what vfio makes of a device. */
const SUBSYSTEMS = ['pci', 'platform', 'acpi', 'amba', 'fsl-mc', 'cdx', 'iommu', 'vfio', 'vfio-dev'];

const MONITOR = [
  'udevadm',
  'monitor',
  '--kernel',
  ...SUBSYSTEMS.map((subsystem) => `--subsystem-match=${subsystem}`),
];

export interface Announcements {
  stop(): void;
}

/**
 * Listens until stopped.
 *
 * @param heard called for each event
 * @param ended called once, when the monitor cannot be started or dies: `missing` where there is no such program
 */
export function listen(
  heard: (event: KernelEvent) => void,
  ended: (why: 'missing' | 'died') => void,
  command: readonly string[] = MONITOR,
): Announcements {
  let over = false;
  const end = (why: 'missing' | 'died'): void => {
    if (over) return;
    over = true;
    ended(why);
  };
  const child: ChildProcess = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] });
  const stop = (): void => {
    over = true;
    process.off('exit', stop);
    child.kill();
  };
  // Whatever ends us, nothing is left listening.
  process.on('exit', stop);
  child.on('error', () => end('missing'));
  child.on('close', () => {
    process.off('exit', stop);
    end('died');
  });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const event = parseKernelEvent(line);
    if (event !== undefined && !over) heard(event);
  });
  return { stop };
}

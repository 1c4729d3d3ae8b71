/** Binding through the simulated /sys: against the rehearsal, which plays the kernel by other code, and in hand-overs. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { Handover } from '../../handover/handover.ts';
import { Journals } from '../../handover/journal.ts';
import { LiveTree } from '../../handover/live-tree.ts';
import { RehearsalTree } from '../../handover/rehearsal-tree.ts';
import { contents, giveTo, MortalDisk, planOf, Scratch } from '../../handover/testing.ts';
import { code, recording, refresh, type Simulated, simulate, writeOut } from './testing.ts';

const scratch = new Scratch();
const written = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringfence-sysfs-'));
afterAll(() => {
  scratch.clear();
  rmSync(written, { recursive: true, force: true });
}, 60_000);

const DEVICES = ['0000:01:00.0', '0000:01:00.1', '0000:00:1f.2', '0000:00:02.0', '0000:00:00.0'];
const HOST_DRIVER = new Map([
  ['0000:01:00.0', 'e1000e'],
  ['0000:01:00.1', 'e1000e'],
  ['0000:00:1f.2', 'ahci'],
  ['0000:00:02.0', 'pcieport'],
]);
const DRIVERS = ['vfio-pci', 'pci-stub', 'e1000e', 'no-such-driver'];

/** A running machine, as a folder. */
function machine(): string {
  const dir = scratch.machine('vfio');
  for (const [device, driver] of HOST_DRIVER) giveTo(dir, device, driver);
  const tree = new RehearsalTree(join(dir, 'sys'));
  for (const device of DEVICES) tree.write(`/sys/bus/pci/devices/${device}/driver_override`, '\n');
  tree.requireDriver('vfio-pci');
  tree.requireDriver('pci-stub');
  return dir;
}

const step = fc.oneof(
  fc.record({ device: fc.constantFrom(...DEVICES), override: fc.constantFrom(...DRIVERS, '') }),
  fc.record({ device: fc.constantFrom(...DEVICES), unbind: fc.constantFrom(...DRIVERS) }),
  fc.record({ device: fc.constantFrom(...DEVICES, '0000:77:00.0'), probe: fc.constant(true) }),
  fc.record({ device: fc.constantFrom(...DEVICES), bind: fc.constantFrom(...DRIVERS) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function writeOf(step: Step): [path: string, value: string] {
  const { device } = step;
  if ('override' in step) return [`/bus/pci/devices/${device}/driver_override`, `${step.override}\n`];
  if ('unbind' in step) return [`/bus/pci/drivers/${step.unbind}/unbind`, device];
  if ('bind' in step) return [`/bus/pci/drivers/${step.bind}/bind`, device];
  return ['/bus/pci/drivers_probe', device];
}

/** What the rehearsal cannot know: which devices a host driver is for by its ids. */
function dependsOnIds(step: Step, override: string | null | undefined): boolean {
  if (override) return false;
  if ('probe' in step) return true;
  return 'bind' in step && step.bind !== 'vfio-pci' && step.bind !== 'pci-stub';
}

test('any sequence of override, bind, unbind and probe ends as in the rehearsal, errno for errno', async () => {
  const dir = machine();
  const bound = new Set<string>();
  const before = new RehearsalTree(join(dir, 'sys'));
  const start = contents(join(dir, 'sys'));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
      const { sysfs } = await simulate(dir);
      const memory = before.remember(DEVICES, DRIVERS);
      for (const each of steps) {
        const held = before.held(each.device);
        if (dependsOnIds(each, held?.override)) continue;
        const [path, value] = writeOf(each);
        const said = code(() => sysfs.write(path, value));
        const rehearsed = code(() => before.write(`/sys${path}`, value));
        expect(said, `${value} > ${path}`).toBe(rehearsed);
        for (const device of DEVICES) {
          const link = sysfs.lookup(`/bus/pci/devices/${device}/driver`);
          const driver = link?.kind === 'link' ? link.target.split('/').at(-1) : null;
          const override = sysfs.readText(`/bus/pci/devices/${device}/driver_override`).trim();
          expect({ driver, override: override === '(null)' ? null : override }).toEqual(before.held(device));
          if (said === 'ok' && 'bind' in each && device === each.device) bound.add(`${driver}`);
        }
      }
      putBack(before);
      before.settle(memory);
    }),
    { numRuns: 100 },
  );
  expect(contents(join(dir, 'sys'))).toEqual(start);
  expect([...bound].sort()).toEqual(['e1000e', 'pci-stub', 'vfio-pci']);
}, 120_000);

function putBack(tree: RehearsalTree): void {
  for (const device of DEVICES) {
    const driver = tree.held(device)!.driver;
    const wanted = HOST_DRIVER.get(device);
    if (driver !== null && driver !== wanted) tree.write(`/sys/bus/pci/drivers/${driver}/unbind`, device);
    if (wanted !== undefined && driver !== wanted) {
      tree.write(`/sys/bus/pci/devices/${device}/driver_override`, wanted);
      tree.write(`/sys/bus/pci/drivers/${wanted}/bind`, device);
    }
    tree.write(`/sys/bus/pci/devices/${device}/driver_override`, '\n');
  }
}

/** The tree of a running kernel, played by the simulated one: each write reaches it, and the files follow. */
function liveTree({ sysfs }: Simulated): LiveTree {
  const root = mkdtempSync(join(written, 'sys-'));
  writeOut(sysfs, root);
  return new LiveTree(root, (file, value) => {
    try {
      sysfs.write(file.slice(root.length), value);
    } finally {
      refresh(sysfs, root);
    }
  });
}

test('a plan is applied to it and taken back, and everything it shows is as before', async () => {
  const dir = machine();
  const simulated = await simulate(dir);
  const tree = liveTree(simulated);
  const before = contents(tree.root);
  const taken = ['0000:01:00.0', '0000:01:00.1'];
  const disk = new MortalDisk();
  const handover = new Handover(tree, new Journals(disk));
  expect(handover.apply(planOf(tree, taken)).result).toBe('applied');
  for (const device of taken) {
    expect(tree.held(device)).toEqual({ driver: 'vfio-pci', override: 'vfio-pci' });
    expect(simulated.vfio.find(simulated.machine.device(device)!)?.isRegistered).toBe(true);
  }
  expect(simulated.sysfs.list('/class/vfio')).toHaveLength(1);
  expect(handover.undo(handover.last()!, 'asked for').result).toBe('undone');
  expect(contents(tree.root)).toEqual(before);
});

test('a recording with devices at vfio-pci starts with them registered, in the groups of the recording', async () => {
  const { vfio, sysfs } = await simulate(recording('vfio'));
  expect(vfio.devices.map(({ label, name }) => [label, name])).toEqual([['0000:01:00.0', 'vfio0']]);
  expect(sysfs.list('/class/vfio')).toEqual([vfio.devices[0]!.group.name]);
});

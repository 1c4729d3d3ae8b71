import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import { Bus, type BusAction } from './bus.ts';
import { DeviceCore } from './core.ts';
import { Device } from './device.ts';
import type { Driver } from './driver.ts';

/** Which event or call may follow which, for one device; `undefined` is before its addition. */
type Stage = BusAction | 'configured' | 'cleaned' | 'probed' | 'removeCalled' | undefined;
const MAY_FOLLOW: Record<string, Stage[]> = {
  add: [undefined],
  configured: ['add', 'unbound', 'cleaned', 'configureFailed' as Stage],
  configureFailed: ['add', 'unbound', 'cleaned', 'configureFailed' as Stage],
  bind: ['configured'],
  probed: ['bind'],
  bound: ['probed'],
  notBound: ['probed'],
  unbind: ['bound', 'del'],
  removeCalled: ['unbind'],
  cleaned: ['removeCalled', 'notBound'],
  unbound: ['cleaned'],
  del: ['add', 'bound', 'unbound', 'cleaned', 'configureFailed' as Stage],
  removed: ['del', 'unbound'],
};

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const DRIVERS = ['x', 'y', 'z'];

const step = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    device: fc.constantFrom(...NAMES),
    parent: fc.constantFrom(...NAMES),
  }),
  fc.record({ do: fc.constant('delete' as const), device: fc.constantFrom(...NAMES) }),
  fc.record({ do: fc.constant('unbind' as const), device: fc.constantFrom(...NAMES) }),
  fc.record({ do: fc.constant('attach' as const), device: fc.constantFrom(...NAMES) }),
  fc.record({
    do: fc.constant('bind' as const),
    device: fc.constantFrom(...NAMES),
    driver: fc.constantFrom(...DRIVERS),
  }),
  fc.record({
    do: fc.constant('override' as const),
    device: fc.constantFrom(...NAMES),
    driver: fc.constantFrom(...DRIVERS, ''),
  }),
  fc.record({ do: fc.constant('register' as const), driver: fc.constantFrom(...DRIVERS) }),
  fc.record({ do: fc.constant('unregister' as const), driver: fc.constantFrom(...DRIVERS) }),
  fc.record({ do: fc.constant('retry' as const) }),
);

/** What each DMA set-up and probe answers, used up in turn; then everything succeeds. */
const answer = fc.constantFrom('ok', 'ok', 'EIO', 'EBUSY', 'EPROBE_DEFER');

describe('property: device core under random requests', () => {
  test('every device sees a well-formed sequence of events, and lists, links and drivers agree', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.array(answer, { maxLength: 60, size: 'max' }),
        (steps, answers) => {
          const sysfs = new Sysfs();
          const core = new DeviceCore(sysfs);
          const stages = new Map<Device, Stage>();
          const enter = (device: Device, stage: string) => {
            expect([stage, MAY_FOLLOW[stage]]).toEqual([stage, expect.arrayContaining([stages.get(device)])]);
            stages.set(device, stage as Stage);
          };
          const answerNext = () => {
            const next = answers.pop() ?? 'ok';
            if (next !== 'ok') throw new KernelError(next as 'EIO', 'test', 'was told to fail');
          };
          const bus = new Bus({
            name: 'pci',
            dmaConfigure: (device) => {
              try {
                answerNext();
              } catch (error) {
                enter(device, 'configureFailed');
                throw error;
              }
              enter(device, 'configured');
            },
            dmaCleanup: (device) => enter(device, 'cleaned'),
          });
          core.addBus(bus);
          bus.notifier.register(({ action, device }) => {
            // A device that goes with its driver bound sees `del` first, so what was bound then is unbound after.
            if (action === 'removed' && stages.get(device) === 'del') expect(device.driver).toBeUndefined();
            enter(device, action);
          });
          const drivers = new Map(
            DRIVERS.map((name): [string, Driver] => [
              name,
              {
                name,
                bus,
                match: (device) => device.name !== name,
                probe: (device) => {
                  enter(device, 'probed');
                  answerNext();
                },
                remove: (device) => enter(device, 'removeCalled'),
              },
            ]),
          );
          const present = new Map<string, Device>();

          const carryOut = (request: (typeof steps)[number]) => {
            const device = 'device' in request ? present.get(request.device) : undefined;
            const driver = 'driver' in request ? drivers.get(request.driver) : undefined;
            if (request.do === 'add' && !device) {
              const parent = present.get(request.parent);
              core.addDevice(new Device({ name: request.device, bus, ...(parent && { parent }) }));
            } else if (request.do === 'delete' && device) core.deleteDevice(device);
            else if (request.do === 'unbind' && device) core.unbind(device);
            else if (request.do === 'attach' && device) core.attach(device);
            else if (request.do === 'bind' && device && driver) core.bind(device, driver);
            else if (request.do === 'override' && device) device.driverOverride = driver?.name;
            else if (request.do === 'register' && driver) core.registerDriver(driver);
            else if (request.do === 'unregister' && driver) core.unregisterDriver(driver);
            else if (request.do === 'retry') core.probeDeferred();
          };

          for (const request of steps) {
            try {
              carryOut(request);
            } catch (error) {
              if (!(error instanceof KernelError)) throw error;
            }
            present.clear();
            for (const device of bus.devices) present.set(device.name, device);

            for (const [device, stage] of stages) {
              const onBus = present.get(device.name) === device;
              expect([device.kobj !== undefined, stage === 'removed']).toEqual([onBus, !onBus]);
              expect(device.driver !== undefined).toBe(stage === 'bound');
            }
            for (const device of bus.devices) {
              const path = device.kobj!.path;
              expect(sysfs.realpath(`/bus/pci/devices/${device.name}`)).toBe(path);
              expect(sysfs.exists(`${path}/driver`)).toBe(device.driver !== undefined);
              if (device.driver) {
                expect(sysfs.realpath(`${path}/driver/${device.name}`)).toBe(path);
                expect(core.devicesOf(device.driver)).toContain(device);
                expect(core.deferred).not.toContain(device);
                expect(device.driver).not.toBe(undefined);
              }
              if (device.parent) expect([...device.parent.children]).toContain(device);
            }
            for (const driver of drivers.values()) {
              for (const device of core.devicesOf(driver)) expect(device.driver).toBe(driver);
            }
            for (const device of core.deferred) expect(bus.devices).toContain(device);
            expect(sysfs.readdir('/bus/pci/devices')).toEqual([...present.keys()].sort());
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

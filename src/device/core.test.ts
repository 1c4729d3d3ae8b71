import { describe, expect, test } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import type { BindError } from './binding.ts';
import { BUS_NOTIFY, Bus, type BusEvent, type BusInit } from './bus.ts';
import { DeviceCore } from './core.ts';
import { Device } from './device.ts';
import type { Driver } from './driver.ts';

/** A machine with one bus whose events and calls are written down in order. */
function setUp(init: Partial<BusInit> = {}) {
  const log: string[] = [];
  const errors: BindError[] = [];
  const sysfs = new Sysfs();
  const core = new DeviceCore(sysfs, (failure) => errors.push(failure));
  const bus = new Bus({
    name: 'pci',
    driverOverride: true,
    dmaConfigure: ({ name }) => void log.push(`dmaConfigure ${name}`),
    dmaCleanup: ({ name }) => void log.push(`dmaCleanup ${name}`),
    ...init,
  });
  core.addBus(bus);
  bus.notifier.register(({ action, device }) => void log.push(`${action} ${device.name}`));
  const driver = (name: string, more: Partial<Driver> = {}): Driver => ({
    name,
    bus,
    probe: (device) => void log.push(`probe ${device.name}`),
    remove: (device) => void log.push(`remove ${device.name}`),
    ...more,
  });
  const added = (name: string, parent?: Device): Device => {
    const device = new Device({ name, bus, ...(parent && { parent }) });
    core.addDevice(device);
    return device;
  };
  const since = () => log.splice(0);
  return { bus, core, sysfs, errors, log, driver, added, since };
}

function refuse(code: KernelError['code']): () => never {
  return () => {
    throw new KernelError(code, 'device', 'refused by the test');
  };
}

describe('groups-core.md 8: order of bus events', () => {
  test('numbers of the events', () => {
    expect(BUS_NOTIFY).toEqual({
      add: 0,
      del: 1,
      removed: 2,
      bind: 3,
      bound: 4,
      unbind: 5,
      unbound: 6,
      notBound: 7,
    });
  });

  test('add, then bind: DMA set-up, bind, probe, bound', () => {
    const { core, driver, added, since } = setUp();
    core.registerDriver(driver('nvme'));
    added('a');
    expect(since()).toEqual(['add a', 'dmaConfigure a', 'bind a', 'probe a', 'bound a']);
  });

  test('a DMA set-up that fails ends the probe without any event', () => {
    const { core, driver, added, since, errors } = setUp({ dmaConfigure: refuse('EBUSY') });
    core.registerDriver(driver('nvme'));
    const device = added('a');
    expect(since()).toEqual(['add a']);
    expect(device.driver).toBeUndefined();
    expect(errors).toMatchObject([{ during: 'dmaConfigure', error: { code: 'EBUSY' } }]);
  });

  test('a probe that fails: not bound, then DMA is cleaned up', () => {
    const { core, driver, added, since, bus } = setUp();
    const states: unknown[] = [];
    bus.notifier.register(({ action, device }) => {
      if (action === 'notBound') states.push(device.driver?.name);
    });
    core.registerDriver(driver('nvme', { probe: refuse('EIO') }));
    const device = added('a');
    expect(since()).toEqual(['add a', 'dmaConfigure a', 'bind a', 'notBound a', 'dmaCleanup a']);
    expect(states).toEqual(['nvme']);
    expect(device.driver).toBeUndefined();
  });

  test('unbind: unbind, remove, DMA clean-up, unbound; the driver is known until then', () => {
    const { core, driver, added, since, bus } = setUp();
    core.registerDriver(driver('nvme'));
    const device = added('a');
    since();
    const known: string[] = [];
    bus.notifier.register((event) => void known.push(`${event.action} ${event.device.driver?.name}`));
    core.unbind(device);
    expect(since()).toEqual(['unbind a', 'remove a', 'dmaCleanup a', 'unbound a']);
    expect(known).toEqual(['unbind nvme', 'unbound undefined']);
    core.unbind(device);
    expect(since()).toEqual([]);
  });

  test('delete: del, the unbind sequence, removed', () => {
    const { core, driver, added, since } = setUp();
    core.registerDriver(driver('nvme'));
    const device = added('a');
    since();
    core.deleteDevice(device);
    expect(since()).toEqual(['del a', 'unbind a', 'remove a', 'dmaCleanup a', 'unbound a', 'removed a']);
  });

  test('the directory is there from before add until after removed; bus links go after del', () => {
    const { core, added, sysfs, bus } = setUp();
    const seen: string[] = [];
    bus.notifier.register(({ action, device }) => {
      const paths = [`/devices/${device.name}`, `/bus/pci/devices/${device.name}`];
      seen.push(`${action} ${paths.map((path) => sysfs.exists(path)).join(' ')}`);
    });
    core.deleteDevice(added('a'));
    expect(seen).toEqual(['add true true', 'del true true', 'removed true false']);
    expect(sysfs.exists('/devices/a')).toBe(false);
  });
});

describe('sysfs', () => {
  test('a bound device has the links a real one has', () => {
    const { core, driver, added, sysfs } = setUp();
    core.registerDriver(driver('nvme'));
    const bridge = new Device({ name: 'pci0000:00' });
    core.addDevice(bridge);
    const device = added('0000:00:02.0', bridge);
    const path = '/devices/pci0000:00/0000:00:02.0';
    expect(sysfs.readlink(`${path}/driver`)).toBe('../../../bus/pci/drivers/nvme');
    expect(sysfs.readlink(`${path}/subsystem`)).toBe('../../../bus/pci');
    expect(sysfs.readlink('/bus/pci/drivers/nvme/0000:00:02.0')).toBe(
      '../../../../devices/pci0000:00/0000:00:02.0',
    );
    expect(sysfs.readlink('/bus/pci/devices/0000:00:02.0')).toBe('../../../devices/pci0000:00/0000:00:02.0');
    core.unbind(device);
    expect(sysfs.readdir(path)).toEqual(['driver_override', 'subsystem']);
    expect(sysfs.readdir('/bus/pci/drivers/nvme')).toEqual(['bind', 'unbind']);
  });

  test('bind, unbind, drivers_probe and drivers_autoprobe work as files', () => {
    const { core, driver, added, sysfs } = setUp();
    expect(sysfs.read('/bus/pci/drivers_autoprobe')).toBe('1\n');
    sysfs.write('/bus/pci/drivers_autoprobe', '0\n');
    core.registerDriver(driver('nvme'));
    const device = added('a');
    expect(device.driver).toBeUndefined();
    sysfs.write('/bus/pci/drivers/nvme/bind', 'a\n');
    expect(device.driver?.name).toBe('nvme');
    expect(() => sysfs.write('/bus/pci/drivers/nvme/bind', 'a')).toThrow('[EBUSY]');
    sysfs.write('/bus/pci/drivers/nvme/unbind', 'a');
    expect(() => sysfs.write('/bus/pci/drivers/nvme/unbind', 'a')).toThrow('[ENODEV]');
    expect(() => sysfs.write('/bus/pci/drivers/nvme/bind', 'b')).toThrow('[ENODEV]');
    sysfs.write('/bus/pci/drivers_probe', 'a');
    expect(device.driver?.name).toBe('nvme');
  });

  test('driver_override is shown, set up to a newline, and lifted by empty text', () => {
    const { added, sysfs } = setUp();
    const device = added('a');
    const path = '/devices/a/driver_override';
    expect(sysfs.read(path)).toBe('(null)\n');
    sysfs.write(path, 'vfio-pci\nrest');
    expect([sysfs.read(path), device.driverOverride]).toEqual(['vfio-pci\n', 'vfio-pci']);
    expect(() => sysfs.write(path, 'x'.repeat(4095))).toThrow('[EINVAL]');
    sysfs.write(path, '\n');
    expect(device.driverOverride).toBeUndefined();
  });
});

describe('matching', () => {
  test('drivers are tried in order of registration; a failed probe lets the next one try', () => {
    const { core, driver, added, since } = setUp();
    core.registerDriver(driver('stranger', { match: () => false }));
    core.registerDriver(driver('broken', { probe: refuse('EIO') }));
    core.registerDriver(driver('good'));
    expect(added('a').driver?.name).toBe('good');
    expect(since()).toEqual([
      'add a',
      ...['dmaConfigure a', 'bind a', 'notBound a', 'dmaCleanup a'],
      ...['dmaConfigure a', 'bind a', 'probe a', 'bound a'],
    ]);
  });

  test('a DMA set-up that fails ends the search: the next driver is not tried', () => {
    const { core, driver, added } = setUp({
      dmaConfigure: (_, { driverManagedDma }) => {
        if (!driverManagedDma) refuse('EBUSY')();
      },
    });
    core.registerDriver(driver('nvme'));
    core.registerDriver(driver('vfio-pci', { driverManagedDma: true }));
    const device = added('a');
    expect(device.driver).toBeUndefined();
    expect(() => core.attach(device)).toThrow('[EBUSY]');
    device.driverOverride = 'vfio-pci';
    expect(core.attach(device)).toBe(true);
  });

  test('with driver_override only that driver matches, even against its id table', () => {
    const { core, driver, added } = setUp();
    const nvme = driver('nvme');
    const vfio = driver('vfio-pci', { match: () => false });
    core.registerDriver(vfio);
    core.registerDriver(nvme);
    const device = added('a');
    expect(device.driver).toBe(nvme);
    core.unbind(device);
    expect(() => core.bind(device, vfio)).toThrow(/ENODEV/);
    device.driverOverride = 'vfio-pci';
    expect(() => core.bind(device, nvme)).toThrow(/ENODEV/);
    core.bind(device, vfio);
    expect(device.driver).toBe(vfio);
  });

  test('a gate is asked before everything else and all must agree', () => {
    const { core, driver, added } = setUp();
    const nvme = driver('nvme');
    core.registerDriver(nvme);
    const gate = (device: Device) => device.name !== 'guarded';
    core.addMatchGate(gate);
    core.addMatchGate(() => true);
    const guarded = new Device({ name: 'guarded', bus: nvme.bus });
    guarded.driverOverride = 'nvme';
    core.addDevice(guarded);
    expect([guarded.driver, added('a').driver]).toEqual([undefined, nvme]);
    expect(() => core.bind(guarded, nvme)).toThrow('[ENODEV]');
    core.removeMatchGate(gate);
    expect(core.attach(guarded)).toBe(true);
  });

  test("the bus's own match decides alone", () => {
    const { core, driver, added } = setUp({ match: (device, { name }) => device.name.startsWith(name) });
    core.registerDriver(driver('b', { match: () => true }));
    core.registerDriver(driver('a', { match: () => false }));
    expect(added('a1').driver?.name).toBe('a');
  });
});

describe('deferred probe', () => {
  test('a device whose driver defers is retried in order when another binds', () => {
    const { core, driver, added, since } = setUp();
    let supplier = false;
    core.registerDriver(
      driver('consumer', {
        match: ({ name }) => name.startsWith('c'),
        probe: () => {
          if (!supplier) refuse('EPROBE_DEFER')();
        },
      }),
    );
    core.registerDriver(
      driver('supplier', {
        match: ({ name }) => name === 's',
        probe: () => {
          supplier = true;
        },
      }),
    );
    const [c1, c2] = [added('c1'), added('c2')];
    expect(core.deferred).toEqual([c1, c2]);
    since();
    added('s');
    expect(core.deferred).toEqual([]);
    expect(since().filter((line) => line.startsWith('bound'))).toEqual(['bound s', 'bound c1', 'bound c2']);
  });

  test('a DMA set-up may defer too, and probeDeferred retries on request', () => {
    let ready = false;
    const { core, driver, added } = setUp({
      dmaConfigure: () => {
        if (!ready) refuse('EPROBE_DEFER')();
      },
    });
    core.registerDriver(driver('nvme'));
    const device = added('a');
    core.probeDeferred();
    expect(core.deferred).toEqual([device]);
    ready = true;
    core.probeDeferred();
    expect([core.deferred, device.driver?.name]).toEqual([[], 'nvme']);
  });

  test('after a probe that defers the next driver is tried, and binding it ends the wait', () => {
    const { core, driver, added } = setUp();
    core.registerDriver(driver('picky', { probe: refuse('EPROBE_DEFER') }));
    core.registerDriver(driver('good'));
    expect(added('a').driver?.name).toBe('good');
    expect(core.deferred).toEqual([]);
  });

  test('a match that defers puts the device on the list and ends the search', () => {
    const { core, driver, added } = setUp();
    core.registerDriver(driver('unsure', { match: refuse('EPROBE_DEFER') }));
    core.registerDriver(driver('good'));
    const device = added('a');
    expect([core.deferred, device.driver]).toEqual([[device], undefined]);
  });

  test('retries wait for the end of the outermost call, as a work queue would', () => {
    const { core, driver, added, since, bus } = setUp();
    let deferrals = 1;
    core.registerDriver(
      driver('late', {
        match: ({ name }) => name === 'late',
        probe: () => {
          if (deferrals-- > 0) refuse('EPROBE_DEFER')();
        },
      }),
    );
    core.registerDriver(driver('port', { match: ({ name }) => name === 'port' }));
    core.registerDriver(
      driver('hub', {
        match: ({ name }) => name === 'hub',
        probe: (parent) => core.addDevice(new Device({ name: 'port', bus, parent })),
      }),
    );
    const waiting: string[][] = [];
    bus.notifier.register(({ action }) => {
      if (action === 'bound') waiting.push(core.deferred.map(({ name }) => name));
    });
    added('late');
    added('hub');
    expect(since().filter((line) => line.startsWith('bound'))).toEqual([
      'bound port',
      'bound hub',
      'bound late',
    ]);
    expect(waiting).toEqual([['late'], ['late'], []]);
  });

  test('a device that a user binds waits no more, already when bound is announced', () => {
    const { core, driver, added, bus } = setUp();
    core.registerDriver(driver('picky', { probe: refuse('EPROBE_DEFER') }));
    const good = driver('good', { match: ({ driverOverride }) => driverOverride !== undefined });
    core.registerDriver(good);
    const device = added('a');
    device.driverOverride = 'good';
    const waiting: Device[][] = [core.deferred];
    bus.notifier.register(({ action }) => {
      if (action === 'bound') waiting.push(core.deferred);
    });
    core.bind(device, good);
    expect(waiting).toEqual([[device], []]);
  });

  test('a user who binds gets EAGAIN and nothing is deferred', () => {
    const { core, driver, added, bus } = setUp();
    bus.driversAutoprobe = false;
    const picky = driver('picky', { probe: refuse('EPROBE_DEFER') });
    core.registerDriver(picky);
    expect(() => core.bind(added('a'), picky)).toThrow('[EAGAIN]');
    expect(core.deferred).toEqual([]);
  });

  test('a chain of 200 devices, each waiting for the one added after it, all bind', () => {
    const { core, driver, added, bus } = setUp();
    core.registerDriver(
      driver('chain', {
        probe: ({ name }) => {
          const next = bus.findDevice(String(Number(name) + 1));
          if (name !== '200' && !next?.driver) refuse('EPROBE_DEFER')();
        },
      }),
    );
    for (let name = 1; name <= 200; name++) added(String(name));
    expect(core.deferred).toEqual([]);
    expect(bus.devices.every(({ driver }) => driver)).toBe(true);
  });

  test('probes that bind a child and then defer do not wake each other for ever', () => {
    const { core, driver, added, bus } = setUp();
    core.registerDriver(driver('child', { match: ({ name }) => name.endsWith('-child') }));
    core.registerDriver(
      driver('circular', {
        match: ({ name }) => !name.endsWith('-child'),
        probe: (device) => {
          const child = new Device({ name: `${device.name}-child`, bus, parent: device });
          core.addDevice(child);
          core.deleteDevice(child);
          refuse('EPROBE_DEFER')();
        },
      }),
    );
    const both = [added('a'), added('b')];
    expect(core.deferred.sort((x, y) => x.name.localeCompare(y.name))).toEqual(both);
  });

  test('a deleted device is retried no more', () => {
    const { core, driver, added, since } = setUp();
    core.registerDriver(driver('picky', { probe: refuse('EPROBE_DEFER') }));
    core.deleteDevice(added('a'));
    since();
    core.probeDeferred();
    expect([core.deferred, since()]).toEqual([[], []]);
  });
});

describe('adding and deleting', () => {
  test('a probe may add children; its remove deletes them inside the unbind', () => {
    const { core, driver, added, since, bus } = setUp();
    core.registerDriver(
      driver('hub', {
        match: ({ name }) => name === 'hub',
        probe: (parent) => core.addDevice(new Device({ name: 'port', bus, parent })),
        remove: (parent) => {
          for (const child of parent.children) core.deleteDevice(child);
        },
      }),
    );
    const hub = added('hub');
    expect(since()).toEqual(['add hub', 'dmaConfigure hub', 'bind hub', 'add port', 'bound hub']);
    core.deleteDevice(hub);
    expect(since()).toEqual([
      ...['del hub', 'unbind hub', 'del port', 'removed port', 'dmaCleanup hub', 'unbound hub'],
      'removed hub',
    ]);
  });

  test('children nobody deleted go before removed, last one first', () => {
    const { core, added, since, sysfs } = setUp();
    const top = added('top');
    added('b', added('a', top));
    added('c', top);
    since();
    core.deleteDevice(top);
    expect(since()).toEqual([
      ...['del top', 'del c', 'removed c', 'del a', 'del b', 'removed b', 'removed a'],
      'removed top',
    ]);
    expect([...sysfs.readdir('/devices'), ...sysfs.readdir('/bus/pci/devices')]).toEqual([]);
    const parent = added('parent');
    core.deleteDevice(added('child', parent));
    expect(parent.children.size).toBe(0);
  });

  test.each(['same name on the bus', 'same name under the parent'])(
    '%s is EEXIST and changes nothing',
    (where) => {
      const { core, added, sysfs, since, bus } = setUp();
      const first = added('a');
      since();
      const second =
        where === 'same name on the bus'
          ? new Device({ name: 'a', bus, parent: first })
          : new Device({ name: 'a' });
      expect(() => core.addDevice(second)).toThrow('[EEXIST]');
      expect([second.kobj, since(), bus.devices, [...first.children]]).toEqual([undefined, [], [first], []]);
      expect(sysfs.exists('/devices/a/a')).toBe(false);
    },
  );

  test('a bus whose devices have a file `subsystem` cannot have devices, and keeps no link to them', () => {
    const { core, sysfs, bus } = setUp({ deviceAttributes: [{ name: 'subsystem', mode: 0o444 }] });
    expect(() => core.addDevice(new Device({ name: 'a', bus }))).toThrow('[EEXIST]');
    expect([...sysfs.readdir('/devices'), ...sysfs.readdir('/bus/pci/devices')]).toEqual([]);
  });

  test('misuse is refused: twice, unknown bus, missing or dying parent, deleting twice', () => {
    const { core, added, bus } = setUp();
    const device = added('a');
    expect(() => core.addDevice(device)).toThrow('[EINVAL]');
    expect(() => core.addDevice(new Device({ name: 'b', bus: new Bus({ name: 'usb' }) }))).toThrow(
      '[EINVAL]',
    );
    expect(() => core.addDevice(new Device({ name: 'b', parent: new Device({ name: 'x' }) }))).toThrow(
      '[ENOENT]',
    );
    const answers: unknown[] = [];
    bus.notifier.register(({ action }: BusEvent) => {
      if (action !== 'del') return;
      for (const attempt of [
        () => core.addDevice(new Device({ name: 'late', parent: device })),
        () => core.deleteDevice(device),
      ]) {
        expect(attempt).toThrow('[ENODEV]');
        answers.push('refused');
      }
    });
    core.deleteDevice(device);
    expect(answers).toEqual(['refused', 'refused']);
    expect(() => core.deleteDevice(device)).toThrow('[ENODEV]');
    expect(() => core.addDevice(device)).toThrow('[EINVAL]');
    expect(() => core.addBus(new Bus({ name: 'pci' }))).toThrow('[EEXIST]');
  });

  test('a probe that deletes or unbinds its own device, or its parent, is EDEADLK', () => {
    const { core, driver, added, errors } = setUp();
    const bridge = added('bridge');
    const attempts: Record<string, (device: Device) => void> = {
      delete: (device) => core.deleteDevice(device),
      parent: () => core.deleteDevice(bridge),
      release: (device) => core.unbind(device),
      unregister: (device) => core.unregisterDriver(device.driver!),
    };
    const silly = driver('silly', {
      match: ({ name }) => name in attempts,
      probe: (device) => attempts[device.name]!(device),
    });
    core.registerDriver(silly);
    for (const name of Object.keys(attempts)) {
      const device = added(name, bridge);
      expect([name, errors.pop()?.error.code, device.driver]).toEqual([name, 'EDEADLK', undefined]);
    }
    expect(bridge.children.size).toBe(4);
    expect(() => core.unregisterDriver(silly)).not.toThrow();
  });

  test('a callback may remove any device during the walk over a bus', () => {
    const { core, added, bus } = setUp();
    const [a, b, c] = [added('a'), added('b'), added('c')];
    const seen: string[] = [];
    bus.forEachDevice((device) => {
      seen.push(device.name);
      if (device === a) {
        core.deleteDevice(a);
        core.deleteDevice(b);
        added('d');
      }
    });
    expect(seen).toEqual(['a', 'c', 'd']);
    expect(bus.forEachDevice((device) => (device === c ? 'found' : undefined))).toBe('found');
  });

  test('a device that is being added is probed only after its add event', () => {
    const { core, driver, added, bus, since } = setUp();
    const eager = driver('eager', { probe: refuse('EIO') });
    bus.notifier.register(({ action, device }) => {
      if (action !== 'add') return;
      core.registerDriver(eager);
      expect(() => core.bind(device, eager)).toThrow('[EAGAIN]');
    });
    added('a');
    expect(since()).toEqual(['add a', 'dmaConfigure a', 'bind a', 'notBound a', 'dmaCleanup a']);
    expect(core.deferred).toEqual([]);
  });
});

describe('drivers', () => {
  test('registering tries the devices present in bus order; unregistering lets the last go first', () => {
    const { core, driver, added, since } = setUp();
    const devices = ['a', 'b'].map((name) => added(name));
    since();
    const nvme = driver('nvme');
    core.registerDriver(nvme);
    expect(core.devicesOf(nvme)).toEqual(devices);
    expect(since().filter((line) => line.startsWith('probe'))).toEqual(['probe a', 'probe b']);
    core.unregisterDriver(nvme);
    expect(since().filter((line) => line.startsWith('remove '))).toEqual(['remove b', 'remove a']);
    expect(() => core.unregisterDriver(nvme)).toThrow('[EINVAL]');
    expect(() => core.bind(devices[0]!, nvme)).toThrow('[EINVAL]');
  });

  test('a second driver of a name is EBUSY, one for an unknown bus EINVAL', () => {
    const { core, driver } = setUp();
    core.registerDriver(driver('nvme'));
    expect(() => core.registerDriver(driver('nvme'))).toThrow('[EBUSY]');
    expect(() => core.registerDriver({ name: 'usb-storage', bus: new Bus({ name: 'usb' }) })).toThrow(
      '[EINVAL]',
    );
  });

  test('registering a driver that matches the device being probed is EDEADLK and leaves no driver behind', () => {
    const { core, driver, added, errors, bus } = setUp();
    core.registerDriver(driver('outer', { probe: () => core.registerDriver(driver('inner')) }));
    added('a');
    expect(errors.at(-1)?.error.code).toBe('EDEADLK');
    expect(bus.findDriver('inner')).toBeUndefined();
  });

  test('a remove that throws is reported and the device is let go all the same', () => {
    const { core, driver, added, since, errors } = setUp();
    core.registerDriver(driver('nvme', { remove: refuse('EBUSY') }));
    const device = added('a');
    since();
    core.unbind(device);
    expect([since(), device.driver]).toEqual([['unbind a', 'dmaCleanup a', 'unbound a'], undefined]);
    expect(errors).toMatchObject([{ during: 'remove', error: { code: 'EBUSY' } }]);
  });

  test('a bug in a driver passes through, with the device left as after a failed probe', () => {
    const { core, driver, added, since, sysfs } = setUp();
    const buggy = driver('buggy', {
      probe: () => {
        throw new TypeError('bug');
      },
    });
    const device = added('a');
    expect(() => core.registerDriver(buggy)).toThrow(TypeError);
    expect(since()).toEqual(['add a', 'dmaConfigure a', 'bind a', 'notBound a', 'dmaCleanup a']);
    expect([device.driver, sysfs.exists('/devices/a/driver')]).toEqual([undefined, false]);
    expect(core.attach(device)).toBe(false);
  });

  test('a device named like a file of the driver cannot be linked: not bound', () => {
    const { core, driver, added, since } = setUp();
    core.registerDriver(driver('nvme'));
    expect(added('bind').driver).toBeUndefined();
    expect(since()).toEqual([
      'add bind',
      'dmaConfigure bind',
      'bind bind',
      'notBound bind',
      'dmaCleanup bind',
    ]);
  });
});

describe('notifier of all devices', () => {
  test('add after the bus was told and before any probe, removed after the bus while the directory is there', () => {
    const core = new DeviceCore(new Sysfs());
    const bus = new Bus({ name: 'pci' });
    core.addBus(bus);
    const log: string[] = [];
    bus.notifier.register(({ action }) => void log.push(`bus ${action}`));
    core.notifier.register(({ action, device }) => void log.push(`core ${action} ${device.kobj?.inSysfs}`));
    core.registerDriver({ name: 'd', bus, probe: () => void log.push('probe') });
    const device = new Device({ name: 'x', bus });
    core.addDevice(device);
    core.deleteDevice(device);
    expect(log.filter((line) => !/bus (un)?b/.test(line))).toEqual([
      'bus add',
      'core add true',
      'probe',
      'bus del',
      'bus removed',
      'core removed true',
    ]);
  });

  test('devices on no bus too, children before their parent when a tree goes', () => {
    const core = new DeviceCore(new Sysfs());
    const log: string[] = [];
    core.notifier.register(({ action, device }) => void log.push(`${action} ${device.name}`));
    const parent = new Device({ name: 'parent' });
    core.addDevice(parent);
    core.addDevice(new Device({ name: 'child', parent }));
    core.deleteDevice(parent);
    expect(log).toEqual(['add parent', 'add child', 'removed child', 'removed parent']);
  });
});

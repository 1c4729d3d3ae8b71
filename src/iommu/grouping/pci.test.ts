import { describe, expect, test } from 'vitest';
import { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { DevfnSet } from '../../pci/devfn-set.ts';
import { createPolicy } from './index.ts';
import {
  type Acs,
  build,
  card,
  downstream,
  endpoint,
  eventCollector,
  form,
  integrated,
  type NodeOptions,
  oldBridge,
  partition,
  pciBridge,
  plainAcs,
  rootPort,
  upstream,
} from './testing.ts';

/** RP–USP–{DSP a, DSP b}–EPs, the machine of most vectors. */
const switched = (rp: Acs, dspA: Acs, dspB: Acs, options: NodeOptions = {}) =>
  build([
    rootPort('1.0', { name: 'RP', acs: rp }, [
      upstream('0.0', { name: 'USP', ...options }, [
        downstream('0.0', { name: 'DSPa', acs: dspA }, [endpoint('0.0', { name: 'EPa' })]),
        downstream('1.0', { name: 'DSPb', acs: dspB }, [endpoint('0.0', { name: 'EPb' })]),
      ]),
    ]),
  ]);

describe('grouping.md 11: vectors', () => {
  test('switch with ACS everywhere: six singles', () => {
    expect(partition(switched('full', 'full', 'full'))).toEqual([
      ['RP'],
      ['USP'],
      ['DSPa'],
      ['DSPb'],
      ['EPa'],
      ['EPb'],
    ]);
  });

  test('both DSP without ACS, RP with it: each DSP joins its own children, not the other', () => {
    expect(partition(switched('full', 'none', 'none'))).toEqual([
      ['RP'],
      ['USP'],
      ['DSPa', 'EPa'],
      ['DSPb', 'EPb'],
    ]);
  });

  test('DSPa with ACS, DSPb without', () => {
    expect(partition(switched('full', 'full', 'none'))).toEqual([
      ['RP'],
      ['USP'],
      ['DSPa'],
      ['DSPb', 'EPb'],
      ['EPa'],
    ]);
  });

  test('DSPs with ACS, RP without: all six together', () => {
    expect(partition(switched('none', 'full', 'full'))).toEqual([
      ['RP', 'USP', 'DSPa', 'DSPb', 'EPa', 'EPb'],
    ]);
  });

  test('two root ports of one slot without ACS: one group with all below', () => {
    const machine = build([
      rootPort('1.0', { name: 'P0' }, [endpoint('0.0', { name: 'A' })]),
      rootPort('1.1', { name: 'P1' }, [endpoint('0.0', { name: 'B' })]),
    ]);
    expect(partition(machine)).toEqual([['P0', 'P1', 'A', 'B']]);
  });

  test('1c.0 without ACS, 1c.4 with it', () => {
    const machine = build([
      rootPort('1c.0', { name: 'P0' }, [endpoint('0.0', { name: 'A' })]),
      rootPort('1c.4', { name: 'P4', acs: 'full' }, [endpoint('0.0', { name: 'B' })]),
    ]);
    expect(partition(machine)).toEqual([['P0', 'A'], ['P4'], ['B']]);
  });

  test('function 0 with an empty ACS capability stays out, functions 1 and 2 share', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        endpoint('0.0', { name: 'f0', acs: 'empty' }),
        endpoint('0.1', { name: 'f1' }),
        endpoint('0.2', { name: 'f2' }),
      ]),
    ]);
    expect(partition(machine)).toEqual([['RP'], ['f0'], ['f1', 'f2']]);
  });

  test('cards behind a PCIe-to-PCI bridge share its group', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        pciBridge('0.0', { name: 'bridge' }, [card('1.0', { name: 'c1' }), card('2.0', { name: 'c2' })]),
      ]),
    ]);
    expect(partition(machine)).toEqual([['RP'], ['bridge', 'c1', 'c2']]);
  });

  test('single-function conventional devices on the root bus: two groups', () => {
    expect(partition(build([card('3.0'), card('4.0')]))).toEqual([['00:03.0'], ['00:04.0']]);
  });

  test('multifunction conventional device on the root bus: one group a slot', () => {
    const machine = build([card('3.0'), card('3.1'), card('4.0'), card('4.5')]);
    expect(partition(machine)).toEqual([
      ['00:03.0', '00:03.1'],
      ['00:04.0', '00:04.5'],
    ]);
  });

  const withVfs = (rp: Acs) =>
    build([
      rootPort('1.0', { name: 'RP', acs: rp }, [
        endpoint('0.0', { name: 'f0', vfs: { count: 1, offset: 0x10 } }),
        endpoint('0.1', { name: 'f1', vfs: { count: 1, offset: 0x100 } }),
      ]),
    ]);

  test('PF without ACS with VFs on its own and on a virtual bus, RP with ACS: VFs alone', () => {
    expect(partition(withVfs('full'))).toEqual([['RP'], ['f0', 'f1'], ['f0 VF0'], ['f1 VF0']]);
  });

  test('same, RP without ACS: everything in its group', () => {
    expect(partition(withVfs('none'))).toEqual([['RP', 'f0', 'f1', 'f0 VF0', 'f1 VF0']]);
  });

  test('function 0 aliasing function 1, both with ACS: together', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        endpoint('0.0', { name: 'f0', acs: 'full' }),
        endpoint('0.1', { name: 'f1', acs: 'full' }),
      ]),
    ]);
    const mask = new DevfnSet();
    mask.add(1);
    machine.get('f0').dmaAliasMask = mask;
    expect(partition(machine)).toEqual([['RP'], ['f0', 'f1']]);
  });

  test('ARI device with ten functions, no ACS: functions 0 to 7 and 8 to 9', () => {
    const functions = [...'01234567'].map((fn) => endpoint(`0.${fn}`, { multifunction: true }));
    const machine = build([
      rootPort('1.0', { acs: 'full' }, [
        ...functions,
        endpoint('1.0', { multifunction: true }),
        endpoint('1.1', { multifunction: true }),
      ]),
    ]);
    expect(partition(machine).map((group) => group.length)).toEqual([1, 8, 2]);
  });

  test('multifunction upstream port with a DMA function, no ACS: all below share', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        upstream('0.0', { name: 'USP' }, [
          downstream('0.0', { name: 'DSP', acs: 'full' }, [endpoint('0.0', { name: 'EP' })]),
        ]),
        endpoint('0.1', { name: 'DMA' }),
      ]),
    ]);
    expect(partition(machine)).toEqual([['RP'], ['USP', 'DMA', 'DSP', 'EP']]);
  });

  test('event collector: alone as single function, shared with an integrated endpoint of its slot', () => {
    expect(partition(build([eventCollector('5.0'), integrated('6.0')]))).toHaveLength(2);
    expect(partition(build([eventCollector('5.0'), integrated('5.1')]))).toHaveLength(1);
  });

  test('RP without ACS and without a group: every function below has its own', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP' }, [endpoint('0.0'), endpoint('0.1'), endpoint('1.0')]),
    ]);
    expect(partition(machine, { untranslated: ['RP'] })).toEqual([['01:00.0'], ['01:00.1'], ['01:01.0']]);
  });
});

describe('grouping.md 13: seen on real kernels', () => {
  const pair = (first: number, second: number) =>
    build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        endpoint('0.0', { name: 'f0', vendor: 0x8086, device: first }),
        endpoint('0.1', { name: 'f1', vendor: 0x8086, device: second }),
      ]),
    ]);
  const IGB = 0x10c9;
  const E1000E = 0x10d3;

  test('82576 functions are isolated by quirk, an e1000e pair shares, one of each is separate', () => {
    expect(partition(pair(IGB, IGB))).toEqual([['RP'], ['f0'], ['f1']]);
    expect(partition(pair(E1000E, E1000E))).toEqual([['RP'], ['f0', 'f1']]);
    expect(partition(pair(IGB, E1000E))).toEqual([['RP'], ['f0'], ['f1']]);
  });

  test('a port offering only SV and TB isolates: absent bits count as satisfied', () => {
    const machine = build([
      rootPort('1.0', { acs: { capability: 0x3, control: 0x1 } }, [endpoint('0.0')]),
      rootPort('2.0', { acs: { capability: 0x13, control: 0x10 } }, [endpoint('0.0')]),
    ]);
    expect(partition(machine)).toEqual([['00:01.0'], ['00:02.0', '02:00.0'], ['01:00.0']]);
  });

  test('functions above 0 that become multifunction after they were grouped stay apart', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        endpoint('0.0', { name: 'f0', multifunction: true }),
        endpoint('0.1', { name: 'f1', multifunction: false }),
      ]),
    ]);
    machine.get('f1').multifunction = false;
    expect(partition(machine)).toEqual([['RP'], ['f0'], ['f1']]);
  });
});

describe('reasons', () => {
  test('a climb names the bridge and the test it failed, and what was joined', () => {
    const { reasons } = form(switched('full', 'none', 'full'));
    const reason = reasons.get('EPa');
    expect(reason?.steps.map((s) => s.step)).toEqual(['alias', 'climb']);
    expect(reason?.steps[1]).toMatchObject({
      bridge: '0000:02:00.0',
      blockedBy: { device: '0000:02:00.0', enabled: false, because: 'no-capability' },
      grouped: true,
    });
    expect(reason?.joined).toEqual({ through: '0000:02:00.0', step: 'climb' });
  });

  test('a bridge far above is named as what blocks, level by level', () => {
    const { reasons } = form(switched('none', 'full', 'full'), { untranslated: ['DSPa', 'USP'] });
    expect(reasons.get('EPa')?.steps.filter((s) => s.step === 'climb')).toMatchObject([
      { bridge: '0000:02:00.0', blockedBy: { device: '0000:00:01.0' }, grouped: false },
      { bridge: '0000:01:00.0', blockedBy: { device: '0000:00:01.0' }, grouped: false },
      { bridge: '0000:00:01.0', blockedBy: { device: '0000:00:01.0' }, grouped: true },
    ]);
  });

  test('isolation above lists the whole path, nearest first', () => {
    const reason = form(switched('full', 'full', 'full')).reasons.get('EPb');
    expect(reason?.joined).toBeNull();
    expect(reason?.steps[1]).toMatchObject({
      step: 'isolated-above',
      bridge: '0000:02:01.0',
      path: [{ device: '0000:02:01.0' }, { device: '0000:01:00.0' }, { device: '0000:00:01.0' }],
    });
  });

  test('the function rule names the sibling and both tests', () => {
    const machine = build([card('3.0'), card('3.1')]);
    const reason = form(machine).reasons.get('00:03.1');
    expect(reason?.steps.at(-1)).toMatchObject({
      step: 'function',
      device: '0000:00:03.1',
      own: { enabled: false, because: 'not-pcie' },
      sibling: '0000:00:03.0',
      siblingAcs: { enabled: false },
      grouped: true,
    });
    expect(reason?.joined).toEqual({ through: '0000:00:03.0', step: 'function' });
  });

  test('a function kept apart by its own ACS says so', () => {
    const machine = build([integrated('3.0', { acs: 'full' }), integrated('3.1')]);
    expect(form(machine).reasons.get('00:03.0')?.steps.at(-1)).toMatchObject({
      step: 'function',
      own: { enabled: true },
    });
  });

  test('the alias of a conventional bridge is the bridge itself, that of a PCIe-to-PCI bridge its bus', () => {
    const machine = build([
      oldBridge('1e.0', {}, [card('1.0')]),
      rootPort('1.0', { acs: 'full' }, [pciBridge('0.0', {}, [card('1.0')])]),
    ]);
    const last = (name: string) => form(machine).reasons.get(name)?.steps.at(-1);
    expect(last('01:01.0')).toMatchObject({ how: 'bridge-own', requesterId: 0xf0, grouped: true });
    expect(last('03:01.0')).toMatchObject({
      how: 'bridge-subordinate',
      requesterId: 0x300,
      device: '0000:02:00.0',
    });
  });

  test('aliases are followed through a partner, and through its functions', () => {
    const machine = build([
      integrated('2.0', { name: 'a' }),
      integrated('3.0', { name: 'b' }),
      integrated('3.1', { name: 'b1' }),
    ]);
    const mask = new DevfnSet();
    mask.add(0x18);
    machine.get('a').dmaAliasMask = mask;
    const order = ['b1', 'a'].map((name) => machine.get(name));
    const formed = form(machine, { order });
    expect(formed.groups).toEqual([['b1', 'a']]);
    expect(formed.reasons.get('a')?.steps.filter((s) => s.step !== 'alias')).toMatchObject([
      { step: 'root-bus' },
      { step: 'alias-partner', partner: '0000:00:03.0', grouped: false },
      { step: 'function', device: '0000:00:03.0', sibling: '0000:00:03.1', grouped: true },
    ]);
  });

  test("functions of the device that was searched first count from its partner on, before the partner's own", () => {
    const machine = build([
      rootPort('1.0', { acs: 'full' }, [
        endpoint('0.0', { name: 'beside A' }),
        endpoint('0.1', { name: 'A' }),
        endpoint('1.0', { name: 'B' }),
        endpoint('1.1', { name: 'beside B' }),
      ]),
    ]);
    const mask = new DevfnSet();
    mask.add(machine.get('B').devfn);
    machine.get('A').dmaAliasMask = mask;
    const groups = new Map<Device, string>([
      [machine.get('beside A'), 'first'],
      [machine.get('beside B'), 'second'],
    ]);
    const rule = createPolicy('linux-6.12', { acs: plainAcs() });
    const search = (name: string) => rule.deviceGroup(machine.get(name), (device) => groups.get(device));
    expect([search('A').group, search('B').group]).toEqual(['first', 'second']);
    expect(search('A').reason.steps.slice(-2)).toMatchObject([
      { step: 'alias-partner', partner: machine.get('B').name, grouped: false },
      { step: 'function', device: machine.get('A').name, grouped: true },
    ]);
    groups.clear();
    const alone = search('A').reason.steps.filter(({ step }) => step === 'function');
    expect(alone.map((step) => 'device' in step && machine.nameOf(machine.get(step.device)))).toEqual([
      'A',
      'B',
    ]);
  });
});

describe('unknown is not absent', () => {
  test('unknown ACS of a bridge is an assumption of everything below it, and of nothing else', () => {
    const machine = build([
      rootPort('1.0', { acs: 'unknown' }, [endpoint('0.0')]),
      rootPort('2.0', { acs: 'full' }, [endpoint('0.0')]),
    ]);
    const { reasons } = form(machine);
    expect(reasons.get('01:00.0')?.assumed).toEqual([
      expect.stringMatching(/^ACS of 0000:00:01\.0 is not known/),
    ]);
    expect(reasons.get('02:00.0')?.assumed).toEqual([]);
  });

  test('a bridge above the one that decided is not asked about', () => {
    const { reasons } = form(switched('unknown', 'none', 'full'));
    expect(reasons.get('EPa')?.assumed).toEqual([]);
  });

  test('an unread header bit of a function alone in its slot is no assumption: there is nobody to share with', () => {
    const { reasons } = form(
      build([card('3.0', { multifunction: undefined, facts: { multifunctionBit: undefined } })]),
    );
    expect(reasons.get('00:03.0')).toMatchObject({ assumed: [], joined: null });
  });

  test('a bridge of unknown type is an assumption', () => {
    const machine = build([rootPort('1.0', { facts: { pcie: undefined } }, [endpoint('0.0')])]);
    expect(form(machine).reasons.get('01:00.0')?.assumed[0]).toMatch(/0000:00:01\.0/);
  });
});

test('pci_device_group of what is not PCI: EINVAL', () => {
  const policy = createPolicy('linux-6.12', { acs: plainAcs() });
  expect(() => policy.deviceGroup(new Device({ name: 'serial8250' }), () => undefined)).toThrow(KernelError);
});

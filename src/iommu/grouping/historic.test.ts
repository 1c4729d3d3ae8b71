import { describe, expect, test } from 'vitest';
import { KernelError } from '../../kernel/errors.ts';
import {
  build,
  card,
  downstream,
  endpoint,
  form,
  integrated,
  oldBridge,
  partition,
  pciBridge,
  rootPort,
  upstream,
} from './testing.ts';

describe('grouping.md 10: the VT-d driver of 3.3', () => {
  const machine = build([
    integrated('2.0', { name: 'a0' }),
    integrated('2.1', { name: 'a1' }),
    rootPort('3.0', { name: 'RP' }, [
      pciBridge('0.0', { name: 'bridge' }, [card('1.0', { name: 'c1' }), card('2.0', { name: 'c2' })]),
    ]),
    rootPort('4.0', { name: 'RP2' }, [endpoint('0.0', { name: 'f0', vfs: { count: 2, offset: 1 } })]),
    oldBridge('1e.0', { name: 'old' }, [card('1.0', { name: 'd' })]),
  ]);

  test('every function is itself; cards behind a PCIe-to-PCI bridge share, the bridge stays out', () => {
    expect(partition(machine, { policy: 'vtd-2012' })).toContainEqual(['c1', 'c2']);
    expect(partition(machine, { policy: 'vtd-2012' })).toContainEqual(['bridge']);
    expect(partition(machine, { policy: 'vtd-2012' })).toContainEqual(['a0']);
  });

  test('the number is segment, bus, devfn: of the bus behind a PCIe bridge, of a conventional bridge itself', () => {
    const { reasons, groups } = form(machine, { policy: 'vtd-2012' });
    expect(reasons.get('c1')?.steps).toMatchObject([{ step: 'number', id: 0x200, of: '0000:01:00.0' }]);
    expect(reasons.get('d')?.steps).toMatchObject([{ step: 'number', id: 0xf0, of: '0000:00:1e.0' }]);
    expect(groups).toContainEqual(['old', 'd']);
  });

  test('iommu=group_mf: functions of a slot share, virtual functions do not', () => {
    const groups = partition(machine, { policy: 'vtd-2012', context: { groupMf: true } });
    expect(groups).toContainEqual(['a0', 'a1']);
    expect(groups).toContainEqual(['f0']);
    expect(groups).toContainEqual(['f0 VF0']);
  });
});

describe('isolation.md 4: the AMD driver of 3.3', () => {
  const machine = build([integrated('2.0'), integrated('2.1'), integrated('3.0')]);
  const aliasTable = (_segment: number, id: number) => (id === 0x18 ? 0x10 : id);

  test('the alias table decides', () => {
    expect(partition(machine, { policy: 'amd-2012', context: { aliasTable } })).toEqual([
      ['00:02.0', '00:03.0'],
      ['00:02.1'],
    ]);
  });

  test('iommu=group_mf: that of slot function 0', () => {
    expect(partition(machine, { policy: 'amd-2012', context: { aliasTable, groupMf: true } })).toEqual([
      ['00:02.0', '00:02.1', '00:03.0'],
    ]);
  });
});

describe('grouping.md 12: the 2025 series', () => {
  const policy = 'acs-2025';

  test('one DSP without ACS: all DSPs and what is below share, the upstream port stays out', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        upstream('0.0', { name: 'USP' }, [
          downstream('0.0', { name: 'DSPa', acs: 'full' }, [endpoint('0.0', { name: 'EPa' })]),
          downstream('1.0', { name: 'DSPb', acs: 'none' }, [endpoint('0.0', { name: 'EPb' })]),
        ]),
      ]),
    ]);
    expect(partition(machine, { policy })).toEqual([['RP'], ['USP'], ['DSPa', 'DSPb', 'EPa', 'EPb']]);
  });

  test('a member that is no DSP inside of a switch: everything below joins the upstream port', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        upstream('0.0', { name: 'USP' }, [
          downstream('0.0', { name: 'DSP', acs: 'full' }, [endpoint('0.0', { name: 'EP' })]),
          endpoint('1.0', { name: 'DMA' }),
        ]),
      ]),
    ]);
    expect(partition(machine, { policy })).toEqual([['RP'], ['USP', 'DSP', 'DMA', 'EP']]);
  });

  test('a root port without the capability splits, one with bad flags captures all below', () => {
    const one = (acs: 'none' | 'off') =>
      build([
        rootPort('1.0', { name: 'RP', acs }, [
          endpoint('0.0', { name: 'f0' }),
          endpoint('0.1', { name: 'f1' }),
        ]),
      ]);
    expect(partition(one('none'), { policy })).toEqual([['RP'], ['f0'], ['f1']]);
    expect(partition(one('off'), { policy })).toEqual([['RP', 'f0', 'f1']]);
  });

  test('functions: one with bad flags pulls in the whole slot', () => {
    const machine = build([
      integrated('2.0', { name: 'a', acs: 'off' }),
      integrated('2.1', { name: 'b', acs: 'full' }),
      integrated('2.2', { name: 'c', acs: 'none' }),
    ]);
    expect(partition(machine, { policy })).toEqual([['a', 'b', 'c']]);
  });

  test('PCIe-to-PCI bridge: left out of the group unless it has registers in memory', () => {
    const machine = build([
      rootPort('1.0', { name: 'RP', acs: 'full' }, [
        pciBridge('0.0', { name: 'bridge' }, [card('1.0', { name: 'c1' }), card('2.0', { name: 'c2' })]),
      ]),
      oldBridge('1e.0', { name: 'old' }, [card('1.0', { name: 'd' })]),
    ]);
    const formed = form(machine, { policy });
    expect(formed.groups).toEqual([['RP'], ['old', 'd'], ['bridge'], ['c1', 'c2']]);
    expect(formed.reasons.get('c1')?.assumed).toEqual([
      expect.stringMatching(/base addresses are not known/),
    ]);
  });

  test('a device probed before the bridge it will share with has to wait', () => {
    const machine = build([rootPort('1.0', { name: 'RP', acs: 'off' }, [endpoint('0.0', { name: 'EP' })])]);
    const order = [machine.get('EP')];
    const run = () => form(machine, { policy, order, context: { willBeGrouped: () => true } });
    expect(run).toThrow(KernelError);
    expect(run).toThrow(/EPROBE_DEFER/);
  });
});

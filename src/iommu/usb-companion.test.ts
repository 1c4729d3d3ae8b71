import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { GenericGrouping } from './grouping/generic.ts';
import type { GroupingPolicy } from './grouping/policy.ts';
import type { Reason } from './grouping/reason.ts';
import { build, integrated, type Node } from './grouping/testing.ts';
import { withUsbCompanions } from './usb-companion.ts';

const UHCI = 0x0c0300;
const OHCI = 0x0c0310;
const EHCI = 0x0c0320;
const XHCI = 0x0c0330;

/** Partition by a policy, and the reasons. */
function group(nodes: Node[], policy: GroupingPolicy = withUsbCompanions(new GenericGrouping())) {
  const machine = build(nodes);
  const groups = new Map<Device, string[]>();
  const reasons = new Map<string, Reason>();
  const all: string[][] = [];
  for (const device of machine.topology.devices) {
    const decision = policy.deviceGroup(device, (other) => groups.get(other));
    const members = decision.group ?? [];
    if (decision.group === undefined) all.push(members);
    members.push(machine.nameOf(device));
    groups.set(device, members);
    reasons.set(machine.nameOf(device), decision.reason);
  }
  return { all, reasons };
}

const usb = (at: string, name: string, code: number) => integrated(at, { name, class: code });

describe('isolation.md 4: USB companion controllers, by class code', () => {
  test('UHCI and OHCI functions share the group of the EHCI of their device', () => {
    const { all, reasons } = group([
      usb('1a.0', 'uhci0', UHCI),
      usb('1a.1', 'uhci1', UHCI),
      usb('1a.7', 'ehci', EHCI),
      usb('1d.0', 'ohci', OHCI),
      usb('1d.7', 'ehci2', EHCI),
    ]);
    expect(all).toEqual([
      ['uhci0', 'uhci1', 'ehci'],
      ['ohci', 'ehci2'],
    ]);
    expect(reasons.get('ehci')?.steps.at(-1)).toEqual({
      step: 'usb-companion',
      device: '0000:00:1a.7',
      companion: '0000:00:1a.0',
      grouped: true,
    });
    expect(reasons.get('ehci')?.joined).toEqual({ through: '0000:00:1a.0', step: 'usb-companion' });
    expect(reasons.get('uhci0')?.joined).toBeNull();
  });

  test('not without an EHCI, not with only EHCIs, not xHCI, not other functions, not across devices', () => {
    const nodes = [
      usb('1a.0', 'a', UHCI),
      usb('1a.1', 'b', UHCI),
      usb('1b.0', 'c', EHCI),
      usb('1b.1', 'd', EHCI),
      usb('1c.0', 'e', XHCI),
      usb('1c.1', 'f', EHCI),
      usb('1c.2', 'g', 0x020000),
    ];
    expect(group(nodes).all).toEqual([['a'], ['b'], ['c'], ['d'], ['e'], ['f'], ['g']]);
  });

  test('what the policy itself decides stands', () => {
    let first: Device | undefined;
    const one: GroupingPolicy = {
      name: 'one',
      deviceGroup: (device, groupOf) => {
        const existing = first && groupOf(first);
        first ??= device;
        const reason: Reason = { device: device.name, policy: 'one', steps: [], joined: null, assumed: [] };
        return { ...(existing === undefined ? {} : { group: existing }), reason };
      },
    };
    const { all, reasons } = group(
      [integrated('2.0', { name: 'gpu' }), usb('1a.0', 'u', UHCI), usb('1a.7', 'e', EHCI)],
      withUsbCompanions(one),
    );
    expect(all).toEqual([['gpu', 'u', 'e']]);
    expect(reasons.get('e')?.steps).toEqual([]);
  });
});

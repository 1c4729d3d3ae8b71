/** The PCI tree with group numbers and, at each bridge, whether it isolates what is below: `lspci -t` with reasons. */

import { acsMark } from '../advise/acs-words.ts';
import type { Describer } from '../advise/describe.ts';
import { sortNames } from '../advise/describe.ts';
import type { ListReport } from '../advise/report.ts';
import type { Machine } from '../machine/machine.ts';
import type { PciBus } from '../pci/bus.ts';
import type { PciDevice } from '../pci/device.ts';
import { stateLines } from './list-text.ts';
import { cut, type Output } from './output.ts';

interface Strokes {
  branch: string;
  last: string;
  down: string;
  none: string;
}

const UNICODE: Strokes = { branch: '├─', last: '└─', down: '│ ', none: '  ' };
const ASCII: Strokes = { branch: '+-', last: '\\-', down: '| ', none: '  ' };

export function treeText(report: ListReport, machine: Machine, describer: Describer, out: Output): string {
  const strokes = out.unicode ? UNICODE : ASCII;
  const groups = new Map(
    report.groups.flatMap((group) => group.devices.map((device) => [device.address, group.id] as const)),
  );
  const lines: string[] = [...stateLines(report, out)];

  for (const root of machine.pci.rootBuses) {
    lines.push(`${out.colors.bold(busName(root))}\n`);
    walk(root, '');
  }
  lines.push(out.colors.dim('\n[N] group; bridges: + isolates, - does not, ? not known\n'));
  return lines.join('');

  function walk(bus: PciBus, indent: string): void {
    const devices = sortNames(bus.devices.map((device) => device.name)).flatMap(
      (name) => machine.pci.find(name) ?? [],
    );
    const virtual = bus.children
      .filter((child) => child.self === undefined)
      .flatMap((child) => child.devices);
    const all = [...devices, ...virtual];
    all.forEach((device, index) => {
      const end = index === all.length - 1;
      lines.push(line(device, indent + (end ? strokes.last : strokes.branch)));
      if (device.subordinate !== undefined)
        walk(device.subordinate, indent + (end ? strokes.none : strokes.down));
    });
  }

  function line(device: PciDevice, indent: string): string {
    const group = groups.get(device.name);
    const mark = device.subordinate === undefined ? '' : ` ${acsMark(machine.acs(device.name))}`;
    const label = `[${group ?? '-'}]${mark}`;
    const title = describer.title(device.name).slice(device.name.length + 1);
    const place = device.name.slice(device.name.indexOf(':') + 1);
    const used = indent.length + place.length + label.length + 2;
    const text = out.width === undefined ? title : cut(title, Math.max(12, out.width - used), out.unicode);
    const paint = group === undefined ? out.colors.dim : out.colors.yellow;
    return `${indent}${out.colors.cyan(place)} ${paint(label)} ${text}`.trimEnd() + '\n';
  }
}

function busName(bus: PciBus): string {
  return `${bus.domain.toString(16).padStart(4, '0')}:${bus.number.toString(16).padStart(2, '0')}`;
}

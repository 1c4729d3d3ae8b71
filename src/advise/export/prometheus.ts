/** Prometheus text format, for node_exporter's textfile collector: groups, devices, drivers, isolation. */

import { isVfioDriver } from '../../machine/drivers.ts';
import { sortNames } from '../describe.ts';
import { verifyReport } from '../verify.ts';
import { isBridge } from './bridge.ts';
import { prometheusLabel } from './escape.ts';
import type { Exporter, ExportInput } from './exporter.ts';
import { formedGroups } from './groups.ts';
import { deviceTitle } from './title.ts';

type Labels = Record<string, string | undefined>;
type Sample = [labels: Labels, value: number];

export const prometheus: Exporter = {
  name: 'prometheus',
  summary: 'metrics in the Prometheus text format',
  scope: 'machine',
  styles: 'either',
  write(input) {
    return { text: [...groupMetrics(input), ...deviceMetrics(input), ...verdictMetrics(input)].join('') };
  },
};

function groupMetrics({ describer, machine, names }: ExportInput): string[] {
  const { source, groups } = formedGroups(describer, machine);
  const shown = groups.filter((group) => group.members.some((member) => names?.has(member) ?? true));
  const endpoints = (members: string[]): string[] =>
    members.filter((member) => {
      const facts = describer.facts(member);
      return facts === undefined || !isBridge(facts);
    });
  const vfio = (members: string[]): number =>
    members.filter((member) => isVfioDriver(describer.line(member).driver ?? '')).length;
  const each = (count: (members: string[]) => number): Sample[] =>
    shown.map(({ id, members }) => [{ group: String(id) }, count(members)]);
  return [
    metric(
      'iommu_group_info',
      'IOMMU groups; source says whether the kernel formed them or the rules would.',
      shown.map(({ id, type }) => [{ group: String(id), type, source }, 1]),
    ),
    metric(
      'iommu_group_devices',
      'Devices of a group, bridges included.',
      each((members) => members.length),
    ),
    metric(
      'iommu_group_endpoints',
      'Devices of a group without bridges: 1 can be handed over alone.',
      each((members) => endpoints(members).length),
    ),
    metric('iommu_group_vfio_devices', 'Devices of a group that a vfio driver holds.', each(vfio)),
  ];
}

function deviceMetrics({ describer, machine, names }: ExportInput): string[] {
  const formed = formedGroups(describer, machine);
  const shown = sortNames(names ?? describer.snapshot.devices.map((device) => device.address));
  const info: Sample[] = shown.map((name) => {
    const line = describer.line(name);
    return [
      {
        device: name,
        group: formed.of(name)?.id.toString(),
        vendor: line.vendor,
        device_id: line.device,
        class: line.class,
        driver: line.driver ?? undefined,
        iommu: line.iommu ?? undefined,
        title: deviceTitle(describer, name),
      },
      1,
    ];
  });
  const isolation: Sample[] = shown.flatMap((name): Sample[] => {
    if (machine.pci.find(name) === undefined) return [];
    const verdict = machine.acs(name);
    return verdict.known ? [[{ device: name }, verdict.enabled ? 1 : 0]] : [];
  });
  return [
    metric('device_info', 'PCI devices and members of groups.', info),
    metric(
      'device_isolates',
      'Whether a function keeps peer-to-peer traffic from passing it by (1) or not (0); not known: absent.',
      isolation,
    ),
  ];
}

function verdictMetrics({ describer }: ExportInput): string[] {
  const { verdict, differences, claims, uncertain } = verifyReport(describer, {});
  const known: Sample[] = verdict === 'cannot tell' ? [] : [[{}, differences.length]];
  return [
    metric('verify_differences', "Places where the kernel's groups are not those the rules form.", known),
    metric('verify_claims', 'Isolation that rests on a claim of the kernel command line.', [
      [{}, claims.length],
    ]),
    metric('verify_unread_devices', 'Devices whose capabilities could not be read.', [
      [{}, uncertain.length],
    ]),
  ];
}

/** Samples under one heading; labels that are not known are left out. */
function metric(name: string, help: string, samples: Sample[]): string {
  if (samples.length === 0) return '';
  const full = `ringfence_${name}`;
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels)
      .filter(([, text]) => text !== undefined && text !== '')
      .map(([label, text]) => `${label}="${prometheusLabel(text!)}"`);
    return `${full}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${lines.join('')}`;
}

/**
 * Kubernetes dynamic resource allocation: ResourceSlices (resource.k8s.io/v1, Kubernetes 1.34) of one node's pool, a
 * device a function, with the standard attributes `pciBusID` and `pcieRoot`.
 */

import { parseAddress } from '../../pci/address.ts';
import type { ExportDevice, Exporter, ExportInput } from './exporter.ts';
import { type YamlValue, yaml } from './yaml.ts';

/** `ResourceSliceMaxDevices` */
const MOST_DEVICES = 128;
/** `DeviceAttributeMaxValueLength`, in bytes. */
const LONGEST_VALUE = 64;
const STANDARD = 'resource.kubernetes.io';

export const dra: Exporter = {
  name: 'dra',
  summary: 'ResourceSlice objects for Kubernetes',
  scope: 'devices',
  groups: 'numbers',
  styles: ['legacy', 'iommufd'],
  needsNode: 'name',
  write(input) {
    const slices: ExportDevice[][] = [];
    for (let at = 0; at < input.devices.length; at += MOST_DEVICES)
      slices.push(input.devices.slice(at, at + MOST_DEVICES));
    const shared = input.groups.filter((group) => group.devices.length > 1);
    return {
      text: slices.map((devices, index) => yaml(slice(devices, index, slices.length, input))).join('---\n'),
      notes: shared.map(
        ({ id, devices }) =>
          `${devices.map((device) => device.address).join(', ')} share group ${id} and can only go to one pod: claim them together, with matchAttribute ${driverName(input)}/iommuGroup`,
      ),
    };
  },
};

function driverName({ domain }: ExportInput): string {
  return `vfio.${domain}`;
}

function slice(devices: ExportDevice[], index: number, count: number, input: ExportInput): YamlValue {
  const driver = driverName(input);
  const node = input.node!.toLowerCase();
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    metadata: { name: `${node}-${driver}-${index}` },
    spec: {
      driver,
      nodeName: node,
      pool: { name: node, generation: 1, resourceSliceCount: count },
      devices: devices.map((device) => ({
        name: `pci-${device.address.replace(/[:.]/g, '-')}`,
        attributes: attributes(device, input),
      })),
    },
  };
}

function attributes(device: ExportDevice, { style }: ExportInput): { [name: string]: YamlValue } {
  const { line, facts, group } = device;
  const root = /^(pci[0-9a-f]{4,8}:[0-9a-f]{2})(?:\/|$)/.exec(facts.path ?? '')?.[1];
  const text = (value: string): YamlValue => ({ string: cutBytes(value) });
  return {
    // The standard attributes know domains of four digits.
    ...(parseAddress(device.address)!.domain <= 0xffff && { [`${STANDARD}/pciBusID`]: text(device.address) }),
    ...(root !== undefined && { [`${STANDARD}/pcieRoot`]: text(root) }),
    backend: text(style),
    ...(line.class !== undefined && { class: text(line.class) }),
    ...(line.device !== undefined && { device: text(line.device) }),
    ...(line.driver && { driver: text(line.driver) }),
    iommuGroup: { int: group.id },
    ...(line.numaNode !== undefined && { numaNode: { int: line.numaNode } }),
    product: text(device.title),
    ...(line.vendor !== undefined && { vendor: text(line.vendor) }),
  };
}

/** At most as many bytes as an attribute may have, no character cut in two. */
function cutBytes(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST_VALUE) return bytes.toString();
  let end = LONGEST_VALUE;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString().trimEnd();
}

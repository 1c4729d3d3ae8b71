/**
 * What Proxmox VE takes: `hostpciN` of a guest (qemu-server, PVE/QemuServer/PCI.pm, 2026-08) and sections of
 * mapping/pci.cfg (pve-guest-common, PVE/Mapping/PCI.pm, and pve-common's section format), in our words.
 */

const ADDRESS = String.raw`[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?`;
const PATHS = new RegExp(`^(?:${ADDRESS};)*${ADDRESS}$`);
const IDS = /^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$/;

export interface HostPci {
  index: number;
  /** Addresses and slots. */
  hosts: string[];
  options: Record<string, string>;
}

/** @throws Error naming the line */
export function parseHostPci(text: string): HostPci[] {
  return lines(text).map((line) => {
    const found = /^hostpci(\d+): (\S+)$/.exec(line);
    if (found === null || Number(found[1]) > 15) throw new Error(`no hostpci line: ${line}`);
    const [host, ...rest] = found[2]!.split(',');
    if (!PATHS.test(host!)) throw new Error(`no address: ${host}`);
    const options = Object.fromEntries(rest.map((pair) => pair.split('=', 2)));
    if (Object.keys(options).some((key) => !['pcie', 'rombar', 'x-vga', 'driver'].includes(key)))
      throw new Error(`unknown option: ${line}`);
    return { index: Number(found[1]), hosts: host!.split(';'), options };
  });
}

export interface Mapping {
  id: string;
  description?: string;
  map: Record<string, string>[];
}

/** @throws Error naming the line */
export function parseMappings(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of lines(text)) {
    if (line === '') continue;
    const property = /^\s+(\S+)(?:\s+(.*\S))?\s*$/.exec(line);
    if (property === null) {
      if (!/^[a-z][a-z0-9_-]+$/i.test(line)) throw new Error(`no section: ${line}`);
      if (mappings.some((mapping) => mapping.id === line)) throw new Error(`twice: ${line}`);
      mappings.push({ id: line, map: [] });
      continue;
    }
    const mapping = mappings.at(-1);
    if (mapping === undefined) throw new Error(`outside a section: ${line}`);
    if (property[1] === 'description') mapping.description = property[2] ?? '';
    else if (property[1] === 'map') mapping.map.push(parseMap(property[2] ?? ''));
    else throw new Error(`unknown property: ${line}`);
  }
  return mappings;
}

const MAP_FORMS: Record<string, RegExp> = {
  node: /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
  id: IDS,
  'subsystem-id': IDS,
  path: PATHS,
  iommugroup: /^\d+$/,
};

function parseMap(text: string): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const [key, value] = pair.split('=', 2) as [string, string];
    if (!MAP_FORMS[key]?.test(value) || key in map) throw new Error(`map: ${pair}`);
    map[key] = value;
  }
  for (const needed of ['node', 'id', 'path']) if (!(needed in map)) throw new Error(`map without ${needed}`);
  return map;
}

function lines(text: string): string[] {
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  return text.slice(0, -1).split('\n');
}

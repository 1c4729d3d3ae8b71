/** Network functions in use: those that the machine's routes lead through. */

import { baseName } from './file-tree.ts';
import { type HostTree, under } from './host-tree.ts';
import type { Notes } from './notes.ts';
import { linkedDir, pciAbove, safeName, type UsageList } from './usage-list.ts';

const RTF_UP = 0x0001;
const RTF_REJECT = 0x0200;
/** An address of this machine itself. */
const RTF_LOCAL = 0x8000_0000;
const MOST_ROUTES = 100_000;
/** A VLAN on a bridge on a bond on a team is four. */
const DEEPEST_STACK = 16;

interface Routes {
  /** Interfaces of default routes. */
  defaults: Set<string>;
  others: Set<string>;
  strange: number;
}

/** @returns whether the tree tells of routes at all */
export function readNetworkUse(tree: HostTree, list: UsageList, notes: Notes): boolean {
  const ipv4 = tree.files.readText(under(tree.proc, 'net/route'));
  const ipv6 = tree.files.readText(under(tree.proc, 'net/ipv6_route'));
  if (ipv4 === undefined && ipv6 === undefined) return false;
  const routes: Routes = { defaults: new Set(), others: new Set(), strange: 0 };
  if (ipv4 !== undefined) takeIpv4(ipv4, routes);
  if (ipv6 !== undefined) takeIpv6(ipv6, routes);
  if (routes.strange > 0) notes.add(`proc/net: ${routes.strange} routes cannot be understood; left out`);
  for (const name of routes.defaults) {
    for (const { device, port } of ports(tree, name)) list.add(device, 'network', name, port);
  }
  for (const name of routes.others) {
    if (routes.defaults.has(name)) continue;
    for (const { device, port } of ports(tree, name)) list.add(device, 'route', name, port);
  }
  return true;
}

/** `/proc/net/route`: a heading, then interface, destination, gateway, flags, three numbers, mask. */
function takeIpv4(text: string, routes: Routes): void {
  for (const line of text.split('\n', MOST_ROUTES).slice(1)) {
    if (line.trim() === '' || line.startsWith('\0')) continue;
    const [name, destination, , flags, , , , mask] = line.trim().split(/\s+/);
    if (
      name === undefined ||
      !isHex(destination, 8) ||
      !isHex(mask, 8) ||
      !/^[0-9A-Fa-f]{1,8}$/.test(flags!)
    ) {
      routes.strange++;
      continue;
    }
    take(routes, name, Number.parseInt(flags!, 16), /^0+$/.test(destination + mask));
  }
}

/** `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, three numbers, flags, interface. */
function takeIpv6(text: string, routes: Routes): void {
  for (const line of text.split('\n', MOST_ROUTES)) {
    if (line.trim() === '' || line.startsWith('\0')) continue;
    const [destination, length, , , , , , , flags, name] = line.trim().split(/\s+/);
    if (name === undefined || !isHex(destination, 32) || !isHex(length, 2) || !isHex(flags, 8)) {
      routes.strange++;
      continue;
    }
    // Every interface that is up has link-local and multicast routes.
    if (/^f(e[89ab]|f)/i.test(destination)) continue;
    take(routes, name, Number.parseInt(flags, 16), /^0+$/.test(destination + length));
  }
}

function take(routes: Routes, name: string, flags: number, isDefault: boolean): void {
  const dead = (flags & RTF_UP) === 0 || (flags & RTF_REJECT) !== 0 || (flags & RTF_LOCAL) !== 0;
  if (dead || name === 'lo') return;
  (isDefault ? routes.defaults : routes.others).add(name);
}

const isHex = (text: string | undefined, digits: number): text is string =>
  text?.length === digits && /^[0-9a-f]+$/i.test(text);

/** The functions an interface works through, below bridges, bonds, teams and VLANs. */
function ports(tree: HostTree, name: string): { device: string; port: string }[] {
  const found = new Map<string, { device: string; port: string }>();
  const seen = new Set<string>();
  const descend = (at: string, depth: number): void => {
    if (depth > DEEPEST_STACK || seen.has(at) || safeName(at) === undefined) return;
    seen.add(at);
    const link = under(tree.sys, `class/net/${at}`);
    const dir = linkedDir(tree, link) ?? link;
    const device = pciAbove(tree, dir);
    if (device !== undefined) found.set(at, { device, port: at });
    for (const lower of lowers(tree, dir)) descend(lower, depth + 1);
  };
  descend(name, 0);
  return [...found.values()];
}

/** Kernels since 3.13 link every lower interface; `brif` and `slaves` say the same of bridges and bonds on older ones. */
function lowers(tree: HostTree, dir: string): string[] {
  const linked = (tree.files.list(dir) ?? []).filter((name) => name.startsWith('lower_'));
  const bridged = tree.files.list(`${dir}/brif`) ?? [];
  const bonded = tree.files.readText(`${dir}/bonding/slaves`)?.trim().split(/\s+/) ?? [];
  const names = [...linked.map((name) => name.slice('lower_'.length)), ...bridged, ...bonded.map(baseName)];
  return [...new Set(names)].filter((name) => name !== '').sort();
}

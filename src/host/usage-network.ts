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

/**
 * @param networkRoot kind of the root file system, where it comes over the network
 * @returns whether the tree tells of routes at all
 */
export function readNetworkUse(
  tree: HostTree,
  list: UsageList,
  notes: Notes,
  networkRoot: string | undefined,
): boolean {
  const ipv4 = tree.files.readText(under(tree.proc, 'net/route'));
  const ipv6 = tree.files.readText(under(tree.proc, 'net/ipv6_route'));
  if (ipv4 === undefined && ipv6 === undefined) return false;
  if (ipv4 === undefined) list.add(null, 'network', 'IPv4 routes are not recorded');
  const routes: Routes = { defaults: new Set(), others: new Set(), strange: 0 };
  if (ipv4 !== undefined) takeIpv4(ipv4, routes);
  if (ipv6 !== undefined) takeIpv6(ipv6, routes);
  if (routes.strange > 0) notes.add(`proc/net: ${routes.strange} routes cannot be understood; left out`);
  if (routes.strange > 0) list.add(null, 'network', 'routes that cannot be understood');
  for (const name of routes.defaults) {
    const { found, open } = ports(tree, name);
    for (const { device, port } of found) list.add(device, 'network', name, port);
    if (open) list.add(null, 'network', `the default route leads over ${name}`);
  }
  for (const name of routes.others) {
    if (routes.defaults.has(name)) continue;
    for (const { device, port } of ports(tree, name).found) list.add(device, 'route', name, port);
  }
  if (networkRoot !== undefined) addRoot(tree, list, routes, networkRoot);
  return true;
}

/** With one interface that leads anywhere, root comes over that one; which of several is a matter of addresses. */
function addRoot(tree: HostTree, list: UsageList, routes: Routes, type: string): void {
  const names = [...new Set([...routes.defaults, ...routes.others])];
  const { found, open } = names.length === 1 ? ports(tree, names[0]!) : { found: [], open: true };
  for (const { device, port } of found) list.add(device, 'root', `/ (${type})`, port);
  if (open || routes.strange > 0)
    list.add(null, 'network', `the root file system (${type}) comes over the network`);
}

/** `/proc/net/route`: a heading, then interface, destination, gateway, flags, three numbers, mask. */
function takeIpv4(text: string, routes: Routes): void {
  const [heading, ...lines] = text.split('\n', MOST_ROUTES);
  // Without a main table there is not even the heading.
  if (text !== '' && !/^Iface\b/.test(heading!)) routes.strange++;
  if (lines.length + 1 === MOST_ROUTES) routes.strange++;
  for (const line of lines) {
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
  const lines = text.split('\n', MOST_ROUTES);
  if (lines.length === MOST_ROUTES) routes.strange++;
  for (const line of lines) {
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

interface Ports {
  found: { device: string; port: string }[];
  /** It leads somewhere, and where cannot be told: tunnels, Open vSwitch, interfaces that the tree has not. */
  open: boolean;
}

/** The functions an interface works through, below bridges, bonds, teams and VLANs. */
function ports(tree: HostTree, name: string): Ports {
  const found = new Map<string, { device: string; port: string }>();
  let elsewhere = false;
  const seen = new Set<string>();
  const descend = (at: string, depth: number): void => {
    if (depth > DEEPEST_STACK || seen.has(at) || safeName(at) === undefined) return;
    seen.add(at);
    const link = under(tree.sys, `class/net/${at}`);
    const dir = linkedDir(tree, link) ?? link;
    const device = pciAbove(tree, dir);
    if (device !== undefined) found.set(at, { device, port: at });
    // On another bus than PCI, as on small boards.
    else if (dir !== link && !dir.startsWith(under(tree.sys, 'devices/virtual/'))) elsewhere = true;
    for (const lower of lowers(tree, dir)) descend(lower, depth + 1);
  };
  descend(name, 0);
  return { found: [...found.values()], open: found.size === 0 && !elsewhere };
}

/** Kernels since 3.13 link every lower interface; `brif` and `slaves` say the same of bridges and bonds on older ones. */
function lowers(tree: HostTree, dir: string): string[] {
  const linked = (tree.files.list(dir) ?? []).filter((name) => name.startsWith('lower_'));
  const bridged = tree.files.list(`${dir}/brif`) ?? [];
  const bonded = tree.files.readText(`${dir}/bonding/slaves`)?.trim().split(/\s+/) ?? [];
  const names = [...linked.map((name) => name.slice('lower_'.length)), ...bridged, ...bonded.map(baseName)];
  return [...new Set(names)].filter((name) => name !== '').sort();
}

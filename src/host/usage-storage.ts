/** Disks in use: what is mounted, swapped to, or part of a larger volume. */

import { type HostTree, under } from './host-tree.ts';
import type { Notes } from './notes.ts';
import { BlockDevices, type Holder } from './usage-block.ts';
import type { UsageList } from './usage-list.ts';
import { type Mount, mountOf, parseMounts, parseSwaps } from './usage-mounts.ts';

/** File systems of one machine that mountinfo gives no block device for, though they have some. */
const WITHOUT_NUMBER = new Set(['btrfs', 'bcachefs', 'zfs']);

/** Root file systems that come over the network, and disks that do. */
const NETWORK_TYPES =
  /^(?:nfs4?|cifs|smb3?|smbfs|ceph|afs|lustre|glusterfs|9p|fuse\.(?:glusterfs|sshfs|ceph))$/;
const NETWORK_DISKS = /\/(?:session\d+|nvme-fabrics|nbd\d+|rbd\d*|drbd\d+)(?:\/|$)/;

export interface StorageUse {
  /** Kind of the root file system, where it comes over the network. */
  networkRoot?: string;
}

/** @returns `undefined` where the tree does not tell of mounts at all */
export function readStorageUse(tree: HostTree, list: UsageList, notes: Notes): StorageUse | undefined {
  const text = tree.files.readText(under(tree.proc, 'self/mountinfo'));
  if (text === undefined) return undefined;
  const blocks = new BlockDevices(tree);
  const { mounts, strange } = parseMounts(text);
  if (strange > 0) notes.add(`proc/self/mountinfo: ${strange} lines cannot be understood; left out`);
  if (strange > 0) list.add(null, 'mount', 'lines of mountinfo that cannot be understood');
  if (mounts.length === 0) list.add(null, 'root', 'no mounts are listed');
  for (const mount of mounts) addMount(mount, blocks, list);
  readSwaps(tree, mounts, blocks, list, notes);
  addVolumes(tree, blocks, list);
  const root = mounts.findLast(({ point }) => point === '/');
  return root !== undefined && overNetwork(root, blocks) ? { networkRoot: root.type } : {};
}

function overNetwork(mount: Mount, blocks: BlockDevices): boolean {
  if (mount.number.startsWith('0:')) return NETWORK_TYPES.test(mount.type);
  const dir = blocks.byNumber(mount.number);
  // A host adapter that speaks iSCSI itself is a PCI function like any other.
  return dir !== undefined && NETWORK_DISKS.test(dir) && blocks.holders(dir).length === 0;
}

function addMount(mount: Mount, blocks: BlockDevices, list: UsageList): void {
  const holders = mountHolders(mount, blocks);
  const kind = mount.point === '/' ? 'root' : 'mount';
  if (holders === undefined) list.add(null, kind, `${mount.point} (${mount.type})`);
  else for (const { device, through } of holders) list.add(device, kind, mount.point, through);
}

/** `undefined`: on disks of this machine, and which cannot be told. */
function mountHolders(mount: Mount, blocks: BlockDevices): Holder[] | undefined {
  if (!mount.number.startsWith('0:')) {
    const dir = blocks.byNumber(mount.number);
    return dir === undefined ? undefined : holdersOf(dir, blocks);
  }
  if (!WITHOUT_NUMBER.has(mount.type)) {
    const dir = blocks.byPath(mount.source);
    return dir === undefined ? [] : holdersOf(dir, blocks);
  }
  // bcachefs names all its devices, with colons between; zfs names a data set.
  const dirs = mount.source.split(':').map((path) => blocks.byPath(path));
  if (dirs.includes(undefined)) return undefined;
  const all = dirs.flatMap((dir) => (mount.type === 'btrfs' ? blocks.btrfsDevices(dir!) : [dir!]));
  const each = all.map((dir) => holdersOf(dir, blocks));
  return each.includes(undefined) ? undefined : each.flatMap((holders) => holders!);
}

function holdersOf(dir: string, blocks: BlockDevices): Holder[] | undefined {
  return blocks.composition(dir) === 'missing' ? undefined : blocks.holders(dir);
}

function readSwaps(
  tree: HostTree,
  mounts: readonly Mount[],
  blocks: BlockDevices,
  list: UsageList,
  notes: Notes,
): void {
  const text = tree.files.readText(under(tree.proc, 'swaps'));
  if (text === undefined) {
    // Kernels without swap have no such file, and say so here.
    const memory = tree.files.readText(under(tree.proc, 'meminfo')) ?? '';
    if (!/^SwapTotal:\s+0 kB$/m.test(memory)) list.add(null, 'swap', 'swap is not recorded');
    return;
  }
  const { swaps, strange } = parseSwaps(text);
  if (strange > 0) notes.add(`proc/swaps: ${strange} lines cannot be understood; left out`);
  if (strange > 0) list.add(null, 'swap', 'lines of /proc/swaps that cannot be understood');
  for (const swap of swaps) {
    const dir = swap.kind === 'partition' ? blocks.byPath(swap.name) : undefined;
    const mount = swap.kind === 'file' ? mountOf(mounts, swap.name) : undefined;
    const holders = dir !== undefined ? holdersOf(dir, blocks) : mount && mountHolders(mount, blocks);
    if (holders === undefined) list.add(null, 'swap', swap.name);
    else for (const { device, through } of holders) list.add(device, 'swap', swap.name, through);
  }
}

/** A disk in an array or volume group is in use even where nothing of that is mounted. */
function addVolumes(tree: HostTree, blocks: BlockDevices, list: UsageList): void {
  for (const name of blocks.names) {
    const dir = blocks.byName(name);
    const above = dir === undefined ? [] : (tree.files.list(`${dir}/holders`) ?? []).sort();
    if (above.length === 0) continue;
    for (const { device, through } of blocks.holders(dir!)) {
      if (through === name && !list.covers(device, through))
        list.add(device, 'volume', above.join(', '), through);
    }
  }
}

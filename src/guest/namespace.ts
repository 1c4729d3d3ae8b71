/**
 * The private mounts of a session. All are made in a mount namespace that only the session has, so they are gone with
 * its last process, however that ended.
 *
 * The served tree is mounted over /sys, with nothing shown yet, and the real entries are bound into their places in it;
 * the real /sys stays reachable through a descriptor opened before. Then the tree's `dev` goes over /dev and its `sys`
 * over /sys itself, which covers the tree's other parts.
 */

import { spawn } from 'node:child_process';
import { constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { bindLines, type KeptEntries } from './kept-real.ts';

/** Linux's `O_PATH`, which Node does not name. */
const O_PATH = 0o10000000;
/** mount(8): some of several mounts failed. */
const SOME_FAILED = 64;

export const TREE = '/sys';
export const FSTAB = 'fstab';

/** A descriptor by which a directory is reached whatever is mounted over it. */
export function openDirectory(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY);
}

/**
 * Mounts what is served through `fuse` over /sys. Nobody need serve yet.
 *
 * @throws Error what mount(8) said
 */
export async function mountTree(fuse: number): Promise<void> {
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions';
  const { status, said } = await mount(['-i', '-t', 'fuse', '-o', options, 'ringfence', TREE], [fuse]);
  if (status !== 0) throw new Error(said || `mount ended with ${status}`);
}

/**
 * What is mounted where once the tree is there: it is read from the tree itself. The real entries go into places of the
 * tree before that goes to where they came from, as mount(8) would pass over what seems to be mounted there already.
 */
export function fstab(kept: { sys: KeptEntries; dev: KeptEntries }): string {
  const lines = [
    ...bindLines(kept.sys, '/proc/self/fd/3', `${TREE}/sys`),
    ...bindLines(kept.dev, '/dev', `${TREE}/dev`),
    `${TREE}/dev /dev none rbind 0 0`,
    `${TREE}/sys /sys none rbind 0 0`,
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * Puts the real entries into the served /sys and /dev, and these into their places.
 *
 * @param realSys descriptor of the real /sys
 * @returns what mount(8) said of real entries that could not be bound
 * @throws Error /sys or /dev could not be covered
 */
export async function coverSystem(realSys: number): Promise<string> {
  // As they stand: /proc/self/fd/3 must not be turned into the /sys that is covered.
  const args = ['--no-canonicalize', '--all', '--fstab', `${TREE}/${FSTAB}`];
  const { status, said } = await mount(args, [realSys]);
  if (status !== 0 && status !== SOME_FAILED) throw new Error(said || `mount ended with ${status}`);
  const mounted = ourMounts();
  for (const [root, at] of [
    ['/dev', '/dev'],
    ['/sys', '/sys'],
  ]) {
    if (!mounted.some((line) => line.root === root && line.at === at))
      throw new Error(said || `${at} is not covered`);
  }
  return said;
}

/** Device of the served tree as `/proc/PID/maps` writes it, `00:2d`. */
export function treeDevice(): string {
  const device = ourMounts()[0]?.device;
  if (device === undefined) throw new Error('the served tree is not mounted');
  const [major, minor] = device.split(':').map((number) => Number(number).toString(16).padStart(2, '0'));
  return `${major}:${minor}`;
}

interface MountLine {
  readonly device: string;
  readonly root: string;
  readonly at: string;
}

/** Mounts of the tree that this session made last. */
function ourMounts(): MountLine[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - fuse ringfence /.test(line))
    .map((line) => line.split(' '))
    .map(([, , device, root, at]) => ({ device: device!, root: root!, at: at! }));
  const latest = lines.findLast(({ root, at }) => root === '/' && at === TREE)?.device;
  return lines.filter(({ device }) => device === latest);
}

/** The mount namespace of a process, `mnt:[4026532000]`; none where it is gone or not to be looked at. */
export function namespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** Ends every other process of a namespace at once. @returns how many there were */
export function killNamespace(namespace: string): number {
  let found = 0;
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || namespaceOf(pid) !== namespace) continue;
    if (isZombie(pid)) continue;
    found++;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was quicker.
    }
  }
  return found;
}

function isZombie(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

function mount(
  args: readonly string[],
  descriptors: readonly number[],
): Promise<{ status: number; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('mount', args, { stdio: ['ignore', 'ignore', 'pipe', ...descriptors] });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? SOME_FAILED, said: said.trim() }));
  });
}

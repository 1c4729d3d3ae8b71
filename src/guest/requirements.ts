/** What a private /sys and /dev need of the machine, looked at before anything is begun. */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** What is missing, and what would help. */
export interface Lack {
  readonly what: string;
  readonly remedy: string;
}

/** What is asked of the machine; tests ask another. */
export interface Surroundings {
  readonly platform: string;
  readonly uid: number;
  /** Whether the file can be opened for reading and writing; the errno if not. */
  opens(path: string): string | undefined;
  /** Whether the command ends well; what it says if not. */
  runs(command: string, args: readonly string[]): string | undefined;
}

export function lacks(around: Surroundings): Lack[] {
  if (around.platform !== 'linux') {
    return [
      { what: `this is ${around.platform}`, remedy: 'run it on Linux, in a virtual machine for example' },
    ];
  }
  return [...fuseLacks(around), ...commandLacks(around)];
}

export function surroundings(): Surroundings {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? 0,
    opens: (path) => {
      try {
        accessSync(path, constants.R_OK | constants.W_OK);
        return undefined;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'EIO';
      }
    },
    runs: (command, args) => {
      const { status, stderr, error } = spawnSync(command, args, {
        encoding: 'utf8',
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      if (error !== undefined) return (error as NodeJS.ErrnoException).code ?? error.message;
      return status === 0 ? undefined : stderr.trim() || `exit code ${status}`;
    },
  };
}

function fuseLacks({ opens }: Surroundings): Lack[] {
  const problem = opens('/dev/fuse');
  if (problem === undefined) return [];
  if (problem === 'ENOENT') {
    return [
      {
        what: 'there is no /dev/fuse',
        remedy: 'modprobe fuse; in a container, give it the device (docker run --device /dev/fuse)',
      },
    ];
  }
  return [
    {
      what: `/dev/fuse cannot be opened (${problem})`,
      remedy: 'run as root, or allow it: chmod 666 /dev/fuse',
    },
  ];
}

function commandLacks({ runs, uid }: Surroundings): Lack[] {
  const found: Lack[] = [];
  for (const command of ['unshare', 'mount']) {
    if (runs(command, ['--version']) === 'ENOENT') {
      found.push({ what: `there is no ${command}`, remedy: 'install util-linux' });
    }
  }
  if (found.length > 0) return found;
  const problem = runs('unshare', [...unshareFlags(uid), 'true']);
  if (problem === undefined) return [];
  const remedy =
    uid === 0
      ? 'give the container CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN)'
      : 'run as root, or allow it: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000';
  return [{ what: `mounts cannot be made private (${problem})`, remedy }];
}

/** Options of unshare(1): a mount namespace of its own, in a user namespace where that alone allows it. */
export function unshareFlags(uid: number): string[] {
  return [...(uid === 0 ? [] : ['--map-root-user']), '--mount', '--propagation', 'private'];
}

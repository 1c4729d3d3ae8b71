/**
 * Whether a file is one in memory, known without touching it: asking a file system that this very thread serves would
 * wait for ever.
 */

import { readFileSync } from 'node:fs';

const MEMORY_FILE_SYSTEMS: readonly string[] = ['tmpfs', 'hugetlbfs', 'devtmpfs'];
/** Of mounts nobody sees: memfds, anonymous shared memory, huge pages, and that of System V. */
const UNSEEN_MEMORY = /^\/(?:memfd:.*|dev\/zero|anon_hugepage|SYSV[0-9a-f]+) \(deleted\)$/;

/** @param path where `/proc/PID/fd/N` leads */
export function isInMemory(pid: number, fd: number, path: string): boolean {
  const mount = /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
  // Lines like `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
  const line = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .find((each) => each.startsWith(`${mount} `));
  if (line === undefined) return UNSEEN_MEMORY.test(path);
  return MEMORY_FILE_SYSTEMS.includes(/ - (\S+)/.exec(line)?.[1] ?? '');
}

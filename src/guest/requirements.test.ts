import { describe, expect, test } from 'vitest';
import { lacks, type Surroundings, unshareFlags } from './requirements.ts';

/** A machine that has everything, but for what is told. */
function machine(differing: Partial<Surroundings> = {}): Surroundings {
  return { platform: 'linux', uid: 0, opens: () => undefined, runs: () => undefined, ...differing };
}

describe('what a session needs', () => {
  test('nothing lacks on a machine that has it all', () => {
    expect(lacks(machine())).toEqual([]);
    expect(lacks(machine({ uid: 1000 }))).toEqual([]);
  });

  test.each<[string, Partial<Surroundings>, RegExp, RegExp]>([
    ['another system', { platform: 'darwin' }, /this is darwin/, /Linux/],
    ['no FUSE', { opens: () => 'ENOENT' }, /no \/dev\/fuse/, /modprobe fuse/],
    ['FUSE for root alone', { opens: () => 'EACCES' }, /cannot be opened \(EACCES\)/, /as root/],
    [
      'no util-linux',
      { runs: (name, args) => (name === 'mount' && args[0] === '--version' ? 'ENOENT' : undefined) },
      /no mount/,
      /util-linux/,
    ],
    [
      'no user namespaces',
      { uid: 1000, runs: (_, args) => (args.includes('true') ? 'unshare failed' : undefined) },
      /cannot be made private \(unshare failed\)/,
      /unprivileged_userns_clone/,
    ],
    [
      'a container without privileges',
      { runs: (_, args) => (args.includes('true') ? 'not permitted' : undefined) },
      /cannot be made private/,
      /CAP_SYS_ADMIN/,
    ],
  ])('%s is named, with what would help', (_, differing, what, remedy) => {
    const [lack, ...others] = lacks(machine(differing));
    expect(others).toEqual([]);
    expect(lack?.what).toMatch(what);
    expect(lack?.remedy).toMatch(remedy);
  });

  test('users without privileges get a user namespace, root does not', () => {
    expect(unshareFlags(0)).toEqual(['--mount', '--propagation', 'private']);
    expect(unshareFlags(1000)).toContain('--map-root-user');
  });
});

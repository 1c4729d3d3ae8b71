/** `watch` from outside: a tree that changes, lines that tell, and every way to end it. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../src/cli/run.ts';

const root = new URL('..', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'ringfence-watch-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A copy of the recorded machine, to be changed as a kernel would change it. */
class Tree {
  readonly dir: string;

  constructor() {
    this.dir = mkdtempSync(join(scratch, 'tree-'));
    execFileSync('tar', ['-xzf', join(root, 'test/fixtures/machines/vfio.tar.gz'), '-C', this.dir]);
    if (!existsSync(join(this.dir, 'sys')))
      this.dir = join(this.dir, execFileSync('ls', [this.dir], { encoding: 'utf8' }).trim());
  }

  path(name: string): string {
    return join(this.dir, 'sys', name);
  }

  bind(address: string, driver: string | null): void {
    const link = join(
      this.path('bus/pci/devices'),
      readlinkSync(this.path(`bus/pci/devices/${address}`)),
      'driver',
    );
    rmSync(link, { force: true });
    if (driver === null) return;
    const target = this.path(`bus/pci/drivers/${driver}`);
    mkdirSync(target, { recursive: true });
    symlinkSync(relative(join(link, '..'), target), link);
  }

  remove(address: string): void {
    renameSync(this.path(`bus/pci/devices/${address}`), join(this.dir, address));
  }

  restore(address: string): void {
    renameSync(join(this.dir, address), this.path(`bus/pci/devices/${address}`));
  }
}

interface Watched {
  code: number;
  out: string;
  err: string;
}

/** Runs `watch` in this process; `change` is called once it watches, `more` after each piece of output. */
async function watch(
  tree: Tree | string,
  words: string[],
  change: () => void = () => {},
  more: (out: string) => void = () => {},
): Promise<Watched> {
  const result: Watched = { code: -1, out: '', err: '' };
  const dir = typeof tree === 'string' ? tree : tree.dir;
  result.code = await run(['watch', '--host', dir, '--interval', '0.01', ...words], {
    env: { LANG: 'C.UTF-8' },
    stdout: {
      write: (text: string) => {
        result.out += text;
        more(result.out);
      },
    },
    stderr: {
      write: (text: string) => {
        result.err += text;
        if (text.includes('; Ctrl-C ends it')) setTimeout(change);
      },
    },
  });
  return result;
}

const lines = (out: string): string[] => out.split('\n').slice(0, -1);
const json = (out: string): Record<string, unknown>[] => lines(out).map((line) => JSON.parse(line));
const without = ({ time: _, ...event }: Record<string, unknown>): Record<string, unknown> => event;

const CARD = '0000:01:00.0';
const OTHER = '0000:01:00.1';

describe('a tree that changes', () => {
  test('bind and unbind, and what becomes of the group', async () => {
    const tree = new Tree();
    const { code, out, err } = await watch(
      tree,
      ['--json', '--count', '5'],
      () => tree.bind(CARD, null),
      (out) => {
        if (lines(out).length === 2) tree.bind(CARD, 'vfio-pci');
        if (lines(out).length === 4) tree.bind(OTHER, 'e1000e');
      },
    );
    expect(code).toBe(0);
    expect(err).toBe('ringfence: watching 7 devices in 4 groups; Ctrl-C ends it\n');
    expect(json(out).map(without)).toEqual([
      { event: 'unbind', device: CARD, driver: 'vfio-pci', group: 3 },
      { event: 'owner', group: 3, before: 'vfio', after: null },
      { event: 'bind', device: CARD, driver: 'vfio-pci', group: 3 },
      { event: 'owner', group: 3, before: null, after: 'vfio' },
      { event: 'bind', device: OTHER, driver: 'e1000e', group: 3 },
    ]);
    for (const { time } of json(out)) expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  test('uevent, as the kernel writes it, is believed where a tree has no driver links', async () => {
    const tree = new Tree();
    for (const { address } of [{ address: CARD }, { address: '0000:00:02.0' }]) tree.bind(address, null);
    const file = tree.path(`bus/pci/devices/${CARD}/uevent`);
    const { out } = await watch(tree, ['--json', '--count', '1'], () =>
      writeFileSync(file, 'DRIVER=igb\nPCI_CLASS=20000\nPCI_ID=8086:10D3\n'),
    );
    expect(json(out).map(without)).toEqual([{ event: 'unbind', device: CARD, driver: 'vfio-pci', group: 3 }]);
  });

  test('removal and return of a device', async () => {
    const tree = new Tree();
    const { out } = await watch(
      tree,
      ['--json', '--count', '2'],
      () => tree.remove(OTHER),
      (out) => {
        if (lines(out).length === 1) tree.restore(OTHER);
      },
    );
    const facts = { device: OTHER, bus: 'pci', ids: '8086:10d3', driver: null, group: 3 };
    expect(json(out).map(without)).toEqual([
      { event: 'remove', ...facts },
      { event: 'add', ...facts },
    ]);
  });

  test('groups formed, changed and dissolved', async () => {
    const tree = new Tree();
    const { out } = await watch(
      tree,
      ['--json', '--count', '3'],
      () => {
        mkdirSync(tree.path('kernel/.9/devices'), { recursive: true });
        writeFileSync(tree.path('kernel/.9/type'), 'DMA-FQ\n');
        renameSync(tree.path('kernel/.9'), tree.path('kernel/iommu_groups/9'));
      },
      (out) => {
        if (lines(out).length === 1) writeFileSync(tree.path('kernel/iommu_groups/9/type'), 'identity\n');
        if (lines(out).length === 2) rmSync(tree.path('kernel/iommu_groups/9'), { recursive: true });
      },
    );
    expect(json(out).map(without)).toEqual([
      { event: 'group-add', group: 9, type: 'DMA-FQ' },
      { event: 'group-type', group: 9, before: 'DMA-FQ', after: 'identity' },
      { event: 'group-remove', group: 9 },
    ]);
  });

  test('for people, a line an event, with the time and the name', async () => {
    const tree = new Tree();
    const { out } = await watch(tree, ['--count', '4'], () => {
      tree.bind(CARD, 'e1000e');
      tree.remove(OTHER);
    });
    const [unbound, removed, bound, owner] = lines(out);
    expect(unbound).toMatch(/^\d\d:\d\d:\d\d unbound from vfio-pci: 01:00\.0/);
    expect(removed).toMatch(/ removed 01:00\.1.*, was in group 3$/);
    expect(bound).toMatch(/ bound to e1000e: 01:00\.0/);
    expect(owner).toMatch(/ group 3 is back from vfio, with drivers of the host$/);
  });

  test('a tree that cannot be read for a while is said once, and watched again', async () => {
    const tree = new Tree();
    const away = `${tree.dir}-away`;
    let notes = 0;
    const result = await watch(tree, ['--json', '--count', '1'], () => {
      renameSync(tree.dir, away);
      setTimeout(() => {
        renameSync(away, tree.dir);
        tree.bind(CARD, null);
      }, 100);
    });
    notes = result.err.split('still trying').length - 1;
    expect(notes).toBe(1);
    expect(result.err).toContain('the machine can be read again');
    expect(json(result.out)[0]).toMatchObject({ event: 'unbind', device: CARD });
  });
});

describe('options', () => {
  test('--for ends it, with nothing to tell', async () => {
    expect(await watch(new Tree(), ['--for', '0.05'])).toMatchObject({ code: 0, out: '' });
  });

  test('--count cuts within what happened at once', async () => {
    const tree = new Tree();
    const { out } = await watch(tree, ['--json', '--count', '1'], () => {
      tree.bind(CARD, null);
      tree.bind(OTHER, 'e1000e');
    });
    expect(lines(out)).toHaveLength(1);
  });

  test.each([
    ['--interval', '0'],
    ['--interval', 'x'],
    ['--for', '-1'],
    ['--count', '0'],
    ['--count', '1.5'],
  ])('%s %s is refused', async (flag, value) => {
    const { code, err } = await watch(new Tree(), [`${flag}=${value}`]);
    expect(code).toBe(2);
    expect(err).toMatch(new RegExp(`^ringfence: ${flag}: expects`));
  });

  test('a recording does not change, so it is not watched', async () => {
    const { code, err } = await watch(join(root, 'test/fixtures/machines/vfio.tar.gz'), []);
    expect(code).toBe(2);
    expect(err).toContain('a recording does not change');
  });
});

/** The command as a process of its own, for what only processes have. */
describe('as a process', () => {
  const bundle = join(scratch, 'main');
  beforeAll(() => {
    // Below node_modules, so that packages are found from there.
    execFileSync('node', [
      '--input-type=module',
      '-e',
      `
      import { bundle } from ${JSON.stringify(join(root, 'scripts/bundle.mjs'))};
      await bundle([${JSON.stringify(join(root, 'src/cli/main.ts'))}], ${JSON.stringify(bundle)}, { inline: [/./] });
    `,
    ]);
  }, 60_000);

  function start(
    words: string[],
    env: Record<string, string> = {},
  ): ChildProcess & { said: { err: string; out: string } } {
    const child = spawn('node', [join(bundle, 'main.mjs'), 'watch', ...words], {
      env: { ...process.env, ...env },
    });
    const said = { err: '', out: '' };
    child.stderr!.on('data', (data) => {
      said.err += data;
    });
    child.stdout!.on('data', (data) => {
      said.out += data;
    });
    return Object.assign(child, { said });
  }

  const ended = (child: ChildProcess): Promise<[number | null, string | null]> =>
    new Promise((resolve) => child.on('close', (code, signal) => resolve([code, signal])));

  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with 0', async (signal) => {
    const child = start(['--host', new Tree().dir]);
    const end = ended(child);
    await until(() => child.said.err.includes('Ctrl-C'));
    child.kill(signal);
    expect(await end).toEqual([0, null]);
  });

  test('a reader that has seen enough ends it with 0', async () => {
    const tree = new Tree();
    const child = start(['--host', tree.dir, '--interval', '0.01']);
    const end = ended(child);
    await until(() => child.said.err.includes('Ctrl-C'));
    child.stdout!.destroy();
    tree.bind(CARD, null);
    expect(await end).toEqual([0, null]);
  });

  const hasSysfs = existsSync('/sys/bus/pci');
  test.skipIf(!hasSysfs)(
    'survives the death of udevadm, and goes on without (needs /sys/bus/pci)',
    async () => {
      const folder = mkdtempSync(join(scratch, 'bin-'));
      writeFileSync(
        join(folder, 'udevadm'),
        '#!/bin/sh\necho "KERNEL[1.0] bind /devices/x (pci)"\nexit 1\n',
        { mode: 0o755 },
      );
      const child = start(['--for', '1'], { PATH: `${folder}:${process.env.PATH}` });
      expect(await ended(child)).toEqual([0, null]);
      expect(child.said.err).toContain('udevadm ended; looking at regular times instead');
    },
  );
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERRNO, KernelError } from '../../kernel/errors.ts';
import { IN_HEADER_BYTES, Opcode, OpenFlag, ROOT_NODE } from './protocol.ts';
import { MalformedRequest, parseBody, parseHeader } from './request.ts';
import { FakeKernel, longs, words } from './testing.ts';
import type { TreeDirectory, TreeEntry, TreeHandle } from './tree.ts';

interface Made {
  kernel: FakeKernel;
  /** Calls on files, in their order. */
  calls: string[];
  entries: Record<string, TreeEntry>;
  wake: Set<() => void>;
}

/** A text, a link, a directory, a node with an inode per open, and files that fail. */
function make(): Made {
  const calls: string[] = [];
  const wake = new Set<() => void>();
  const device: TreeHandle = {
    stream: true,
    read: (_, size, position) => Buffer.from(`${size}@${position}`),
    ioctl: (_, { command, data }) => (command === 1 ? 7 : { result: -0, data: Buffer.from(data).reverse() }),
    poll: () => 1,
    onWake: (listener) => {
      wake.add(listener);
      return () => wake.delete(listener);
    },
    release: () => void calls.push('release device'),
  };
  const text: TreeHandle = {
    read: (_, size, position) => Buffer.from('some text').subarray(Number(position), Number(position) + size),
    write: (_, bytes, position) => {
      calls.push(`write ${Buffer.from(bytes).toString()}@${position}`);
      return bytes.length;
    },
    release: () => void calls.push('release text'),
  };
  const open = (name: string, handle: TreeHandle) => () => {
    calls.push(`open ${name}`);
    return handle;
  };
  const below: TreeDirectory = {
    kind: 'directory',
    identity: {},
    names: () => Array.from({ length: 500 }, (_, index) => `file${index}`),
    entry: (name) => ({ kind: 'link', target: name }),
  };
  const entries: Record<string, TreeEntry> = {
    text: { kind: 'file', mode: 0o644, size: 9, open: open('text', text) },
    device: { kind: 'file', mode: 0o600, size: 0, perOpen: true, open: open('device', device) },
    link: { kind: 'link', target: '../elsewhere' },
    below,
    nothing: { kind: 'file', mode: 0o600, size: 0, open: () => ({}) },
    refused: {
      kind: 'file',
      mode: 0o600,
      size: 0,
      open: () => {
        throw new KernelError('EBUSY', 'refused', 'is busy');
      },
    },
    broken: {
      kind: 'file',
      mode: 0o600,
      size: 0,
      open: () => {
        throw new TypeError('a mistake');
      },
    },
  };
  const root: TreeDirectory = {
    kind: 'directory',
    identity: entries,
    lasting: true,
    names: () => Object.keys(entries),
    entry: (name) => (Object.hasOwn(entries, name) ? entries[name] : undefined),
  };
  return { kernel: new FakeKernel(root), calls, entries, wake };
}

function opened(kernel: FakeKernel, path: string, tid = 1) {
  const result = kernel.open(path, 0, tid);
  if (typeof result === 'number') throw new Error(`errno ${result}`);
  return result;
}

describe('a FUSE server', () => {
  test('agrees on version 7.31, large transfers, and RELEASE that never waits', () => {
    const { kernel } = make();
    const body = kernel.ask(Opcode.Init, 0n, words(7, 45, 65536, 0xffff_ffff, 0))!.body;
    expect([body.readUInt32LE(0), body.readUInt32LE(4)]).toEqual([7, 31]);
    expect(body.readUInt16LE(16)).toBe(0xffff);
    expect(body.readUInt32LE(20)).toBe(1 << 20);
  });

  test('files are read and written at positions, and released once', () => {
    const { kernel, calls } = make();
    const { fh, flags } = opened(kernel, 'text');
    expect(flags & OpenFlag.DirectIo).toBe(OpenFlag.DirectIo);
    expect(kernel.read(fh, 4, 5n).body.toString()).toBe('text');
    expect(kernel.read(fh, 4, 9n).body.length).toBe(0);
    expect(kernel.write(fh, Buffer.from('new'), 3n).body.readUInt32LE(0)).toBe(3);
    kernel.release(fh);
    kernel.release(fh);
    expect(calls).toEqual(['open text', 'write new@3', 'release text']);
    expect(kernel.read(fh, 1).errno).toBe(ERRNO.EINVAL);
  });

  test('a file without a position is read at 0', () => {
    const { kernel } = make();
    const { fh, flags } = opened(kernel, 'device');
    expect(flags & OpenFlag.Stream).toBe(OpenFlag.Stream);
    expect(kernel.read(fh, 8, 100n).body.toString()).toBe('8@0');
  });

  test('refusals keep their errno; mistakes are EIO and reported; the server goes on', () => {
    const { kernel } = make();
    expect(kernel.open('refused')).toBe(ERRNO.EBUSY);
    expect(kernel.open('broken')).toBe(ERRNO.EIO);
    expect(kernel.reported).toEqual([new TypeError('a mistake')]);
    expect(kernel.open('unknown')).toBe(ERRNO.ENOENT);
    expect(kernel.open('text/below')).toBe(ERRNO.ENOTDIR);
    expect(kernel.open('below')).toBe(ERRNO.EISDIR);
    const { fh } = opened(kernel, 'nothing');
    expect(kernel.read(fh, 1).errno).toBe(ERRNO.EINVAL);
    expect(kernel.write(fh, Buffer.from('x')).errno).toBe(ERRNO.EINVAL);
    expect(
      kernel.ask(Opcode.Ioctl, 1n, Buffer.concat([longs(fh), words(0, 1), longs(0n), words(0, 0)]))!.errno,
    ).toBe(ERRNO.ENOTTY);
  });

  test('what no file system here does is refused as sysfs does', () => {
    const { kernel } = make();
    expect(kernel.ask(Opcode.Create)!.errno).toBe(ERRNO.EACCES);
    expect(kernel.ask(Opcode.Mkdir)!.errno).toBe(ERRNO.EPERM);
    expect(kernel.ask(Opcode.Unlink)!.errno).toBe(ERRNO.EPERM);
    expect(kernel.ask(22)!.errno).toBe(ERRNO.ENOSYS);
    expect(kernel.ask(4096)!.errno).toBe(ERRNO.ENOSYS);
  });

  test('every open of a node has an inode of its own, by which what is open is found', () => {
    const { kernel } = make();
    const [one, two] = [opened(kernel, 'device', 1), opened(kernel, 'device', 1)];
    expect(one.ino).not.toBe(two.ino);
    expect(kernel.server.openWithNumber(one.ino)).toHaveLength(1);
    kernel.release(one.fh);
    expect(kernel.server.openWithNumber(one.ino)).toHaveLength(0);
  });

  test('what a thread looks up it opens; two threads at once never open the same', () => {
    const { kernel } = make();
    const inodes = [1, 2, 1, 2].map((tid) => kernel.lookup('device', tid) as { ino: bigint });
    expect(new Set(inodes.map(({ ino }) => ino)).size).toBe(4);
    const looked = kernel.lookup('device', 3) as { ino: bigint };
    expect((kernel.lookup('device', 3) as { ino: bigint }).ino).toBe(looked.ino);
  });

  test('inodes live until the kernel forgets every look', () => {
    const { kernel } = make();
    const before = kernel.server.counts.inodes;
    const first = kernel.lookup('text') as { nodeid: bigint };
    const again = kernel.lookup('text') as { nodeid: bigint };
    expect(again.nodeid).toBe(first.nodeid);
    kernel.forget(first.nodeid, 1n);
    expect(kernel.ask(Opcode.Getattr, first.nodeid)!.errno).toBe(0);
    kernel.forget(first.nodeid, 1n);
    expect(kernel.ask(Opcode.Getattr, first.nodeid)!.errno).toBe(116);
    expect(kernel.server.counts.inodes).toBe(before);
    kernel.forget(ROOT_NODE, 1n << 60n);
    expect(kernel.ask(Opcode.Getattr, ROOT_NODE)!.errno).toBe(0);
  });

  test('an answer the kernel does not want any more gives nothing away', () => {
    const { kernel, calls } = make();
    const { nodeid } = kernel.lookup('device') as { nodeid: bigint };
    const before = kernel.server.counts;
    kernel.deaf = true;
    kernel.ask(Opcode.Open, nodeid, words(0, 0));
    kernel.ask(Opcode.Lookup, ROOT_NODE, Buffer.from('text\0'));
    kernel.ask(Opcode.Opendir, ROOT_NODE, words(0, 0));
    expect(kernel.server.counts).toEqual(before);
    expect(calls).toEqual(['open device', 'release device']);
  });

  test('a directory is listed in as many pieces as it takes, each name once', () => {
    const { kernel } = make();
    const { nodeid } = kernel.lookup('below') as { nodeid: bigint };
    const fh = kernel.ask(Opcode.Opendir, nodeid, words(0, 0))!.body.readBigUInt64LE(0);
    const names: string[] = [];
    let offset = 0n;
    for (;;) {
      const request = Buffer.concat([longs(fh, offset), words(512, 0, 0, 0, 0, 0)]);
      const { body } = kernel.ask(Opcode.Readdir, nodeid, request)!;
      if (body.length === 0) break;
      for (let at = 0; at < body.length; at += Math.ceil((24 + body.readUInt32LE(at + 16)) / 8) * 8) {
        names.push(body.toString('utf8', at + 24, at + 24 + body.readUInt32LE(at + 16)));
        offset = body.readBigUInt64LE(at + 8);
      }
    }
    expect(names).toHaveLength(502);
    expect(new Set(names).size).toBe(502);
    kernel.ask(Opcode.Releasedir, nodeid, longs(fh, 0n, 0n));
    expect(kernel.server.counts.open).toBe(0);
  });

  test('links are read, and nothing else is', () => {
    const { kernel } = make();
    const [link, text] = ['link', 'text'].map((name) => kernel.lookup(name) as { nodeid: bigint });
    expect(kernel.ask(Opcode.Readlink, link!.nodeid)!.body.toString()).toBe('../elsewhere');
    expect(kernel.ask(Opcode.Readlink, text!.nodeid)!.errno).toBe(ERRNO.EINVAL);
  });

  test('chown and chmod last as long as the file does', () => {
    const { kernel, entries } = make();
    const change = (valid: number, mode: number, uid: number, gid: number) =>
      Buffer.concat([words(valid, 0), Buffer.alloc(60), words(mode, 0, uid, gid, 0)]);
    const { nodeid } = kernel.lookup('text') as { nodeid: bigint };
    const { body } = kernel.ask(Opcode.Setattr, nodeid, change(7, 0o100600, 5, 6))!;
    expect([body.readUInt32LE(16 + 60), body.readUInt32LE(16 + 68), body.readUInt32LE(16 + 72)]).toEqual([
      0o100600, 5, 6,
    ]);
    expect((kernel.lookup('text') as { mode: number }).mode).toBe(0o100600);
    const { text } = entries;
    entries.text = { ...(text as Extract<TreeEntry, { kind: 'file' }>), identity: {} };
    expect((kernel.lookup('text') as { mode: number }).mode).toBe(0o100644);
  });

  test('ioctls return numbers, and bytes as far as there is room', () => {
    const { kernel } = make();
    const { fh } = opened(kernel, 'device');
    const ioctl = (command: number, data: string, room: number) => {
      const body = [longs(fh), words(0, command), longs(0n), words(data.length, room), Buffer.from(data)];
      return kernel.ask(Opcode.Ioctl, ROOT_NODE, Buffer.concat(body))!.body;
    };
    expect(ioctl(1, '', 0).readInt32LE(0)).toBe(7);
    expect(ioctl(2, 'abc', 3).toString('utf8', 16)).toBe('cba');
    expect(ioctl(2, 'abc', 2).toString('utf8', 16)).toBe('cb');
  });

  test('who polls is told once there is something, and not after closing', () => {
    const { kernel, wake } = make();
    const { fh } = opened(kernel, 'device');
    const poll = (kh: bigint, flags: number) =>
      kernel.ask(Opcode.Poll, ROOT_NODE, Buffer.concat([longs(fh, kh), words(flags, 0)]))!;
    expect(poll(77n, 0).body.readUInt32LE(0)).toBe(1);
    expect(wake.size).toBe(0);
    poll(77n, 1);
    poll(77n, 1);
    expect(wake.size).toBe(1);
    for (const listener of wake) listener();
    expect(kernel.sent).toEqual([{ unique: 0n, errno: -1, body: longs(77n) }]);
    kernel.release(fh);
    expect(wake.size).toBe(0);
  });

  test('at the end everything that is open is closed', () => {
    const { kernel, calls } = make();
    opened(kernel, 'text');
    opened(kernel, 'device');
    kernel.queue(Opcode.Destroy);
    kernel.queue(Opcode.Getattr);
    kernel.server.serve();
    expect(calls.slice(-2)).toEqual(['release text', 'release device']);
    expect(kernel.receive()).toBeDefined();
  });
});

describe('hostile requests', () => {
  const opcode = fc.oneof(fc.constantFrom(...Object.values(Opcode)), fc.nat(60), fc.nat());
  const body = fc.uint8Array({ maxLength: 200 });

  test('any bytes are a request or are malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          parseHeader(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedRequest);
        }
        for (const parse of Object.values(parseBody)) {
          try {
            parse(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedRequest);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('each gets one answer, or none where none is due; the server never stops', () => {
    const silent: number[] = [Opcode.Forget, Opcode.BatchForget, Opcode.Interrupt, Opcode.Destroy];
    fc.assert(
      fc.property(fc.array(fc.tuple(opcode, fc.bigInt(0n, 12n), body), { maxLength: 40 }), (requests) => {
        const { kernel } = make();
        for (const name of ['text', 'device', 'below', 'link']) kernel.lookup(name);
        opened(kernel, 'device');
        for (const [code, nodeid, bytes] of requests) {
          const answer = kernel.ask(code, nodeid, bytes);
          if (silent.includes(code)) expect(answer).toBeUndefined();
          else expect(answer).toBeDefined();
        }
        expect(
          kernel.reported.filter((error) => !(error instanceof TypeError && error.message === 'a mistake')),
        ).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('one that is cut off, or longer than it says, is passed over', () => {
    const { kernel } = make();
    kernel.server.handle(Buffer.alloc(IN_HEADER_BYTES - 1));
    kernel.server.handle(
      Buffer.concat([kernel.request(Opcode.Getattr, ROOT_NODE, Buffer.alloc(0)), Buffer.alloc(1)]),
    );
    expect(kernel.sent).toEqual([]);
    expect(kernel.reported).toHaveLength(2);
  });
});

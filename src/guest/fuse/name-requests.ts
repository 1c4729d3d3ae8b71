/** Requests about names and what stands under them: looking up, attributes, listing. */

import { type Answer, Errno, type Gift, NOTHING, Refusal } from './answer.ts';
import type { Handles } from './handles.ts';
import type { Inode, Inodes } from './inodes.ts';
import { Ownerships } from './ownership.ts';
import { FileType, MAX_TRANSFER, Opcode, SetAttribute } from './protocol.ts';
import * as reply from './reply.ts';
import { parseBody, type RequestHeader } from './request.ts';
import type { TreeDirectory, TreeEntry } from './tree.ts';

/** Seconds for which the kernel need not ask after what never changes. */
const LASTING = 1n << 30n;
const TYPE_BITS = { directory: FileType.Directory, file: FileType.Regular, link: FileType.Link };
/** Longest name a directory can hold. */
const NAME_MAX = 255;
const PERMISSION_BITS = 0o7777;

export class NameRequests {
  readonly #inodes: Inodes;
  readonly #handles: Handles;
  readonly #ownerships = new Ownerships();

  constructor(inodes: Inodes, handles: Handles) {
    this.#inodes = inodes;
    this.#handles = handles;
  }

  lookup({ entry: directory }: Inode, { requester }: RequestHeader, body: Buffer): Answer | Gift {
    if (directory.kind !== 'directory') return new Refusal(Errno.ENOTDIR);
    const { name } = parseBody[Opcode.Lookup](body);
    const entry = name.length > NAME_MAX ? undefined : directory.entry(name);
    if (entry === undefined) return new Refusal(Errno.ENOENT);
    const inode = this.#inodes.lookup(directory, name, entry, requester.tid);
    return {
      bytes: reply.entryReply(inode.id, this.#attributes(inode), keep(entry)),
      takeBack: () => this.#inodes.forget(inode.id, 1n),
    };
  }

  forget(nodes: readonly { nodeid: bigint; count: bigint }[]): undefined {
    for (const { nodeid, count } of nodes) this.#inodes.forget(nodeid, count);
    return undefined;
  }

  attributes(inode: Inode): Answer {
    return reply.attributesReply(this.#attributes(inode), keep(inode.entry));
  }

  /** The kernel has checked who may. Size and times mean nothing here, and setting them does nothing. */
  setAttributes(inode: Inode, body: Buffer): Answer {
    const { valid, mode, uid, gid } = parseBody[Opcode.Setattr](body);
    const change = {
      ...((valid & SetAttribute.Mode) !== 0 && { mode: mode & PERMISSION_BITS }),
      ...((valid & SetAttribute.Uid) !== 0 && { uid }),
      ...((valid & SetAttribute.Gid) !== 0 && { gid }),
    };
    if (Object.keys(change).length > 0) {
      this.#ownerships.change(inode.directory, inode.name, inode.entry, change);
    }
    return this.attributes(inode);
  }

  readlink({ entry }: Inode): Answer {
    return entry.kind === 'link' ? Buffer.from(entry.target) : new Refusal(Errno.EINVAL);
  }

  openDirectory({ entry }: Inode): Answer | Gift {
    if (entry.kind !== 'directory') return new Refusal(Errno.ENOTDIR);
    const fh = this.#handles.addDirectory();
    return { bytes: reply.openReply(fh, 0), takeBack: () => this.#handles.releaseDirectory(fh) };
  }

  readDirectory({ entry }: Inode, body: Buffer): Answer {
    const { fh, offset, size } = parseBody[Opcode.Read](body);
    const directory = this.#handles.findDirectory(fh);
    if (directory === undefined || entry.kind !== 'directory') return new Refusal(Errno.EINVAL);
    if (offset === 0n) directory.lines = linesOf(entry);
    return reply.directoryReply(directory.lines, Number(offset), Math.min(size, MAX_TRANSFER));
  }

  releaseDirectory(body: Buffer): Answer {
    this.#handles.releaseDirectory(parseBody[Opcode.Release](body).fh);
    return NOTHING;
  }

  #attributes(inode: Inode): reply.Attributes {
    const { entry } = inode;
    const { mode, uid, gid } = this.#ownerships.of(inode.directory, inode.name, entry);
    return {
      ino: this.#inodes.numberOf(inode),
      size: entry.kind === 'file' ? entry.size : entry.kind === 'link' ? Buffer.byteLength(entry.target) : 0,
      mode: TYPE_BITS[entry.kind] | mode,
      uid,
      gid,
    };
  }
}

function linesOf(directory: TreeDirectory): reply.DirectoryLine[] {
  const lines = ['.', '..'].map((name) => ({ name, type: FileType.Directory as number }));
  for (const name of directory.names()) {
    const entry = directory.entry(name);
    if (entry !== undefined) lines.push({ name, type: TYPE_BITS[entry.kind] });
  }
  return lines;
}

function keep(entry: TreeEntry): bigint {
  return entry.kind !== 'link' && entry.lasting === true ? LASTING : 0n;
}

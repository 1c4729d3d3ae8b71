/** Numbers of the FUSE protocol (include/uapi/linux/fuse.h), version 7.31: Linux 5.4 and all later ones speak it. */

export const MAJOR = 7;
export const MINOR = 31;

/** The inode that stands at the root of the mount. */
export const ROOT_NODE = 1n;

export const Opcode = {
  Lookup: 1,
  Forget: 2,
  Getattr: 3,
  Setattr: 4,
  Readlink: 5,
  Symlink: 6,
  Mknod: 8,
  Mkdir: 9,
  Unlink: 10,
  Rmdir: 11,
  Rename: 12,
  Link: 13,
  Open: 14,
  Read: 15,
  Write: 16,
  Statfs: 17,
  Release: 18,
  Flush: 25,
  Init: 26,
  Opendir: 27,
  Readdir: 28,
  Releasedir: 29,
  Interrupt: 36,
  Create: 35,
  Destroy: 38,
  Ioctl: 39,
  Poll: 40,
  BatchForget: 42,
  Rename2: 45,
} as const;

/** Flags of INIT that are asked for. */
export const InitFlag = {
  /** Truncation comes with OPEN, not as a SETATTR before it: `echo x > attribute` is one open and one write. */
  AtomicTruncate: 1 << 3,
  BigWrites: 1 << 5,
  ParallelDirectories: 1 << 18,
  MaxPages: 1 << 22,
} as const;

/** Answers to OPEN. */
export const OpenFlag = {
  /** Every read and write reaches the server, as large as the program makes it. */
  DirectIo: 1 << 0,
  NonSeekable: 1 << 2,
  /** No position at all: reads and writes are at 0. */
  Stream: 1 << 4,
} as const;

/** Which fields of SETATTR count. */
export const SetAttribute = { Mode: 1 << 0, Uid: 1 << 1, Gid: 1 << 2 } as const;

/** Of POLL: the kernel wants to hear when the answer changes. */
export const POLL_SCHEDULE_NOTIFY = 1;
export const NOTIFY_POLL = 1;

/** `S_IFMT` and `DT_*`, which are the same numbers shifted. */
export const FileType = { Directory: 0o040000, Regular: 0o100000, Link: 0o120000 } as const;

export const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
export const INIT_REPLY_BYTES = 64;

/** Largest read and write. 256 pages is what every kernel allows. */
export const MAX_TRANSFER = 1 << 20;
export const MAX_PAGES = MAX_TRANSFER / 4096;
/** A write of that size with what is in front of it. */
export const REQUEST_BYTES = MAX_TRANSFER + 4096;

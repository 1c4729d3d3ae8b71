/**
 * What the model knows: plain data, nothing counted that can be told from the rest. Written from
 * facts/iommufd.md and the kernel, not from the code under test.
 */

export type Code = string;

/** A call the model says the kernel refuses. */
export class Refusal extends Error {
  readonly code: Code;

  constructor(code: Code) {
    super(code);
    this.code = code;
  }
}

export interface Range {
  start: bigint;
  last: bigint;
}

/** One MAP: whole pages of the process's memory or of its file, shared by every area made of it. */
export interface PageSet {
  /** Address of the first page, or where in the file it is. */
  address: bigint;
  file: boolean;
  writable: boolean;
  account: 'user' | 'process';
}

export interface Area {
  iova: bigint;
  last: bigint;
  set: number;
  /** From the first byte of the set. */
  startByte: bigint;
  read: boolean;
  write: boolean;
  /** An unmap gave up: nobody may use it any more. */
  prevented: boolean;
}

export interface Ioas {
  kind: 'ioas';
  /** Ascending. */
  areas: Area[];
  allowed: Range[];
  reserved: (Range & { owner: string })[];
  pageWise: boolean;
  /** Page tables that hold it, oldest first. */
  hwpts: number[];
}

export type DriverName = 'group' | 'selftest';

export interface Hwpt {
  kind: 'hwpt';
  driver: DriverName;
  ioas: number;
  /** The paging one under a nested one. */
  parent: number | undefined;
  auto: boolean;
  nestParent: boolean;
  pasid: boolean;
  dirtyOps: boolean;
  tracking: boolean;
  /** Written to by devices: pages of 2 KiB. */
  dirty: Set<bigint>;
  /** Added to every address by a nested one. */
  offset: bigint;
  fault: number | undefined;
}

export interface Device {
  kind: 'device';
  name: string;
}

export interface Pin {
  iova: bigint;
  length: bigint;
  /** Pages of sets. */
  pages: { set: number; area: bigint; first: bigint; last: bigint }[];
}

export interface Access {
  kind: 'access';
  ioas: number | undefined;
  pinning: boolean;
  /** Does not unpin when asked by an unmap. */
  stubborn: boolean;
  pins: Pin[];
}

export interface Fault {
  kind: 'fault';
  fd: number;
  open: boolean;
  queued: PageFault[];
  /** By cookie. */
  read: Map<number, PageFault>;
}

/** Who asks, through which attachment, and its number. */
export interface PageFault {
  attachment: number;
  device: number;
  grpid: number;
}

export interface Selftest {
  kind: 'selftest';
  device: number;
}

export type Thing = Ioas | Hwpt | Device | Access | Fault | Selftest;

export interface Attachment {
  /** Of the attachment as user space knows it; another after a replace. */
  serial: number;
  hwpt: number;
  /** Ids of devices. */
  devices: number[];
  /** For whom the hardware was told. */
  handle: number;
  /** Name of the device that may ask for pages, and its id. */
  asks: string | undefined;
}

export interface Group {
  /** Which context has it; as many binds. */
  owner: number | undefined;
  bound: number;
  /** By PASID, 0 without. */
  attachments: Map<number, Attachment>;
}

export interface Context {
  things: Map<number, Thing>;
  vfioIoas: number | undefined;
  mode: 'user' | 'process';
}

export interface State {
  contexts: Context[];
  sets: Map<number, PageSet>;
  groups: Map<string, Group>;
  /** Numbers used so far. */
  made: number;
  /** Descriptors that are open. */
  fds: Set<number>;
}

/** The machine around: where the process has memory. */
export interface Surroundings {
  /** Pages by address. */
  pageAt(address: bigint): { writable: boolean } | undefined;
  /** Where the pages of the file are taken to be, as addresses. */
  readonly fileBase: bigint;
  /** Pages that may be locked. */
  readonly limit: number;
  /** Addresses a device may not use. */
  regionsOf(name: string): Range[];
  /** PASIDs a device has. */
  maxPasids(name: string): number;
}

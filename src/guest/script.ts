/**
 * Scripts: what happens to the machine while a program runs. A line is a JSON object with one action and, if it is not
 * to happen at once, a moment. Lines happen in their order; one with a moment waits for it and holds up those behind.
 *
 *     {"at": 0.5, "unplug": "0000:01:00.0"}
 *     {"after": "IOMMU_IOAS_MAP", "count": 2, "fault": {"device": "0000:01:00.0", "addr": "0x1000"}}
 */

import { readHost } from '../host/read-host.ts';
import type { PciFacts } from '../host/snapshot.ts';
import { checkSnapshot } from '../host/snapshot-reader.ts';
import { type ErrnoName, InputError } from '../kernel/errors.ts';
import { address, errno, type Fields, integer, parseJson, record, text } from './script-fields.ts';

export interface PageFault {
  readonly device: string;
  readonly addr: bigint;
  readonly pasid: number | undefined;
  readonly grpid: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
  /** More of its group follow. */
  readonly more: boolean;
}

/** What a device reads or writes by itself. */
export interface DmaTransfer {
  readonly device: string;
  readonly addr: bigint;
  readonly pasid: number | undefined;
  /** What it writes; a number of bytes for it to read. */
  readonly what: Uint8Array | number;
}

export type Action =
  | { readonly kind: 'plug'; readonly functions: readonly PciFacts[] }
  | { readonly kind: 'unplug'; readonly device: string }
  | { readonly kind: 'fault'; readonly fault: PageFault }
  | { readonly kind: 'dma'; readonly transfer: DmaTransfer }
  | { readonly kind: 'fail'; readonly step: number; readonly errno: ErrnoName }
  | { readonly kind: 'fail-every'; readonly step: string; readonly errno: ErrnoName }
  | { readonly kind: 'fail-none' }
  | { readonly kind: 'write'; readonly file: string; readonly text: string }
  | { readonly kind: 'signal'; readonly signal: string };

export type Moment =
  /** Seconds after the program started. */
  | { readonly at: number }
  /** The call was made so many times, counted from when the line before was done. */
  | { readonly after: string; readonly count: number };

export interface ScriptStep {
  /** For messages: `script.jsonl:3`. */
  readonly place: string;
  readonly moment: Moment | undefined;
  readonly action: Action;
}

type Maker = (value: unknown, fields: Fields, place: string) => Action | Promise<Action>;

const COMMON_FIELDS = ['at', 'after', 'count'];
const SIGNAL = /^SIG[A-Z0-9]+$/;

/** What each action takes beside its own value, and how it is read. */
const ACTIONS: Readonly<Record<string, { readonly with?: readonly string[]; readonly make: Maker }>> = {
  plug: { with: ['from'], make: plug },
  unplug: { make: (value, _, place) => ({ kind: 'unplug', device: text(value, 'unplug', place) }) },
  fault: { make: (value, _, place) => ({ kind: 'fault', fault: pageFault(value, place) }) },
  dma: { make: (value, _, place) => ({ kind: 'dma', transfer: dmaTransfer(value, place) }) },
  fail: {
    with: ['errno'],
    make: (value, fields, place) => ({
      kind: 'fail',
      step: integer(value, 'fail', place, 1),
      errno: errno(fields, place),
    }),
  },
  failEvery: {
    with: ['errno'],
    make: (value, fields, place) => ({
      kind: 'fail-every',
      step: text(value, 'failEvery', place),
      errno: errno(fields, place),
    }),
  },
  failNone: { make: () => ({ kind: 'fail-none' }) },
  write: {
    with: ['text'],
    make: (value, fields, place) => ({
      kind: 'write',
      file: sysPath(text(value, 'write', place), place),
      text: text(fields.text, 'text', place),
    }),
  },
  sriov: {
    with: ['device'],
    make: (value, fields, place) =>
      attribute(fields, place, 'sriov_numvfs', `${integer(value, 'sriov', place, 0)}`),
  },
  bind: { with: ['device'], make: (value, fields, place) => driverFile(value, fields, place, 'bind') },
  unbind: { with: ['device'], make: (value, fields, place) => driverFile(value, fields, place, 'unbind') },
  signal: {
    make: (value, _, place) => {
      const signal = text(value, 'signal', place);
      if (!SIGNAL.test(signal)) throw new InputError(place, `'${signal}' is no signal; write SIGTERM`);
      return { kind: 'signal', signal };
    },
  },
  end: { make: () => ({ kind: 'signal', signal: 'SIGTERM' }) },
};

/**
 * @param source the script; empty lines and those that begin with # are passed over
 * @param name of the file, for messages
 * @throws InputError naming the line
 */
export async function parseScript(source: string, name: string): Promise<ScriptStep[]> {
  const steps: ScriptStep[] = [];
  for (const [index, line] of source.split('\n').entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    steps.push(await parseLine(line, `${name}:${index + 1}`));
  }
  return steps;
}

async function parseLine(line: string, place: string): Promise<ScriptStep> {
  const fields = record(parseJson(line, place), place);
  const names = Object.keys(fields);
  const actions = names.filter((name) => Object.hasOwn(ACTIONS, name));
  const [name] = actions;
  if (name === undefined) {
    throw new InputError(place, `nothing to do; there are ${Object.keys(ACTIONS).join(', ')}`);
  }
  if (actions.length > 1)
    throw new InputError(place, `${actions.join(' and ')} are two actions; write two lines`);
  const { make, with: own = [] } = ACTIONS[name]!;
  const strange = names.find((each) => ![name, ...own, ...COMMON_FIELDS].includes(each));
  if (strange !== undefined) throw new InputError(place, `${name} takes no '${strange}'`);
  return { place, moment: moment(fields, place), action: await make(fields[name], fields, place) };
}

function moment(fields: Fields, place: string): Moment | undefined {
  const { at, after, count } = fields;
  if (at !== undefined && after !== undefined) throw new InputError(place, 'either at or after, not both');
  if (count !== undefined && after === undefined) throw new InputError(place, 'count goes with after');
  if (at !== undefined) {
    if (typeof at !== 'number' || !(at >= 0) || at > MOST_SECONDS) {
      throw new InputError(place, `at: expects seconds, up to ${MOST_SECONDS}`);
    }
    return { at };
  }
  if (after === undefined) return undefined;
  return {
    after: text(after, 'after', place),
    count: count === undefined ? 1 : integer(count, 'count', place, 1),
  };
}

/** What a timer of Node can wait. */
const MOST_SECONDS = 2_000_000;

async function plug(value: unknown, fields: Fields, place: string): Promise<Action> {
  if (fields.from !== undefined) {
    const wanted = (Array.isArray(value) ? value : [value]).map((each) => text(each, 'plug', place));
    const { devices } = await readHost(text(fields.from, 'from', place));
    const functions = wanted.map((address) => {
      const found = devices.find((device) => device.address === address);
      if (found === undefined)
        throw new InputError(place, `there is no ${address} in ${String(fields.from)}`);
      return found;
    });
    return { kind: 'plug', functions };
  }
  const snapshot = {
    ringfence: 'snapshot',
    version: 1,
    form: 'sysfs',
    kernel: {},
    devices: Array.isArray(value) ? value : [value],
    others: [],
    acpi: {},
  };
  return { kind: 'plug', functions: (await checkSnapshot(snapshot, place)).devices };
}

const FAULT_FIELDS = ['device', 'addr', 'perm', 'pasid', 'grpid', 'more'];

function pageFault(value: unknown, place: string): PageFault {
  const fields = record(value, place);
  const strange = Object.keys(fields).find((name) => !FAULT_FIELDS.includes(name));
  if (strange !== undefined) throw new InputError(place, `fault takes no '${strange}'`);
  const perm = fields.perm === undefined ? 'r' : text(fields.perm, 'perm', place);
  if (!/^[rwxp]+$/.test(perm)) throw new InputError(place, `perm: '${perm}' is not made of r, w, x and p`);
  return {
    device: text(fields.device, 'device', place),
    addr: address(fields.addr, place),
    pasid: fields.pasid === undefined ? undefined : integer(fields.pasid, 'pasid', place, 0),
    grpid: fields.grpid === undefined ? 0 : integer(fields.grpid, 'grpid', place, 0),
    read: perm.includes('r'),
    write: perm.includes('w'),
    exec: perm.includes('x'),
    privileged: perm.includes('p'),
    more: fields.more === true,
  };
}

const DMA_FIELDS = ['device', 'addr', 'pasid', 'write', 'read'];
const MOST_DMA_BYTES = 1 << 20;

/** `{"device": "0000:01:00.0", "addr": "0x1000", "write": "c0ffee"}`, or `"read": 16` */
function dmaTransfer(value: unknown, place: string): DmaTransfer {
  const fields = record(value, place);
  const strange = Object.keys(fields).find((name) => !DMA_FIELDS.includes(name));
  if (strange !== undefined) throw new InputError(place, `dma takes no '${strange}'`);
  const { read, write, pasid } = fields;
  if ((read === undefined) === (write === undefined))
    throw new InputError(place, 'dma wants read or write, one of them');
  return {
    device: text(fields.device, 'device', place),
    addr: address(fields.addr, place),
    pasid: pasid === undefined ? undefined : integer(pasid, 'pasid', place, 0),
    what: write === undefined ? dmaLength(read, place) : hexBytes(text(write, 'write', place), place),
  };
}

function dmaLength(value: unknown, place: string): number {
  const length = integer(value, 'read', place, 1);
  if (length > MOST_DMA_BYTES) throw new InputError(place, `read: at most ${MOST_DMA_BYTES} bytes at once`);
  return length;
}

function hexBytes(word: string, place: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})+$/i.test(word))
    throw new InputError(place, `write: '${word}' is no hexadecimal bytes`);
  return Buffer.from(word, 'hex');
}

function driverFile(value: unknown, fields: Fields, place: string, what: string): Action {
  const driver = text(value, what, place);
  const device = text(fields.device, 'device', place);
  return { kind: 'write', file: sysPath(`/sys/bus/pci/drivers/${driver}/${what}`, place), text: device };
}

function attribute(fields: Fields, place: string, name: string, content: string): Action {
  const device = text(fields.device, 'device', place);
  return { kind: 'write', file: sysPath(`/sys/bus/pci/devices/${device}/${name}`, place), text: content };
}

/** From the root of sysfs. */
function sysPath(path: string, place: string): string {
  if (!path.startsWith('/sys/')) throw new InputError(place, `${path} is not below /sys`);
  return path.slice('/sys'.length);
}

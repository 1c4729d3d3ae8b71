import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCompiler } from '../../../test/guest/support/compile.ts';
import { MemoryProcess } from '../../../test/guest/support/memory-process.ts';
import { FrameRuns } from '../../iommu/frame-runs.ts';
import { PhysicalMemory } from '../../iommu/physical-memory.ts';
import { indexOfMapping, type Mapping, parseMaps } from './maps.ts';
import { Memories } from './memories.ts';
import { MEMORY_FILE_SYSTEMS } from './shared-memory.ts';

const PAGE = 4096;
const isRoot = process.getuid?.() === 0;

describe.skipIf(noCompiler !== undefined)('memory of a process', () => {
  let physical: PhysicalMemory;
  let memories: Memories;
  let running: MemoryProcess;
  let reports: string[];

  beforeEach(() => {
    physical = new PhysicalMemory();
    reports = [];
    memories = new Memories(physical, { report: (text) => reports.push(text) });
    running = new MemoryProcess();
  });

  afterEach(async () => {
    await running.end();
    memories.close();
    expect(physical.pinned).toBe(0);
    expect(physical.pages).toBe(0);
  });

  const of = (pid = running.pid) => {
    memories.startCall();
    return memories.of(pid);
  };
  const pin = (address: bigint, pages: number, writable = true, pid = running.pid): FrameRuns => {
    const runs = new FrameRuns();
    of(pid).pin(address, pages, writable, runs);
    return runs;
  };
  const unpin = (runs: FrameRuns): void => {
    for (let at = 0; at < runs.length; at++) physical.unpin(runs.first(at), runs.count(at));
  };
  const dmaRead = (runs: FrameRuns, count: number): string => {
    const bytes = new Uint8Array(count);
    physical.read(BigInt(runs.first(0) * PAGE), bytes);
    return Buffer.from(bytes).toString('hex');
  };
  const dmaWrite = (runs: FrameRuns, ...bytes: number[]): void => {
    physical.write(BigInt(runs.first(0) * PAGE), Uint8Array.from(bytes));
  };
  const read = (address: bigint, count = 4): string => {
    const bytes = new Uint8Array(count);
    of().read(address, bytes);
    return Buffer.from(bytes).toString('hex');
  };

  test('processes that have ended keep none of our descriptors, however many there were', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (let made = 0; made < 3; made++) {
      const children = Array.from({ length: 30 }, () => spawn('sleep', ['60'], { stdio: 'ignore' }));
      for (const { pid } of children) expect(of(pid!).isOpen).toBe(true);
      const ends = children.map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ends);
    }
    of();
    // Each has three, and some are kept until there are more.
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 3 * 64);
  });

  test('is copied both ways', async () => {
    const address = await running.map('private', PAGE);
    await running.set(address, 0x5a, 3);
    expect(read(address)).toBe('5a5a5a00');
    of().write(address + 1n, Uint8Array.of(1, 2));
    expect(await running.get(address, 4)).toBe('5a010200');
  });

  test('protections hold, though /proc/PID/mem would ignore them', async () => {
    const address = await running.map('private', 2 * PAGE);
    await running.ask(`protect ${address} ${PAGE} r`);
    expect(read(address)).toBe('00000000');
    expect(() => of().write(address, new Uint8Array(4))).toThrow(/not writable.*EFAULT/);
    expect(() => of().write(address + BigInt(PAGE) - 2n, new Uint8Array(4))).toThrow(/EFAULT/);
    expect(() => pin(address, 2)).toThrow(/not writable.*EFAULT/);
    unpin(pin(address, 2, false));
    await running.ask(`protect ${address} ${PAGE} -`);
    expect(() => read(address)).toThrow(/not accessible.*EFAULT/);
    expect(() => pin(address, 1, false)).toThrow(/not readable.*EFAULT/);
    await running.ask(`protect ${address} ${PAGE} rw`);
    of().write(address, new Uint8Array(4));
  });

  test('a shared mapping that became writable or inaccessible is found so', async () => {
    const address = await running.map('shared', PAGE);
    await running.ask(`protect ${address} ${PAGE} r`);
    expect(() => of().write(address, new Uint8Array(4))).toThrow(/EFAULT/);
    await running.ask(`protect ${address} ${PAGE} rw`);
    of().write(address, Uint8Array.of(7));
    await running.ask(`protect ${address} ${PAGE} r`);
    expect(() => of().write(address, new Uint8Array(4))).toThrow(/EFAULT/);
    expect(await running.get(address, 1)).toBe('07');
  });

  test('where nothing is mapped is EFAULT, and so is everything past the addresses of users', async () => {
    const address = await running.map('private', 2 * PAGE);
    await running.ask(`unmap ${address + BigInt(PAGE)} ${PAGE}`);
    const runs = new FrameRuns();
    expect(() => of().pin(address, 2, true, runs)).toThrow(/EFAULT/);
    expect(runs.pages).toBe(0);
    for (const wrong of [0n, 8n, 2n ** 47n - 2n, 2n ** 47n, 2n ** 63n, 2n ** 64n - 8n]) {
      expect(() => read(wrong)).toThrow(/EFAULT/);
      expect(() => of().write(wrong, new Uint8Array(8))).toThrow(/EFAULT/);
    }
    expect(() => pin(2n ** 64n - 4096n, 1)).toThrow(/EFAULT/);
    expect(() => pin(0xffff_ffff_ff60_0000n, 1, false)).toThrow(/EFAULT/);
  });

  test('devices see what the process writes and the process what devices write', async () => {
    for (const kind of ['private', 'shared']) {
      const address = await running.map(kind, PAGE);
      const runs = pin(address, 1);
      await running.set(address, 0x11, 2);
      expect(dmaRead(runs, 3)).toBe('111100');
      dmaWrite(runs, 0x22);
      expect(await running.get(address, 3)).toBe('221100');
      unpin(runs);
    }
  });

  test('frames follow each other as pages do, from a multiple of 2 MiB on, and are the same while pinned', async () => {
    const address = await running.map('shared', 8 << 20);
    const runs = pin(address, 2048);
    expect(runs.length).toBe(1);
    expect(runs.first(0) % 512).toBe(0);
    const again = pin(address + BigInt(PAGE), 1);
    expect(again.first(0)).toBe(runs.first(0) + 1);
    expect(physical.pins(runs.first(0) + 1)).toBe(2);
    unpin(again);
    unpin(runs);
  });

  test('two processes that share memory pin the same frames; their private memory is their own', async () => {
    const shared = await running.map('shared', PAGE);
    const own = await running.map('private', PAGE);
    const child = Number(await running.ask('fork'));
    const pins = [
      pin(shared, 1),
      pin(shared, 1, true, child),
      pin(own, 1),
      pin(own, 1, true, child),
    ] as const;
    expect(pins[1].first(0)).toBe(pins[0].first(0));
    expect(pins[3].first(0)).not.toBe(pins[2].first(0));
    dmaWrite(pins[3], 9);
    expect(await running.get(own, 1)).toBe('00');
    dmaWrite(pins[1], 9);
    expect(await running.get(shared, 1)).toBe('09');
    for (const runs of pins) unpin(runs);
    process.kill(child);
  });

  test('shared memory outlives its process while pinned', async () => {
    if (!isRoot) return;
    const address = await running.map('shared', PAGE);
    await running.set(address, 0x33, 2);
    const memory = of();
    const runs = pin(address, 1);
    await running.end();
    memories.startCall();
    expect(memory.gone).toBe(true);
    expect(dmaRead(runs, 3)).toBe('333300');
    dmaWrite(runs, 0x44);
    expect(dmaRead(runs, 3)).toBe('443300');
    expect(() => memory.pin(address, 1, true, new FrameRuns())).toThrow(/ended.*EFAULT/);
    expect(reports).toEqual([]);
    unpin(runs);
  });

  test('where its file cannot be opened, shared memory is reached through whoever has it mapped', async () => {
    const address = await running.map('shared', 2 * PAGE);
    const child = Number(await running.ask('fork outlive'));
    of();
    of(child);
    const { shared: key } = mappingAt(running.pid, address);
    const runs = new FrameRuns();
    memories.shared(key!).pin(1, 1, runs);
    dmaWrite(runs, 0x12);
    expect(await running.get(address + BigInt(PAGE), 2)).toBe('1200');
    await running.end();
    memories.startCall();
    expect(dmaRead(runs, 2)).toBe('1200');
    process.kill(child, 'SIGKILL');
    while (!of(child).gone) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(dmaRead(runs, 2)).toBe('0000');
    expect(reports).toHaveLength(1);
    unpin(runs);
  });

  test('private memory of a process that ended is lost; what devices write there is not, and it is told', async () => {
    const address = await running.map('private', 2 * PAGE);
    await running.set(address, 0x33, 2);
    const runs = pin(address, 2);
    await running.end();
    expect(dmaRead(runs, 2)).toBe('0000');
    dmaWrite(runs, 0x44);
    expect(dmaRead(runs, 2)).toBe('4400');
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatch(/bytes are lost/);
    memories.forgetGone();
    expect(dmaRead(runs, 2)).toBe('4400');
    unpin(runs);
  });

  test('a page unmapped while pinned is lost by itself', async () => {
    const address = await running.map('private', 3 * PAGE);
    await running.set(address, 0x33, 3 * PAGE);
    const runs = pin(address, 3);
    await running.ask(`unmap ${address + BigInt(PAGE)} ${PAGE}`);
    const bytes = new Uint8Array(3 * PAGE);
    physical.read(BigInt(runs.first(0) * PAGE), bytes);
    expect([bytes[0], bytes[PAGE], bytes[2 * PAGE]]).toEqual([0x33, 0, 0x33]);
    unpin(runs);
  });

  test('after exec the memory is another one', async () => {
    const shared = await running.map('shared', PAGE);
    await running.set(shared, 0x55, 1);
    const before = of();
    const runs = pin(shared, 1);
    await running.ask('exec');
    const address = await running.map('private', PAGE);
    await running.set(address, 0x66, 4);
    const after = of();
    expect(after).not.toBe(before);
    expect(before.gone).toBe(true);
    expect(read(address)).toBe('66666666');
    if (isRoot) expect(dmaRead(runs, 1)).toBe('55');
    unpin(runs);
  });

  test('huge pages, shared and private', async () => {
    for (const kind of ['huge-shared', 'huge-private']) {
      const address = await running.map(kind, 4 << 20).catch(() => undefined);
      if (address === undefined) return;
      const runs = pin(address, 1024);
      expect(runs.length).toBe(1);
      await running.set(address, 0x77, 2);
      expect(dmaRead(runs, 3)).toBe('777700');
      dmaWrite(runs, 0x78);
      expect(await running.get(address, 2)).toBe('7877');
      unpin(runs);
      await running.ask(`unmap ${address} ${4 << 20}`);
    }
  });

  test('a file on a disk: private copies can be pinned, shared pages only for reading', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringfence-memory-'));
    const file = join(folder, 'file');
    writeFileSync(file, Buffer.alloc(PAGE + 1, 0x21));
    const own = await running.map('file-private', 2 * PAGE, file);
    const shared = await running.map('file-shared', 4 * PAGE, file);
    const isDisk = !MEMORY_FILE_SYSTEMS.includes(statfsSync(file).type);
    rmSync(folder, { recursive: true });
    const runs = pin(own, 2);
    dmaWrite(runs, 0x22);
    expect(await running.get(own, 2)).toBe('2221');
    expect(await running.get(shared, 2)).toBe('2121');
    unpin(runs);
    if (!isRoot) return;
    const readOnly = pin(shared, 2, false);
    expect(dmaRead(readOnly, 2)).toBe('2121');
    unpin(readOnly);
    if (isDisk) expect(() => pin(shared, 1)).toThrow(/disk.*EFAULT/);
    expect(() => pin(shared, 4, false)).toThrow(/past the end.*EFAULT/);
  });

  test('files of the device that is served from here are not touched', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringfence-memory-'));
    const file = join(folder, 'file');
    writeFileSync(file, 'bytes');
    memories.untouchable = memories.keyOf(file).split(' ')[0];
    const address = await running.map('file-private', PAGE, file);
    rmSync(folder, { recursive: true });
    expect(() => read(address)).toThrow(/not accessible.*EFAULT/);
    expect(() => of().write(address, new Uint8Array(1))).toThrow(/EFAULT/);
    expect(() => pin(address, 1)).toThrow(/EFAULT/);
    const heap = await running.map('private', PAGE);
    expect(read(heap)).toBe('00000000');
  });

  test('a memfd and a mapping of it are the same frames; it stays while held', async () => {
    const fd = Number(await running.ask(`memfd ${2 * PAGE}`));
    const address = BigInt(await running.ask(`attach ${fd} ${2 * PAGE}`));
    const file = memories.fileOf(running.pid, fd)!;
    expect(file.name).toMatch(/memfd:test/);
    file.hold();
    const byFile = new FrameRuns();
    file.pin(1, 1, true, byFile);
    const byAddress = pin(address, 2);
    expect(byFile.first(0)).toBe(byAddress.first(0) + 1);
    unpin(byAddress);
    unpin(byFile);
    await running.ask(`close ${fd}`);
    file.pin(0, 2, true, byFile);
    unpin(byFile.pages === 3 ? tail(byFile) : byFile);
    expect(() => file.pin(1, 2, true, new FrameRuns())).toThrow(/EINVAL/);
    file.release();
    expect(memories.fileOf(running.pid, fd)).toBeUndefined();
    expect(memories.fileOf(running.pid, 0)).toBeUndefined();
  });

  test('an unknown process has none', () => {
    const memory = memories.of(0x7fff_fff0);
    expect(memory.gone).toBe(true);
    expect(() => memory.read(0x1000n, new Uint8Array(1))).toThrow(/ended.*EFAULT/);
  });
});

function mappingAt(pid: number, address: bigint): Mapping {
  const mappings = parseMaps(readFileSync(`/proc/${pid}/maps`), undefined);
  return mappings[indexOfMapping(mappings, Number(address))]!;
}

/** All but the first page. */
function tail(runs: FrameRuns): FrameRuns {
  const rest = new FrameRuns();
  for (const frame of [...runs.frames()].slice(1)) rest.push(frame, 1);
  return rest;
}

/** What a real kernel answered to a few thousand calls, one after the other, and what is answered here. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERRNO } from '../../kernel/errors.ts';
import { ioasAllowIovas } from './ioas-allow-iovas.ts';
import { ioasCopy } from './ioas-copy.ts';
import { ioasIovaRanges } from './ioas-iova-ranges.ts';
import { ioasMap } from './ioas-map.ts';
import { ioasUnmap } from './ioas-unmap.ts';
import { readRange, writeRange } from './iova-range-bytes.ts';
import { OptionId, OptionOp, option } from './option.ts';
import { codeOf, IoasBench, mockDomain } from './testing.ts';

const RECORDING = new URL('../../../test/fixtures/iommufd/ioas-6.12.117.txt', import.meta.url);
const SCRATCH = 0x6000_0000_0000n;

/** Three address spaces; the mock devices attached to each share one page table, as automatic ones do. */
class Replay {
  readonly #bench = new IoasBench();
  readonly #spaces = [this.#bench.ioas, this.#bench.alloc(), this.#bench.alloc()];
  readonly #devices = [0, 0, 0];

  constructor() {
    this.#bench.memory.mmap(16, { base: SCRATCH });
  }

  /** @returns the answer in the words of the recording */
  call(op: string, args: bigint[]): string {
    const output: bigint[] = [];
    const code = codeOf(() => this.#do(op, args, output));
    if (op === 'r') return [errnoOf(code), ...this.#ranges(output, Number(args[1]))].join(' ');
    return code === undefined ? ['0', ...output.map(hex)].join(' ') : errnoOf(code);
  }

  #do(op: string, args: bigint[], output: bigint[]): void {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = args;
    const { context, memory } = this.#bench;
    const space = Number(a);
    const id = (index: bigint) => this.#spaces[Number(index)]!.id;
    if (op === 'm') {
      const request = { flags: Number(a), ioasId: id(b), reserved: 0, userVa: c, length: d, iova: e };
      ioasMap(context, request);
      output.push(request.iova);
    } else if (op === 'c') {
      const request = {
        flags: Number(a),
        dstIoasId: id(b),
        srcIoasId: id(c),
        length: d,
        dstIova: e,
        srcIova: f,
      };
      ioasCopy(context, request);
      output.push(request.dstIova);
    } else if (op === 'u') {
      const request = { ioasId: id(a), iova: b, length: c };
      ioasUnmap(context, request);
      output.push(request.length);
    } else if (op === 'a') {
      const numIovas = (args.length - 1) / 2;
      for (let n = 0; n < numIovas; n++) {
        writeRange(memory, SCRATCH, n, { start: args[2 * n + 1]!, last: args[2 * n + 2]! });
      }
      ioasAllowIovas(context, { ioasId: id(a), numIovas, reserved: 0, allowedIovas: SCRATCH });
    } else if (op === 'r') {
      const request = {
        ioasId: id(a),
        numIovas: Number(b),
        reserved: 0,
        allowedIovas: SCRATCH,
        outIovaAlignment: 0n,
      };
      try {
        ioasIovaRanges(context, request);
      } finally {
        output.push(BigInt(request.numIovas), request.outIovaAlignment);
      }
    } else if (op === 'h') {
      option(context, {
        optionId: OptionId.HugePages,
        op: OptionOp.Set,
        reserved: 0,
        objectId: id(a),
        val64: b,
      });
    } else if (op === 'R') {
      this.#spaces[space]!.iovas.reserve(null, b, b + c - 1n);
    } else if (op === 'D') {
      const { iovas } = this.#spaces[space]!;
      if (iovas.domains.length === 0) iovas.addDomain(mockDomain());
      this.#devices[space]!++;
    } else {
      const { iovas } = this.#spaces[space]!;
      if (--this.#devices[space]! === 0) iovas.removeDomain(iovas.domains[0]!);
    }
  }

  #ranges([total = 0n, alignment = 0n]: bigint[], room: number): string[] {
    const words = [hex(total), hex(alignment)];
    for (let n = 0; n < Math.min(Number(total), room); n++) {
      const { start, last } = readRange(this.#bench.memory, SCRATCH, n);
      words.push(`${hex(start)}-${hex(last)}`);
    }
    return words;
  }
}

function hex(value: bigint): string {
  return value.toString(16);
}

function errnoOf(code: string | undefined): string {
  return String(code === undefined ? 0 : ERRNO[code as keyof typeof ERRNO]);
}

it('address spaces answer as Linux 6.12.117 did, call by call', () => {
  const lines = readFileSync(RECORDING, 'utf8').split('\n');
  const replay = new Replay();
  let asked = 0;
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [call = '', answer] = line.split(' = ');
    const [op = '', ...args] = call.split(' ');
    const ours = replay.call(
      op,
      args.filter((word) => word !== '').map((word) => BigInt(`0x${word}`)),
    );
    expect(ours, `line ${index + 1}: ${call}`).toBe(answer);
    asked++;
  }
  expect(asked).toBeGreaterThan(2500);
});

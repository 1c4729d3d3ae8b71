/** iommufd.md 7: attachments at PASIDs, as of 6.15. */

import { expect, test } from 'vitest';
import { answerOf } from '../iommu/testing.ts';
import { DeviceBench } from './device-testing.ts';

const PASID = { flags: 8 };

function stage() {
  const bench = new DeviceBench(['Ga', 'Gb', 'ha'], {
    maxPasids: (device) => (device.name === 'ha' ? 0 : 16),
  });
  const ga = bench.bind('Ga');
  const [ioas, other] = [bench.ioas(), bench.ioas()];
  const arenas = [bench.map(ioas, 0x1000n), bench.map(other, 0x1000n)];
  return { bench, ga, ioas, other, arenas };
}

test('DMA marked with a PASID goes through its own table; without one it is blocked', () => {
  const { bench, ga, ioas, arenas } = stage();
  const hwpt = bench.hwpt(ga, ioas, PASID);
  expect(ga.pasidAttach(3, hwpt.id)).toBe(hwpt.id);
  ga.dmaWithPasid(3).write(0x1000n, Uint8Array.of(7));
  expect([...arenas[0]!.bytes(arenas[0]!.base, 1)]).toEqual([7]);
  expect(() => ga.dma.read(0x1000n, 1)).toThrow(/blocked/);
  expect(() => ga.dmaWithPasid(4).read(0x1000n, 1)).toThrow(/blocked/);
  ga.pasidDetach(3);
  expect(() => ga.dmaWithPasid(3).read(0x1000n, 1)).toThrow(/blocked/);
});

test('replace goes straight to the other table, and is refused where nothing is attached', () => {
  const { bench, ga, ioas, other, arenas } = stage();
  const [one, two] = [bench.hwpt(ga, ioas, PASID), bench.hwpt(ga, other, PASID)];
  expect(answerOf(() => ga.pasidReplace(3, two.id))).toBe('EINVAL');
  ga.pasidAttach(3, one.id);
  ga.pasidReplace(3, two.id);
  expect([one.users, two.users]).toEqual([1, 2]);
  ga.dmaWithPasid(3).write(0x1000n, Uint8Array.of(8));
  expect([...arenas[1]!.bytes(arenas[1]!.base, 1)]).toEqual([8]);
});

test('a table not made for PASIDs can neither be attached there nor beside, nor can automatic ones', () => {
  const { bench, ga, ioas } = stage();
  const [plain, fit] = [bench.hwpt(ga, ioas), bench.hwpt(ga, ioas, PASID)];
  expect(answerOf(() => ga.pasidAttach(3, plain.id))).toBe('EINVAL');
  expect(answerOf(() => ga.pasidAttach(3, ioas.id))).toBe('EINVAL');
  ga.attach(plain.id);
  expect(answerOf(() => ga.pasidAttach(3, fit.id))).toBe('EINVAL');
  ga.replace(fit.id);
  ga.pasidAttach(3, fit.id);
  expect(answerOf(() => ga.replace(plain.id))).toBe('EINVAL');
  ga.pasidDetach(3);
  expect(ga.replace(plain.id)).toBe(plain.id);
});

test('PASIDs beyond the device’s are EINVAL; twice the same is EBUSY; a device without any is told so', () => {
  const { bench, ga, ioas } = stage();
  const hwpt = bench.hwpt(ga, ioas, PASID);
  expect(answerOf(() => ga.pasidAttach(16, hwpt.id))).toBe('EINVAL');
  ga.pasidAttach(3, hwpt.id);
  expect(answerOf(() => ga.pasidAttach(3, hwpt.id))).toBe('EBUSY');
  expect(answerOf(() => bench.hwpt(bench.bind('ha'), ioas, PASID))).toBe('EOPNOTSUPP');
});

test('a device attached at a PASID cannot be unbound', () => {
  const { bench, ga, ioas } = stage();
  ga.pasidAttach(3, bench.hwpt(ga, ioas, PASID).id);
  expect(answerOf(() => ga.unbind())).toBe('EBUSY');
  ga.pasidDetach(3);
  ga.unbind();
  bench.end();
});

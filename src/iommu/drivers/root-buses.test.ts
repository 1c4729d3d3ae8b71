import { expect, test } from 'vitest';
import { rootBusOrder } from './root-buses.ts';

/** Recorded under QEMU: an AMD IOMMU and root buses made in the order 20, a0; the kernel scanned 00, a0, 20. */
const IVRS =
  '495652538c00000001da424f43485320425850432020202001000000425850430100000000280000000000000000000010d15c00080040000000d8fe00000000000000004400' +
  '00000200000002080000028000000288000002e8000002ef000002f8000002fa000002fb00000200a0000300a10004ffa100020020000300210004ff21004800000000a00001';

test('IVRS names root buses in the order the kernel scans them', () => {
  const roots = rootBusOrder({ IVRS }).filter((bus) => ['0000:00', '0000:20', '0000:a0'].includes(bus));
  expect(roots).toEqual(['0000:00', '0000:a0', '0000:20']);
});

test('tables that cannot be read tell nothing', () => {
  expect(rootBusOrder({ IVRS: '00', DMAR: 'zz' })).toEqual([]);
});

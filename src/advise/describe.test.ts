import { describe, expect, test } from 'vitest';
import { deviceTitle, sortNames } from './describe.ts';
import type { DeviceLine } from './report.ts';

const line = (names: Partial<DeviceLine>): DeviceLine => ({ address: '0000:00:00.0', bus: 'pci', ...names });

describe('titles use the names people use', () => {
  test.each([
    ['Advanced Micro Devices, Inc. [AMD]', 'AMD'],
    ['Advanced Micro Devices, Inc. [AMD/ATI]', 'AMD'],
    ['Intel Corporation', 'Intel'],
    ['Samsung Electronics Co Ltd', 'Samsung Electronics'],
    ['Realtek Semiconductor Co., Ltd.', 'Realtek Semiconductor'],
    ['ASPEED Technology, Inc.', 'ASPEED'],
    ['Red Hat, Inc.', 'Red Hat'],
    ['Mellanox Technologies', 'Mellanox'],
    ['Incorporated', 'Incorporated'],
  ])('%s: %s', (vendorName, short) => {
    expect(deviceTitle(line({ vendorName }))).toBe(short);
  });

  test('class, maker and device, as far as known', () => {
    expect(deviceTitle(line({ className: 'Bridge', vendorName: 'Intel Corporation', deviceName: 'X' }))).toBe(
      'Bridge: Intel X',
    );
    expect(deviceTitle(line({ className: 'Bridge' }))).toBe('Bridge');
    expect(deviceTitle(line({}))).toBe('');
  });
});

test('addresses sort by number, other names after them', () => {
  expect(sortNames(['INTC1055:00', '10000:00:00.0', '0000:10:00.0', '0000:02:00.0'])).toEqual([
    '0000:02:00.0',
    '0000:10:00.0',
    '10000:00:00.0',
    'INTC1055:00',
  ]);
});

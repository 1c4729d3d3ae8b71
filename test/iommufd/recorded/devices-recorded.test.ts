/**
 * What a real kernel answered to thousands of random calls on devices, page tables, dirty bits, nested tables,
 * accesses, fault queues and VFIO's container, one after the other, and what is answered here.
 */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Replay } from './replay.ts';

const RECORDING = new URL('../../fixtures/iommufd/devices-6.12.117.txt', import.meta.url);

it('devices and all that is made for them answer as Linux 6.12.117 did, call by call', () => {
  const lines = readFileSync(RECORDING, 'utf8').split('\n');
  const replay = new Replay();
  const succeeded = new Set<string>();
  let asked = 0;
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [call = '', answer = ''] = line.split(' = ');
    expect(replay.call(call), `line ${index + 1}: ${call}`).toBe(answer);
    if (answer === '0' || answer.startsWith('0 ')) succeeded.add(call[0]!);
    asked++;
  }
  replay.end();
  expect(asked).toBeGreaterThan(6000);
  // Every kind of call was answered with success at least once.
  expect([...succeeded].sort().join('')).toBe('ABCDEFGHIKLMNPRSTVWYZabcdgijklmopqruvwxy');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { parseScript } from './script.ts';

const MACHINE = new URL('../../test/fixtures/machines/vfio.tar.gz', import.meta.url).pathname;

async function actions(source: string) {
  return (await parseScript(source, 's')).map(({ moment, action }) => ({ moment, ...action }));
}

async function refusal(line: string): Promise<string> {
  try {
    await parseScript(line, 's');
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  return 'taken';
}

describe('a script', () => {
  test('has a line for each thing that happens, at once or at a moment', async () => {
    const source = `
      # what cards do
      {"unplug": "0000:01:00.0"}
      {"at": 0.5, "fail": 3}
      {"after": "IOMMU_IOAS_MAP", "count": 2, "failEvery": "pin", "errno": "EFAULT"}
      {"after": "open", "failNone": true}
      {"signal": "SIGUSR1"}
      {"end": true}`;
    expect(await actions(source)).toEqual([
      { moment: undefined, kind: 'unplug', device: '0000:01:00.0' },
      { moment: { at: 0.5 }, kind: 'fail', step: 3, errno: 'ENOMEM' },
      { moment: { after: 'IOMMU_IOAS_MAP', count: 2 }, kind: 'fail-every', step: 'pin', errno: 'EFAULT' },
      { moment: { after: 'open', count: 1 }, kind: 'fail-none' },
      { moment: undefined, kind: 'signal', signal: 'SIGUSR1' },
      { moment: undefined, kind: 'signal', signal: 'SIGTERM' },
    ]);
  });

  test('binding, virtual functions and any attribute are writes to /sys', async () => {
    const source = `
      {"bind": "vfio-pci", "device": "0000:01:00.0"}
      {"unbind": "e1000e", "device": "0000:01:00.0"}
      {"sriov": 4, "device": "0000:01:00.0"}
      {"write": "/sys/bus/pci/rescan", "text": "1"}`;
    expect(
      (await actions(source)).map((action) => ('file' in action ? [action.file, action.text] : [])),
    ).toEqual([
      ['/bus/pci/drivers/vfio-pci/bind', '0000:01:00.0'],
      ['/bus/pci/drivers/e1000e/unbind', '0000:01:00.0'],
      ['/bus/pci/devices/0000:01:00.0/sriov_numvfs', '4'],
      ['/bus/pci/rescan', '1'],
    ]);
  });

  test('DMA of a device, written or read', async () => {
    const dma = { device: 'd', addr: '0x1000' };
    expect(await actions(JSON.stringify({ dma: { ...dma, write: 'c0FFee' } }))).toEqual([
      {
        kind: 'dma',
        transfer: { device: 'd', addr: 0x1000n, pasid: undefined, what: Buffer.from('c0ffee', 'hex') },
      },
    ]);
    expect(await actions(JSON.stringify({ dma: { ...dma, pasid: 2, read: 16 } }))).toEqual([
      { kind: 'dma', transfer: { device: 'd', addr: 0x1000n, pasid: 2, what: 16 } },
    ]);
  });

  test('a page fault, with what is said of it', async () => {
    const fault = { device: 'd', addr: '0xffffffffffffffff', perm: 'rw', pasid: 3, grpid: 9, more: true };
    expect(await actions(JSON.stringify({ fault }))).toEqual([
      {
        moment: undefined,
        kind: 'fault',
        fault: {
          device: 'd',
          addr: 2n ** 64n - 1n,
          pasid: 3,
          grpid: 9,
          read: true,
          write: true,
          exec: false,
          privileged: false,
          more: true,
        },
      },
    ]);
  });

  test('functions to plug stand in the line, or in another machine', async () => {
    const [line] = await actions('{"plug": {"address": "0000:05:00.0", "vendor": 32902}}');
    expect(line).toMatchObject({ functions: [{ address: '0000:05:00.0', vendor: 0x8086 }] });
    const [other] = await actions(`{"plug": ["0000:01:00.1"], "from": ${JSON.stringify(MACHINE)}}`);
    expect(other).toMatchObject({ functions: [{ address: '0000:01:00.1' }] });
  });

  test.each([
    ['nonsense', /^s:1: no JSON/],
    ['[]', /^s:1: expects an object in braces/],
    ['{"at": 1}', /^s:1: nothing to do; there are plug, unplug/],
    ['{"unplug": "a", "end": true}', /^s:1: unplug and end are two actions/],
    ['{"unplug": "a", "device": "b"}', /^s:1: unplug takes no 'device'/],
    ['{"at": -1, "end": true}', /^s:1: at: expects seconds/],
    ['{"at": 1, "after": "x", "end": true}', /^s:1: either at or after/],
    ['{"count": 1, "end": true}', /^s:1: count goes with after/],
    ['{"after": "x", "count": 0, "end": true}', /^s:1: count: expects a whole number from 1 on/],
    ['{"fail": 0}', /^s:1: fail: expects/],
    ['{"fail": 1, "errno": "EGAL"}', /^s:1: errno: "EGAL" is not known/],
    ['{"signal": "TERM"}', /^s:1: 'TERM' is no signal/],
    ['{"write": "/etc/passwd", "text": "x"}', /^s:1: \/etc\/passwd is not below \/sys/],
    ['{"dma": {"device": "d", "addr": "1"}}', /^s:1: dma wants read or write/],
    ['{"dma": {"device": "d", "addr": "1", "read": 1, "write": "00"}}', /^s:1: dma wants read or write/],
    ['{"dma": {"device": "d", "addr": "1", "write": "0"}}', /^s:1: write: /],
    ['{"dma": {"device": "d", "addr": "1", "read": 99999999}}', /^s:1: read: at most/],
    ['{"dma": {"device": "d", "addr": "1", "read": 1, "x": 1}}', /^s:1: dma takes no 'x'/],
    ['{"fault": {"device": "d", "addr": "1 "}}', /^s:1: addr: /],
    ['{"fault": {"device": "d", "addr": "1", "perm": "z"}}', /^s:1: perm: /],
    ['{"fault": {"device": "d", "addr": "1", "x": 1}}', /^s:1: fault takes no 'x'/],
    ['{"plug": {"address": "nowhere"}}', /^s:1: devices\[0\]\.address/],
    ['{"plug": "0000:77:00.0", "from": "/nonexistent"}', /^\/nonexistent/],
    [`{"plug": "0000:77:00.0", "from": ${JSON.stringify(MACHINE)}}`, /^s:1: there is no 0000:77:00.0/],
    ['{"toString": 1}', /^s:1: nothing to do/],
  ])('%s is refused by its place', async (line, message) => {
    expect(await refusal(line)).toMatch(message);
  });

  test('any JSON is a script or is refused as input', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.json({ maxDepth: 3 }), { maxLength: 4 }), async (lines) => {
        await refusal(lines.join('\n'));
      }),
    );
  });
});

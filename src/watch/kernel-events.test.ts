import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KernelEvent, listen, parseKernelEvent } from './kernel-events.ts';

describe('lines of udevadm monitor', () => {
  test('action, path and subsystem', () => {
    expect(
      parseKernelEvent('KERNEL[4423.771018] unbind   /devices/pci0000:00/0000:00:02.0/0000:01:00.0 (pci)'),
    ).toEqual({
      action: 'unbind',
      path: '/devices/pci0000:00/0000:00:02.0/0000:01:00.0',
      subsystem: 'pci',
    });
  });

  test.each([
    'monitor will print the received events for:',
    'KERNEL - the kernel uevent',
    '',
    'UDEV  [4423.77] bind /devices/x (pci)',
    'KERNEL[4423.771018] unbind',
  ])('%j is none', (line) => {
    expect(parseKernelEvent(line)).toBeUndefined();
  });

  test('whatever else comes is none, and takes no time', () => {
    fc.assert(
      fc.property(fc.string(), (tail) => {
        const event = parseKernelEvent(`KERNEL[1.5] ${tail}`);
        if (event !== undefined) expect(event.path).toMatch(/^\//);
      }),
    );
    expect(parseKernelEvent(`KERNEL[1.5] add /${' '.repeat(1e6)}(`)).toBeUndefined();
  });
});

/** Runs a stand-in for udevadm until it ends. */
function heard(script: string): Promise<{ events: KernelEvent[]; why: string }> {
  const events: KernelEvent[] = [];
  return new Promise((resolve) => {
    listen(
      (event) => events.push(event),
      (why) => resolve({ events, why }),
      ['sh', '-c', script],
    );
  });
}

describe('listening', () => {
  test('each event is heard, and the end of the monitor is told', async () => {
    const { events, why } = await heard(
      'echo heading; echo "KERNEL[1.0] add /devices/a (pci)"; echo "KERNEL[1.1] bind /devices/a (pci)"; exit 1',
    );
    expect(events.map(({ action }) => action)).toEqual(['add', 'bind']);
    expect(why).toBe('died');
  });

  test('where there is no udevadm, that is told', async () => {
    const why = await new Promise((resolve) => listen(() => {}, resolve, ['/no/such/udevadm']));
    expect(why).toBe('missing');
  });

  test('once stopped nothing is heard or told, and nothing is left running', async () => {
    let told = 0;
    const pid = await new Promise<number>((resolve) => {
      const announcements = listen(
        ({ path }) => {
          told++;
          announcements.stop();
          resolve(Number(path.slice(1)));
        },
        () => told++,
        ['sh', '-c', 'echo "KERNEL[1.0] add /$$ (pci)"; exec sleep 600'],
      );
    });
    while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(told).toBe(1);
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

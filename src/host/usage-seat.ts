/** What the person before the machine uses: monitors, keyboards, pointing devices. */

import { type HostTree, under } from './host-tree.ts';
import { linkedDir, pciAbove, type UsageList } from './usage-list.ts';

const KEY_A = 30n;
const KEY_Z = 44n;
const KEY_ENTER = 28n;
const BTN_LEFT = 0x110n;
const BTN_TOUCH = 0x14an;

/** Connectors with something plugged in. @returns whether the tree tells of connectors at all */
export function readDisplayUse(tree: HostTree, list: UsageList): boolean {
  const top = under(tree.sys, 'class/drm');
  const names = tree.files.list(top);
  // Live, no such directory means no display driver.
  if (names === undefined) return tree.live;
  for (const name of names.sort()) {
    const connector = /^card\d+-(.+)$/.exec(name)?.[1];
    if (connector === undefined) continue;
    if (tree.files.readText(`${top}/${name}/status`)?.trim() !== 'connected') continue;
    const dir = linkedDir(tree, `${top}/${name}`);
    const device = dir && pciAbove(tree, dir);
    if (device !== undefined) list.add(device, 'display', connector);
  }
  return true;
}

/** Keyboards and pointing devices below a PCI function. @returns whether the tree tells of input devices at all */
export function readInputUse(tree: HostTree, list: UsageList): boolean {
  const top = under(tree.sys, 'class/input');
  const names = tree.files.list(top);
  if (names === undefined) return tree.live;
  for (const name of names.filter((one) => /^input\d+$/.test(one)).sort()) {
    const dir = linkedDir(tree, `${top}/${name}`);
    const device = dir && pciAbove(tree, dir);
    // Sound cards announce their sockets as input devices.
    if (device === undefined || dir!.includes('/sound/')) continue;
    const what = inputKind(tree, dir!);
    const port = dir!
      .split('/')
      .reverse()
      .find((part) => /^\d+-[\d.]+$/.test(part));
    if (what !== undefined) list.add(device, 'input', what, port === undefined ? undefined : `usb ${port}`);
  }
  return true;
}

/** By what it can send, since names are free text and may be a person's. */
function inputKind(tree: HostTree, dir: string): string | undefined {
  const bits = (name: string): bigint => bitmap(tree.files.readText(`${dir}/capabilities/${name}`) ?? '');
  const has = (map: bigint, ...wanted: bigint[]): boolean =>
    wanted.every((bit) => ((map >> bit) & 1n) === 1n);
  const keys = bits('key');
  if (has(keys, KEY_A, KEY_Z, KEY_ENTER)) return 'keyboard';
  if (has(bits('rel'), 0n, 1n)) return 'mouse';
  const pointer = has(keys, BTN_LEFT) || has(keys, BTN_TOUCH);
  return pointer && has(bits('abs'), 0n, 1n) ? 'touchpad or tablet' : undefined;
}

/** Words of 64 bits in hex, the highest first (`input_print_bitmap`). */
function bitmap(text: string): bigint {
  const words = text.trim().split(/\s+/).slice(-16);
  let map = 0n;
  for (const word of words) {
    if (!/^[0-9a-f]{1,16}$/.test(word)) return 0n;
    map = (map << 64n) | BigInt(`0x${word}`);
  }
  return map;
}

/** What a device is, in one line without its address: by name, by ids where no name is known, else nothing. */

import type { Describer } from '../describe.ts';
import { oneLine } from './escape.ts';

export function deviceTitle(describer: Describer, name: string): string {
  const { vendor, device, bus } = describer.line(name);
  const title = oneLine(describer.title(name).slice(name.length + 1));
  if (title !== '') return title;
  if (bus !== 'pci') return bus === 'unknown' ? '' : `device of bus ${oneLine(bus)}`;
  return vendor === undefined || device === undefined ? 'PCI device' : `PCI device ${vendor}:${device}`;
}

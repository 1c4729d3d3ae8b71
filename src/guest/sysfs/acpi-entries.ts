/** The firmware tables of the machine, /firmware/acpi/tables: those that decide translation. */

import { KernelError } from '../../kernel/errors.ts';
import type { ViewContext } from './context.ts';
import type { ViewEntry } from './entry.ts';

export function firmwareTables(path: string, { machine }: ViewContext): Map<string, () => ViewEntry> {
  const tables = new Map<string, () => ViewEntry>();
  for (const [name, text] of Object.entries(machine.snapshot.acpi)) {
    tables.set(name, () => ({
      kind: 'file',
      mode: 0o400,
      size: text.length / 2,
      open: () => {
        const bytes = Buffer.from(text, 'hex');
        return {
          read: (offset, length) => bytes.subarray(offset, offset + length),
          write: () => {
            throw new KernelError('EIO', `${path}/${name}`, 'cannot be written');
          },
        };
      },
    }));
  }
  return tables;
}

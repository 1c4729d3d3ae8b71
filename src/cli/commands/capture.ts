/** `ringfence capture` */

import { writeFileSync } from 'node:fs';
import { writeSnapshot } from '../../host/writer.ts';
import { InputError } from '../../kernel/errors.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  const snapshot = await context.snapshot();
  const file = operands[0];
  const gzip = file?.endsWith('.gz') ?? false;
  const bytes = writeSnapshot(snapshot, { keepSerials: flags.on('keep-serials'), gzip });
  if (file === undefined || file === '-') {
    context.out.write(bytes.toString('utf8'));
    return EXIT.yes;
  }
  try {
    writeFileSync(file, bytes, { flag: flags.on('force') ? 'w' : 'wx', mode: 0o644 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(
      file,
      code === 'EEXIST' ? 'is there already; --force overwrites it' : `cannot be written (${code})`,
    );
  }
  return EXIT.yes;
}

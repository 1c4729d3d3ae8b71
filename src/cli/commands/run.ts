/** `ringfence run` */

import { InputError } from '../../kernel/errors.ts';
import type { Call } from '../args.ts';
import { EXIT } from '../context.ts';

export async function run({ operands, flags, context }: Call): Promise<number> {
  if (context.host === '-') {
    throw new InputError('--host', 'standard input belongs to the program; name a file or a folder');
  }
  const { runProgram } = await import('../../guest/run.ts');
  const trace = flags.value('trace');
  const result = await runProgram(
    {
      program: operands,
      host: context.host,
      policy: flags.value('policy'),
      selftest: flags.on('selftest'),
      checkLeaks: flags.on('check-leaks'),
      script: flags.value('script'),
      trace: trace === undefined ? undefined : { file: trace === '-' ? undefined : trace },
    },
    context.env,
    (line) => context.note(line),
  );
  if ('code' in result) return result.code;
  for (const { what, remedy } of result.lacks) context.note(`${what}; ${remedy}`);
  return EXIT.cannotTell;
}

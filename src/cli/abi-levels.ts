/** `--level`, which may be repeated. */

import { type AbiEntry, LEVELS } from '../abi/entry.ts';
import { InputError } from '../kernel/errors.ts';
import type { Flags } from './args.ts';

/** Whether an entry is of a level asked for; all are where none is. @throws InputError no such level */
export function atLevels(flags: Flags): (entry: AbiEntry) => boolean {
  const levels = flags.values('level');
  const unknown = levels.find((level) => !LEVELS.some((known) => known === level));
  if (unknown !== undefined) throw new InputError('--level', `knows ${LEVELS.join(', ')}, not '${unknown}'`);
  return ({ level }) => levels.length === 0 || levels.includes(level);
}

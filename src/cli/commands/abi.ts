/** `ringfence abi` without a subcommand. Each of those is a module of its own (`abi-list.ts` …), as any command. */

import { InputError } from '../../kernel/errors.ts';
import { ABI } from '../abi-commands.ts';

export function run(): never {
  const names = (ABI.subcommands ?? []).map(({ name }) => name.split(' ').at(-1));
  throw new InputError('abi', `expects one of ${names.join(', ')}`);
}

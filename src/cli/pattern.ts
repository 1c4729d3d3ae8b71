/** Regular expressions on the command line. */

import { InputError } from '../kernel/errors.ts';

/** @throws InputError naming the option or operand */
export function readPattern(text: string, place: string, flags = ''): RegExp {
  try {
    return new RegExp(text, flags);
  } catch (error) {
    throw new InputError(place, (error as Error).message);
  }
}

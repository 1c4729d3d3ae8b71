/** Fields of a script's lines, each refused by its place if it is not what it should be. */

import { ERRNO, type ErrnoName, InputError } from '../kernel/errors.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function address(value: unknown, place: string): bigint {
  const word = typeof value === 'number' ? String(value) : text(value, 'addr', place);
  if (!/^(?:0x[0-9a-f]{1,16}|\d{1,19})$/i.test(word))
    throw new InputError(place, `addr: '${word}' is no address`);
  return BigInt(word);
}

export function errno({ errno: name }: Fields, place: string): ErrnoName {
  if (name === undefined) return 'ENOMEM';
  if (typeof name !== 'string' || !Object.hasOwn(ERRNO, name)) {
    throw new InputError(place, `errno: ${JSON.stringify(name)} is not known`);
  }
  return name as ErrnoName;
}

export function integer(value: unknown, name: string, place: string, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw new InputError(place, `${name}: expects a whole number from ${least} on`);
}

export function text(value: unknown, name: string, place: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InputError(place, `${name}: expects text in quotes`);
}

export function record(value: unknown, place: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new InputError(place, 'expects an object in braces');
}

export function parseJson(line: string, place: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new InputError(place, `no JSON (${(error as Error).message})`);
  }
}

/** The command table's shape, and turning words into a call. The man page, `--help` and completion read the same table. */

import { parseArgs } from 'node:util';
import { InputError } from '../kernel/errors.ts';

export interface Option {
  name: string;
  short?: string;
  /** Placeholder of its value; absent: a switch. */
  value?: string;
  /** The value may be left out, and only follows `=`; then it is this. */
  otherwise?: string;
  /** May be given more than once. */
  many?: true;
  help: string;
}

/** One command: what stands in help and man page, and the module that does it. */
export interface Command {
  name: string;
  /** Words after the name: `DEVICE [DEVICE]`. */
  operands: string;
  /** How many operands it takes. */
  min: number;
  max: number;
  summary: string;
  description: string;
  options: Option[];
  /** Command line and what it shows. */
  examples: [string, string][];
  /** Exit codes in its own words, where they say more than the general ones. */
  exits?: [number, string][];
  /** What stands behind the first operand is another program's business, dashes or not. */
  ownOptionsFirst?: true;
  /** Common options that mean nothing to it. */
  without?: readonly ('host' | 'json')[];
  /** Its first word is one of these, named `abi list`; it then does nothing itself. */
  subcommands?: readonly Command[];
  load(): Promise<{ run: Run }>;
}

export type Run = (call: Call) => Promise<number> | number;

/** What a command is given. */
export interface Call {
  operands: string[];
  flags: Flags;
  context: import('./context.ts').Context;
}

type FlagValue = string | boolean | (string | boolean)[] | undefined;

export class Flags {
  readonly #values: Record<string, FlagValue>;

  constructor(values: Record<string, FlagValue>) {
    this.#values = values;
  }

  on(name: string): boolean {
    return this.#values[name] === true;
  }

  value(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** Every value of an option that may be repeated. */
  values(name: string): string[] {
    const values = this.#values[name];
    return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
  }
}

/** Options that stand on every command. */
export const COMMON: Option[] = [
  {
    name: 'host',
    value: 'SOURCE',
    help: 'a snapshot, a sysfs folder or archive, lspci text, or - (standard input); a pipe is waited for; default: this machine',
  },
  { name: 'json', help: 'the report as JSON' },
  { name: 'no-color', help: 'no colours (NO_COLOR does the same)' },
  { name: 'help', short: 'h', help: 'this text' },
];

/** Its own options, then the common ones it takes. */
export function optionsOf({ options, without = [] }: Command): Option[] {
  return [...options, ...COMMON.filter(({ name }) => !without.some((other) => other === name))];
}

/**
 * Parses the words after the command's name.
 * @throws InputError naming the flag or operand that is wrong
 */
export function parseCall(command: Command, words: string[]): { operands: string[]; flags: Flags } {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> = {};
  for (const option of optionsOf(command)) {
    options[option.name] = {
      type: option.value === undefined ? 'boolean' : 'string',
      ...(option.short !== undefined && { short: option.short }),
      ...(option.many && { multiple: true }),
    };
  }
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: settled(command, words), options, allowPositionals: true, strict: true });
  } catch (error) {
    throw wrongOption(command, (error as Error).message);
  }
  const operands = parsed.positionals;
  if (parsed.values.help !== true) {
    if (operands.length < command.min) throw new InputError(command.name, `expects ${command.operands}`);
    if (operands.length > command.max) {
      throw new InputError(
        command.name,
        command.max === 0
          ? `takes no operand, got '${operands[0]}'`
          : `takes ${command.operands}, got ${operands.length} operands`,
      );
    }
  }
  return { operands, flags: new Flags(parsed.values) };
}

/** Words as parseArgs takes them: with values where they may be left out, and a mark where another's words begin. */
function settled(command: Command, words: string[]): string[] {
  const options = optionsOf(command);
  const find = (word: string) =>
    options.find(({ name, short }) => word === `--${name}` || word === `-${short}`);
  const result: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--') return [...result, ...words.slice(at)];
    const option = find(word);
    if (option?.otherwise !== undefined) result.push(`--${option.name}=${option.otherwise}`);
    else if (option?.value !== undefined) result.push(word, ...words.slice(++at, at + 1));
    else if (command.ownOptionsFirst && !/^-./.test(word)) return [...result, '--', ...words.slice(at)];
    else result.push(word);
  }
  return result;
}

/** Node's message in our words, without its advice on operands that begin with a dash. */
function wrongOption(command: Command, message: string): InputError {
  const name = /--[\w-]+/.exec(message)?.[0] ?? /-\w/.exec(message)?.[0] ?? 'an option';
  if (/argument (?:missing|is ambiguous)/.test(message))
    return new InputError(command.name, `${name} needs a value`);
  if (/does not take an argument/.test(message))
    return new InputError(command.name, `${name} takes no value`);
  const first = message.split(/\.\s/)[0]!.replace(/\s+/g, ' ');
  return new InputError(command.name, `${first[0]!.toLowerCase()}${first.slice(1)}`);
}

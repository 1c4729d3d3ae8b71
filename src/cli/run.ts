/** One call of the command: words in, text and an exit code out. Nothing here touches the process. */

import { InputError, KernelError } from '../kernel/errors.ts';
import { parseCall } from './args.ts';
import { COMMANDS, findCommand, findSubcommand } from './commands.ts';
import { Context, EXIT } from './context.ts';
import { commandHelp, generalHelp } from './help.ts';
import { makeOutput, messageLine, type Output } from './output.ts';
import { Terminal } from './terminal.ts';
import { packageVersion } from './version.ts';

/** The outside world of one call. */
export interface World {
  env: Record<string, string | undefined>;
  stdout: { isTTY?: boolean; columns?: number; write(text: string): unknown };
  stderr: { isTTY?: boolean; write(text: string): unknown };
  /** Where answers come from; absent: nobody is there to answer. */
  stdin?: NodeJS.ReadableStream & { isTTY?: boolean };
}

/**
 * Runs one command. The only place where errors become text: one line, naming the place, never a stack trace.
 * @returns the exit code: 0 yes, 1 no, 2 usage, 3 cannot tell, 4 failed
 */
export async function run(words: string[], world: World): Promise<number> {
  const out = makeOutput({
    noColor: words.includes('--no-color'),
    env: world.env,
    stream: world.stdout,
    write: (text) => world.stdout.write(text),
  });
  try {
    return await dispatch(words, out, world);
  } catch (error) {
    world.stderr.write(errorText(error, world.env));
    return error instanceof InputError ? EXIT.usage : EXIT.failed;
  }
}

/** One line. What nobody foresaw says so, and shows where it happened only to who asks for it. */
export function errorText(error: unknown, env: World['env']): string {
  if (error instanceof InputError || error instanceof KernelError) return messageLine(error.message);
  const { message = String(error), stack } = error instanceof Error ? error : {};
  const trace = env.RINGFENCE_DEBUG === '1' && stack !== undefined ? `${stack}\n` : '';
  return messageLine(`internal error: ${message}; please report`) + trace;
}

async function dispatch(words: string[], out: Output, world: World): Promise<number> {
  const first = words[0];
  if (first === '--version' || first === '-V') {
    out.write(`ringfence ${packageVersion()}\n`);
    return EXIT.yes;
  }
  if (first === '--help' || first === '-h' || first === 'help') return help(words.slice(1), out);

  const named = first !== undefined && !first.startsWith('-');
  const above = findCommand(named ? first : 'list');
  const command = findSubcommand(above, words[1]);
  const { operands, flags } = parseCall(command, words.slice(command === above ? Number(named) : 2));
  if (flags.on('help')) {
    out.write(commandHelp(command, out));
    return EXIT.yes;
  }
  const module = await command.load();
  return module.run({
    operands,
    flags,
    context: new Context(out, {
      json: flags.on('json'),
      host: flags.value('host'),
      err: (text) => world.stderr.write(text),
      env: world.env,
      terminal: () => Terminal.of(world),
    }),
  });
}

function help([name, word]: readonly string[], out: Output): number {
  const general = name === undefined || name.startsWith('-') || name === 'help';
  out.write(general ? generalHelp(COMMANDS, out) : commandHelp(findSubcommand(findCommand(name), word), out));
  return EXIT.yes;
}

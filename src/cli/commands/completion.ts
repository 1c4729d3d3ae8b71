/** `ringfence completion`: scripts made from the command table, so that they cannot fall behind. */

import { InputError } from '../../kernel/errors.ts';
import { type Call, type Command, optionsOf } from '../args.ts';
import { ALL_COMMANDS, COMMANDS } from '../commands.ts';
import { EXIT } from '../context.ts';

export function run({ operands, context }: Call): number {
  const shell = operands[0]!;
  const script = SCRIPTS.get(shell);
  if (script === undefined) throw new InputError('completion', `knows bash, zsh and fish, not '${shell}'`);
  context.out.write(script());
  return EXIT.yes;
}

const SCRIPTS: ReadonlyMap<string, () => string> = new Map([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
]);

const names = COMMANDS.map((command) => command.name).join(' ');

/** What may follow: its subcommands, or its options. */
function wordsOf(command: Command): string {
  const words = command.subcommands?.map(lastWord) ?? optionsOf(command).map((option) => `--${option.name}`);
  return words.join(' ');
}

function lastWord({ name }: Command): string {
  return name.slice(name.indexOf(' ') + 1);
}

function bash(): string {
  const cases = ALL_COMMANDS.map((command) => {
    const pattern = command.name.includes(' ') ? `"${command.name}"` : command.name;
    return `    ${pattern}) words="${wordsOf(command)}" ;;`;
  }).join('\n');
  const groups = COMMANDS.flatMap(({ name, subcommands }) => (subcommands === undefined ? [] : [name])).join(
    '|',
  );
  return `_ringfence() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$before" = --host ] || { [ "$COMP_CWORD" -gt 1 ] && [[ \${COMP_WORDS[1]} =~ ^(diff|capture|apply)$ ]] && [[ $word != -* ]]; }; then
    COMPREPLY=($(compgen -f -- "$word")); return
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then words="${names} help"; else
  local command=\${COMP_WORDS[1]}
  case $command in ${groups}) [ "$COMP_CWORD" -gt 2 ] && command="$command \${COMP_WORDS[2]}" ;; esac
  case $command in
${cases}
  esac
  if [[ \${COMP_WORDS[1]} =~ ^(show|why|check|plan|export)$ ]] && [[ $word != -* ]]; then
    words="$(ls /sys/bus/pci/devices 2>/dev/null)"
  fi; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _ringfence ringfence
`;
}

function zsh(): string {
  return `#compdef ringfence
autoload -U +X bashcompinit && bashcompinit
${bash()}`;
}

function fish(): string {
  const lines = ALL_COMMANDS.flatMap((command) => [
    `complete -c ringfence -n ${fishBefore(command)} -f -a ${lastWord(command)} -d ${quote(command.summary)}`,
    ...optionsOf(command).map(
      (option) =>
        `complete -c ringfence -n ${fishAt(command)} -l ${option.name}${option.short ? ` -s ${option.short}` : ''}${option.value ? ' -r' : ''} -d ${quote(option.help)}`,
    ),
  ]);
  return lines.join('\n') + '\n';
}

/** When the name of a command may come. */
function fishBefore({ name }: Command): string {
  const [first, second] = name.split(' ');
  return second === undefined ? '__fish_use_subcommand' : quote(`__fish_seen_subcommand_from ${first}`);
}

/** When its options may come. */
function fishAt({ name }: Command): string {
  return quote(
    name
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and '),
  );
}

const quote = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;

/** `ringfence completion`: scripts made from the command table, so that they cannot fall behind. */

import { InputError } from '../../kernel/errors.ts';
import { type Call, optionsOf } from '../args.ts';
import { COMMANDS } from '../commands.ts';
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

function flagsOf(name: string): string {
  const command = COMMANDS.find((other) => other.name === name)!;
  return optionsOf(command)
    .map((option) => `--${option.name}`)
    .join(' ');
}

function bash(): string {
  const cases = COMMANDS.map((command) => `    ${command.name}) words="${flagsOf(command.name)}" ;;`).join(
    '\n',
  );
  return `_ringfence() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$before" = --host ] || { [ "$COMP_CWORD" -gt 1 ] && [[ \${COMP_WORDS[1]} =~ ^(diff|capture|apply)$ ]] && [[ $word != -* ]]; }; then
    COMPREPLY=($(compgen -f -- "$word")); return
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then words="${names} help"; else
  case \${COMP_WORDS[1]} in
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
  const lines = COMMANDS.flatMap((command) => [
    `complete -c ringfence -n __fish_use_subcommand -f -a ${command.name} -d ${quote(command.summary)}`,
    ...optionsOf(command).map(
      (option) =>
        `complete -c ringfence -n '__fish_seen_subcommand_from ${command.name}' -l ${option.name}${option.short ? ` -s ${option.short}` : ''}${option.value ? ' -r' : ''} -d ${quote(option.help)}`,
    ),
  ]);
  return lines.join('\n') + '\n';
}

const quote = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;

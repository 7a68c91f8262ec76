/** Finds the place of a command line at which a word is typed. Pure. */
import type { Argument, Command, Option } from 'commander';

export type Place =
  | { readonly kind: 'option'; readonly command: Command }
  | {
      readonly kind: 'value';
      readonly option: Option;
      readonly typed: string;
      /** The text before the value in the same word: `--network=`. */
      readonly before: string;
      readonly named: readonly Named[];
    }
  | { readonly kind: 'command'; readonly command: Command }
  | {
      readonly kind: 'argument';
      readonly command: Command;
      /** Undefined: the command takes no more arguments. */
      readonly argument: Argument | undefined;
      readonly named: readonly Named[];
    };

/** An argument before the typed word. */
export interface Named {
  readonly argument: string;
  readonly value: string;
}

const HELP = 'help';
/** The argument with which a task's command begins: all following words belong to it. */
const COMMAND_ARGUMENT = 'command';

/** @param words All words after the program's name, up to the one that is being typed. */
export function findPlace(program: Command, words: readonly string[]): Place {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  let command = program;
  let takesOptions = true;
  const named: Named[] = [];
  for (let at = 0; at < before.length; at += 1) {
    const word = before[at] ?? '';
    if (takesOptions && word === '--') {
      takesOptions = false;
      continue;
    }
    if (takesOptions && word.startsWith('-')) {
      const option = findOption(command, word);
      if (!takesValue(option)) continue;
      at += 1;
      if (at === before.length) return { kind: 'value', option, typed, before: '', named };
      continue;
    }
    const next = named.length === 0 ? findCommand(command, word) : undefined;
    if (next === undefined && word === HELP && command.commands.length > 0) continue;
    if (next !== undefined) command = next;
    else named.push({ argument: argumentAt(command, named.length)?.name() ?? '', value: word });
    // `run` and `exec` take options only before the command of the task.
    const following = named.length > 0 ? argumentAt(command, named.length) : undefined;
    if (following?.name() === COMMAND_ARGUMENT) takesOptions = false;
  }
  if (takesOptions && typed.startsWith('-')) {
    const length = typed.indexOf('=');
    const option = length < 0 ? undefined : findOption(command, typed.slice(0, length));
    if (!takesValue(option)) return { kind: 'option', command };
    const [flag, value] = [typed.slice(0, length + 1), typed.slice(length + 1)];
    return { kind: 'value', option, typed: value, before: flag, named };
  }
  if (named.length === 0 && command.commands.length > 0) return { kind: 'command', command };
  return { kind: 'argument', command, argument: argumentAt(command, named.length), named };
}

export const optionsOf = (command: Command): readonly Option[] =>
  command.createHelp().visibleOptions(command);

export const commandsOf = (command: Command): readonly Command[] =>
  command.createHelp().visibleCommands(command);

/** The commands without commander's own `help`. */
export const definedCommandsOf = (command: Command): readonly Command[] =>
  commandsOf(command).filter((one) => one.name() !== HELP);

const findOption = (command: Command, flag: string): Option | undefined =>
  optionsOf(command).find(({ short, long }) => short === flag || long === flag);

const takesValue = (option: Option | undefined): option is Option =>
  option !== undefined && (option.required || option.optional);

const findCommand = (command: Command, name: string): Command | undefined =>
  command.commands.find((one) => one.name() === name);

function argumentAt(command: Command, index: number): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic === true ? last : undefined);
}

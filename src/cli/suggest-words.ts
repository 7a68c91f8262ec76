/** Suggests the next word of a command line, for shell completion. Pure. */
import type { Argument, Command, Option } from 'commander';
import type { KnownNames } from '../door/known-names.ts';

/** The kind of names that an argument takes; all other arguments are files or free text. */
const NAMED: Readonly<Record<string, keyof KnownNames>> = {
  stack: 'stacks',
  name: 'stacks',
  id: 'tasks',
  task: 'tasks',
};

/** Commands whose words after the first argument belong to a program in a task. */
const PASS_ON: readonly string[] = ['run', 'exec'];

/**
 * @param words All words after the program's name, up to the one that is being typed, which may be empty.
 * @returns The possible completions of that word, in the order of the help; empty where a file name may stand.
 */
export function suggestWords(
  program: Command,
  words: readonly string[],
  names: KnownNames,
): readonly string[] {
  const typed = words.at(-1) ?? '';
  const place = findPlace(program, words.slice(0, -1));
  return place === undefined
    ? []
    : wordsAt(place, typed, names).filter((word) => word.startsWith(typed));
}

interface Place {
  readonly command: Command;
  /** How many arguments come before it. */
  readonly index: number;
}

/** Undefined for the value of an option, and for words of the task's command. */
function findPlace(program: Command, before: readonly string[]): Place | undefined {
  let command = program;
  let index = 0;
  for (let at = 0; at < before.length; at += 1) {
    const word = before[at] ?? '';
    if (word.startsWith('-')) {
      if (!awaitsValue(command, word)) continue;
      at += 1;
      if (at >= before.length) return undefined;
      continue;
    }
    const next = index === 0 ? findCommand(command, word) : undefined;
    command = next ?? command;
    if (next === undefined) index += 1;
    if (index > 0 && PASS_ON.includes(command.name())) return undefined;
  }
  return { command, index };
}

function wordsAt({ command, index }: Place, typed: string, names: KnownNames): readonly string[] {
  if (typed.startsWith('-')) return flagsOf(command);
  if (index === 0 && command.commands.length > 0) return namesOf(command);
  const kind = NAMED[argumentAt(command, index)?.name() ?? ''];
  return kind === undefined ? [] : names[kind]();
}

const optionsOf = (command: Command): readonly Option[] =>
  command.createHelp().visibleOptions(command);

function awaitsValue(command: Command, word: string): boolean {
  const option = optionsOf(command).find((one) => one.short === word || one.long === word);
  return option !== undefined && (option.required || option.optional);
}

const flagsOf = (command: Command): readonly string[] =>
  optionsOf(command).flatMap(({ short, long }) => [short, long].filter((flag) => flag != null));

const namesOf = (command: Command): readonly string[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((one) => one.name());

const findCommand = (command: Command, name: string): Command | undefined =>
  command.commands.find((one) => one.name() === name);

function argumentAt(command: Command, index: number): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic === true ? last : undefined);
}

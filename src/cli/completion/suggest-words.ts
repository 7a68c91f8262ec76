/** Suggests the next word of a command line, for shell completion. Pure but for the names that it asks for. */
import type { Command } from 'commander';
import type { KnownName, KnownNames } from '../../door/known-names.ts';
import { commandsOf, findPlace, optionsOf, type Place } from './find-place.ts';
import { type Paths, sourceOfArgument, sourceOfOption, type Values } from './value-words.ts';

export interface Suggestions extends Pick<Values, 'inTask'> {
  /** Possible completions of the word, in the order of the help. */
  readonly words: readonly KnownName[];
  readonly paths: Paths;
}

/**
 * Every command, option and value comes from `program` and the table of a task's options.
 *
 * @param words All words after the program's name, up to the one that is being typed, which may be empty.
 */
export function suggestWords(
  program: Command,
  words: readonly string[],
  names: KnownNames,
): Suggestions {
  const typed = words.at(-1) ?? '';
  const { words: all, ...more } = valuesAt(findPlace(program, words), typed, names);
  return { words: all.filter(({ name }) => name.startsWith(typed)), ...more };
}

function valuesAt(place: Place, typed: string, names: KnownNames): Values {
  switch (place.kind) {
    case 'option':
      return { words: flagsOf(place.command), paths: 'none' };
    case 'command':
      return { words: commandsOf(place.command).map(toKnown), paths: 'none' };
    case 'argument': {
      const { argument, command, named } = place;
      const choices = argument?.argChoices?.map((name) => ({ name, about: '' }));
      if (choices !== undefined) return { words: choices, paths: 'none' };
      return sourceOfArgument(argument?.name() ?? '', command.name())({ names, typed, named });
    }
    case 'value': {
      const { option, before, named } = place;
      const context = { names, typed: place.typed, named };
      const { words, paths } =
        option.argChoices === undefined
          ? sourceOfOption(option.flags)(context)
          : {
              words: option.argChoices.map((name) => ({ name, about: '' })),
              paths: 'none' as const,
            };
      return {
        words: words.map(({ name, about }) => ({ name: `${before}${name}`, about })),
        paths,
      };
    }
  }
}

const toKnown = (command: Command): KnownName => ({
  name: command.name(),
  about: command.description(),
});

const flagsOf = (command: Command): readonly KnownName[] =>
  optionsOf(command).flatMap(({ short, long, description }) =>
    [short, long].flatMap((flag) => (flag == null ? [] : [{ name: flag, about: description }])),
  );

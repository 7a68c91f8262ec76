/** Suggests the next word of a command line, for shell completion. Pure except for the names that it asks for. */
import type { Command } from 'commander';
import type { KnownNames } from '../../door/known-names.ts';
import { commandsOf, findPlace, optionsOf, type Place } from './find-place.ts';
import { sourceOfArgument, sourceOfOption, toWords, type Values } from './value-words.ts';

/**
 * Returns possible completions of the word, in the order of the help. Every command, option and value comes from `program` and the table of
 * a task's options.
 *
 * @param words All words after the program's name, up to the one that is being typed, which may be empty.
 */
export function suggestWords(
  program: Command,
  words: readonly string[],
  names: KnownNames,
): Values {
  const typed = words.at(-1) ?? '';
  const { words: all, ...more } = valuesAt(findPlace(program, words), typed, names);
  return { words: all.filter(({ name }) => name.startsWith(typed)), ...more };
}

function valuesAt(place: Place, typed: string, names: KnownNames): Values {
  switch (place.kind) {
    case 'option':
      return toWords(
        optionsOf(place.command).flatMap(({ short, long, description }) =>
          [short, long].flatMap((name) => (name == null ? [] : { name, about: description })),
        ),
      );
    case 'command':
      return toWords(
        commandsOf(place.command).map((one) => ({ name: one.name(), about: one.description() })),
      );
    case 'argument': {
      const { argument, command, named } = place;
      if (argument?.argChoices !== undefined) return toWords(argument.argChoices);
      return sourceOfArgument(argument?.name() ?? '', command.name())({ names, typed, named });
    }
    case 'value': {
      const { option, before, named } = place;
      const context = { names, typed: place.typed, named };
      const { words, paths } =
        option.argChoices === undefined
          ? sourceOfOption(option.flags)(context)
          : toWords(option.argChoices);
      return toWords(
        words.map(({ name, about }) => ({ name: `${before}${name}`, about })),
        paths,
      );
    }
  }
}

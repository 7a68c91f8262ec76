/** `stackshim complete`: answers the scripts of `completion`, as completion/scripts.ts describes. */
import type { Command } from 'commander';
import { toPrintable } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { suggestWords } from '../completion/suggest-words.ts';
import { print } from '../print/print.ts';
import { shorten } from '../print/text-width.ts';

const MOST_CELLS = 100;

export async function complete(program: Command, typed: readonly string[]): Promise<void> {
  const names = await openDoor().knownNames();
  const { words, paths, inTask } = suggestWords(program, typed, names);
  const files = inTask === undefined ? [] : await names.files(inTask);
  const begun = typed.at(-1) ?? '';
  const all = [...words, ...files.filter(({ name }) => name.startsWith(begun))];
  const lines = all.map(
    ({ name, about }) => `${name}\t${shorten(toPrintable(about), MOST_CELLS)}\n`,
  );
  await print(`${paths}\n${lines.join('')}`);
}

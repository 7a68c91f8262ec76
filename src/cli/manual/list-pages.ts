/** Lists the manual pages of the program: one for itself, one for each command and group of commands. */
import type { Command } from 'commander';
import { definedCommandsOf } from '../completion/find-place.ts';
import { formatPage, pageNameOf, SECTION } from './format-page.ts';

export interface ManualPage {
  /** `stackshim-stack-build.1` */
  readonly file: string;
  readonly text: string;
}

/** @param date The date that the pages carry. */
export const listPages = (program: Command, date: Date): readonly ManualPage[] =>
  pagesOf(program, [], date);

function pagesOf(command: Command, above: readonly string[], date: Date): readonly ManualPage[] {
  const own = {
    file: `${pageNameOf(command, above)}.${SECTION}`,
    text: formatPage(command, { above, date }),
  };
  const below = definedCommandsOf(command);
  return [own, ...below.flatMap((one) => pagesOf(one, [...above, command.name()], date))];
}

/** Every command, argument and option says what it is: completion, manual pages and help are made of these texts. */
import type { Command } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineCommands } from '../../src/cli/command-line.ts';
import { definedCommandsOf } from '../../src/cli/completion/find-place.ts';
import { listPages } from '../../src/cli/manual/list-pages.ts';
import { toArgument, toParagraph, toText } from '../../src/cli/manual/mdoc.ts';

const program = await defineCommands(() => Promise.resolve());

interface Described {
  readonly where: string;
  readonly text: string;
}

function describedIn(command: Command, above: readonly string[]): readonly Described[] {
  const words = [...above, command.name()];
  const where = words.join(' ');
  return [
    { where, text: command.description() },
    ...command.registeredArguments.map((argument) => ({
      where: `${where} <${argument.name()}>`,
      text: argument.description,
    })),
    ...command.options.map(({ flags, description }) => ({
      where: `${where} ${flags}`,
      text: description,
    })),
    // A hidden command is called by stackshim itself.
    ...definedCommandsOf(command).flatMap((one) => describedIn(one, words)),
  ];
}

describe('help texts', () => {
  const all = describedIn(program, []);

  it('exist for every command, argument and option', () => {
    expect(all.length).toBeGreaterThan(150);
    expect(all.filter(({ text }) => text.trim().length < 4)).toEqual([]);
  });

  it('are one line that is no sentence', () => {
    expect(all.filter(({ text }) => /\n|[^.]\.$/.test(text))).toEqual([]);
  });
});

describe('manual pages', () => {
  const date = new Date('2026-11-28T12:00:00Z');
  const pages = listPages(program, date);
  const pageOf = (file: string) => pages.find((page) => page.file === file)?.text ?? '';

  it('exist for the program, for every command and for every group', () => {
    const countOf = (command: Command): number =>
      definedCommandsOf(command).reduce((sum, one) => sum + countOf(one), 1);
    expect(pages).toHaveLength(countOf(program));
    expect(pages.map(({ file }) => file)).toEqual(
      expect.arrayContaining([
        'stackshim.1',
        'stackshim-run.1',
        'stackshim-stack.1',
        'stackshim-stack-release-apply.1',
      ]),
    );
    expect(pages.map(({ file }) => file)).not.toContain('stackshim-complete.1');
  });

  it('keep any text text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const lines = [...toParagraph(text).split('\n'), ...toText(text).split('\n')];
        for (const line of lines) {
          expect(line).toMatch(/^(?![.'])[\x20-\x7e]*$/);
          expect(line.replaceAll(/\\(?:e|-|&|\[u[0-9A-F]{4,6}\])/g, '')).not.toContain('\\');
        }
        expect(toArgument(text)).toMatch(
          /^(?:[a-z][\w-]*|[A-Z][\w-]{3,}|"\\&[\x20\x21\x23-\x7e]*")$/,
        );
      }),
    );
  });

  it('name every option, with what the table of options says', () => {
    const run = pageOf('stackshim-run.1');
    expect(run).toContain('.Dd November 28, 2026\n');
    expect(run).toContain('.It Fl m , Fl -memory Ar size\n');
    expect(run).toContain('.It Fl e , Fl -env Ar "\\&K=V"\n');
    expect(run).toMatch(/\.It Fl -userns Ar mode\n[^\n]+\n\.Pp\nTakes: /);
    expect(run).not.toMatch(/\]\(|`/);
    expect(pageOf('stackshim.1')).toContain('.It Xr stackshim-stack 1\n');
  });
});

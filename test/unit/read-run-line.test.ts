/** Command lines of `run` that are read without commander: commander reads the same from them. */
import { Command } from 'commander';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { defineRun } from '../../src/cli/define/define-run.ts';
import type { PlainLine } from '../../src/cli/define/plain-line.ts';
import { RUN_OPTIONS, readRunLine } from '../../src/cli/define/run-options.ts';

type Line = Record<keyof PlainLine, unknown>;

/** Reads with commander; undefined if it refuses the line or prints help. */
async function readByCommander(args: readonly string[]): Promise<Line | undefined> {
  let line: Line | undefined;
  const program = new Command('stackshim').enablePositionalOptions().exitOverride();
  program.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  defineRun(program, (stack, rest, options) => {
    line = stack === undefined ? undefined : { first: stack, rest, options: { ...options } };
    return Promise.resolve();
  });
  await program.parseAsync(['run', ...args], { from: 'user' }).catch(() => undefined);
  return line;
}

const names = RUN_OPTIONS.flatMap(([flags]) =>
  flags.split(/,? /).filter((part) => part.startsWith('-')),
);
const value = fc.oneof(
  fc.constantFrom('', '-', '--', 'a', 'A=b', '64m', '-1', 'x y', '=', 'python-3.13', ...names),
  fc.string({ maxLength: 4 }),
);
const name = fc.oneof(
  fc.constantFrom(...names, '--nosuch', '--no-tty', '-z', '--help', '-h', '--', '-'),
  fc.constantFrom(...names).map((one) => one.slice(0, -1)),
  fc.constantFrom('-it', '-eA=b', '-e=A'),
);
const word = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(name, value).map((two) => [...two]) },
  { weight: 2, arbitrary: name.map((one) => [one]) },
  { weight: 2, arbitrary: fc.tuple(name, value).map(([one, text]) => [`${one}=${text}`]) },
  { weight: 1, arbitrary: value.map((one) => [one]) },
);
const line = fc.array(word, { maxLength: 6 }).map((words) => words.flat());

it('any command line is read as commander reads it, or left to commander', async () => {
  await fc.assert(
    fc.asyncProperty(line, async (args) => {
      const read = readRunLine(args);
      if (read !== undefined) expect(read).toEqual(await readByCommander(args));
    }),
    { numRuns: 2_000 },
  );
});

it.each([
  ['stack'],
  ['--memory', '64m', '--cpus=0.5', '-e', 'A=b', '-e', 'C', 'stack', 'sh', '-c', '-e'],
  ['-i', '-t', '--read-only', 'stack@rev:2', '--', 'cat'],
  ['--memory', '--', 'stack'],
  ...RUN_OPTIONS.map(([flags]) => {
    const [given = ''] = flags.split(/,? /);
    return flags.endsWith('>') ? [given, 'value', 'stack'] : [given, 'stack'];
  }),
])('a plain command line is read as commander reads it: %s %s %s %s', async (...args) => {
  const read = readRunLine(args);
  expect(read).toBeDefined();
  expect(read).toEqual(await readByCommander(args));
});

it.each([
  ['--help'],
  ['-it', 'stack'],
  ['-eA=b', 'stack'],
  ['--', 'stack'],
  ['--tty=yes', 'stack'],
  ['--memory'],
  ['--memry', '1', 'stack'],
  [],
])('another command line is left to commander: %s %s', (...args) => {
  expect(readRunLine(args)).toBeUndefined();
});

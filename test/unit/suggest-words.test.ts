/** What a shell is told may stand next. */
import { describe, expect, it } from 'vitest';
import { defineCommands } from '../../src/cli/command-line.ts';
import { RUN_OPTIONS } from '../../src/cli/run-options.ts';
import { suggestWords } from '../../src/cli/suggest-words.ts';

const program = defineCommands(() => Promise.resolve());
const names = { stacks: () => ['node-20', 'python-3.13'], tasks: () => ['job-1', 'job-2'] };
const suggest = (...words: readonly string[]) => suggestWords(program, words, names);

describe('a word that is', () => {
  it('the first is a command, or an option of the program', () => {
    expect(suggest('')).toEqual(expect.arrayContaining(['run', 'stack', 'ps', 'completion']));
    expect(suggest('')).not.toContain('complete');
    expect(suggest('re')).toEqual(['reap']);
    expect(suggest('--v')).toEqual(['--version']);
  });

  it('within a group is one of its commands', () => {
    expect(suggest('stack', 'ro')).toEqual(['rollback']);
    expect(suggest('stack', 'release', 'a')).toEqual(['apply']);
    expect(suggest('stack', 'no-such', '')).toEqual([]);
  });

  it('an option is one of the command’s', () => {
    const flags = RUN_OPTIONS.flatMap(([all]) => /--[a-z-]+/.exec(all)?.[0] ?? []);
    expect(suggest('run', '--')).toEqual([...flags, '--help']);
    expect(suggest('run', '--init', '--mem')).toEqual(['--memory']);
    expect(suggest('stack', 'update', '--a')).toEqual(['--all']);
  });

  it.each([
    [
      ['run', ''],
      ['node-20', 'python-3.13'],
    ],
    [['run', '-m', '64m', '--init', 'n'], ['node-20']],
    [['stack', 'show', 'py'], ['python-3.13']],
    [['stack', 'rm', 'node-20', 'p'], ['python-3.13']],
    [
      ['save', 'file', ''],
      ['node-20', 'python-3.13'],
    ],
    [
      ['kill', ''],
      ['job-1', 'job-2'],
    ],
    [['kill', '--stop-timeout', '1s', 'job-1', 'job-2'], ['job-2']],
    [
      ['stack', 'commit', 'j'],
      ['job-1', 'job-2'],
    ],
    [['stack', 'commit', 'job-1', 'p'], ['python-3.13']],
  ])('a name is one that there is: %j', (words, expected) => {
    expect(suggest(...words)).toEqual(expected);
  });

  it.each([
    [['run', '--env-file', '']],
    [['run', '-v', '/']],
    [['stack', 'build', '']],
    [['stack', 'build', 'overlay/', '']],
    [['save', '']],
    [['run', 'python-3.13', '']],
    [['run', 'python-3.13', '--', 'cat', '']],
    [['ps', '']],
    [['no-such', 'thing', '']],
  ])('a file’s name or the user’s own is left to the shell: %j', (words) => {
    expect(suggest(...words)).toEqual([]);
  });

  it('not a name costs no look at what there is', () => {
    const looked = () => {
      throw new Error('looked');
    };
    expect(suggestWords(program, ['kill', '--'], { stacks: looked, tasks: looked })).toEqual([
      '--stop-timeout',
      '--help',
    ]);
  });
});

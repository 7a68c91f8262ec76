/** Completions for the shell. */
import { describe, expect, it } from 'vitest';
import { defineCommands } from '../../src/cli/command-line.ts';
import { RUN_OPTIONS } from '../../src/cli/run-options.ts';
import { suggestWords } from '../../src/cli/suggest-words.ts';

const program = defineCommands(() => Promise.resolve());
const names = { stacks: () => ['node-20', 'python-3.13'], tasks: () => ['job-1', 'job-2'] };
const suggest = (...words: readonly string[]) => suggestWords(program, words, names);

describe('the shell is offered', () => {
  it('commands and options of the program for the first word', () => {
    expect(suggest('')).toEqual(expect.arrayContaining(['run', 'stack', 'ps', 'completion']));
    expect(suggest('')).not.toContain('complete');
    expect(suggest('re')).toEqual(['reap']);
    expect(suggest('--v')).toEqual(['--version']);
  });

  it('the commands of a group within the group', () => {
    expect(suggest('stack', 'ro')).toEqual(['rollback']);
    expect(suggest('stack', 'release', 'a')).toEqual(['apply']);
    expect(suggest('stack', 'no-such', '')).toEqual([]);
  });

  it('the options of the command for an option', () => {
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
  ])('existing names for a name: %j', (words, expected) => {
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
  ])('nothing for a file name or a user’s own word: %j', (words) => {
    expect(suggest(...words)).toEqual([]);
  });

  it('options without a look at existing names', () => {
    const looked = () => {
      throw new Error('looked');
    };
    expect(suggestWords(program, ['kill', '--'], { stacks: looked, tasks: looked })).toEqual([
      '--stop-timeout',
      '--help',
    ]);
  });
});

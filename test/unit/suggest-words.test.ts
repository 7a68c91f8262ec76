/** Completions for the shell. */
import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { defineCommands } from '../../src/cli/command-line.ts';
import { suggestWords } from '../../src/cli/completion/suggest-words.ts';
import { RUN_OPTIONS } from '../../src/cli/define/run-options.ts';
import type { KnownNames } from '../../src/door/known-names.ts';

const program = await defineCommands(() => Promise.resolve());
const toKnown = (...words: readonly string[]) =>
  words.map((name) => ({ name, about: `about ${name}` }));
const names: KnownNames = {
  stacks: () => toKnown('node-20', 'python-3.13'),
  packages: () => toKnown('mailer'),
  tasks: () => toKnown('job-1', 'job-2'),
  ended: () => toKnown('job-0'),
  files: () => Promise.resolve([]),
  revisions: (stack) => (stack === 'node-20' ? toKnown('2', '1') : []),
  generations: () => toKnown('17', '16'),
};
const suggest = (...words: readonly string[]) => suggestWords(program, words, names);
const wordsFor = (...words: readonly string[]) => suggest(...words).words.map(({ name }) => name);

describe('the shell is offered', () => {
  it('commands and options of the program for the first word', () => {
    expect(wordsFor('')).toEqual(expect.arrayContaining(['run', 'stack', 'ps', 'completion']));
    expect(wordsFor('')).not.toContain('complete');
    expect(wordsFor('rea')).toEqual(['reap']);
    expect(wordsFor('--ver')).toEqual(['--version']);
  });

  it('the commands of a group within the group, and within its help', () => {
    expect(wordsFor('stack', 'ro')).toEqual(['rollback']);
    expect(wordsFor('stack', 'release', 'a')).toEqual(['apply']);
    expect(wordsFor('help', 'sta')).toContain('stack');
    expect(wordsFor('help', 'stack', 'ro')).toEqual(['rollback']);
    expect(wordsFor('stack', 'no-such', '')).toEqual([]);
  });

  it('the options of the command for an option, with their help', () => {
    const flags = RUN_OPTIONS.flatMap(([all]) => /--[a-z-]+/.exec(all)?.[0] ?? []);
    expect(wordsFor('run', '--')).toEqual([...flags, '--help']);
    expect(wordsFor('run', '--init', '--mem')).toEqual(['--memory']);
    expect(wordsFor('stack', 'update', '--a')).toEqual(['--all']);
    expect(suggest('run', '--mem').words[0]?.about).toMatch(/memory/);
  });

  it('what every command and every option is', () => {
    for (const { name, about } of [...suggest('').words, ...suggest('run', '-').words])
      expect({ name, about }).toEqual({ name, about: expect.stringMatching(/\w/) });
  });

  it.each([
    [
      ['run', ''],
      ['node-20', 'python-3.13'],
    ],
    [['run', '-m', '64m', '--init', 'n'], ['node-20']],
    [['run', '--memory=64m', 'n'], ['node-20']],
    [
      ['run', 'node-20@'],
      ['node-20@rev:2', 'node-20@rev:1'],
    ],
    [['run', 'no-such@'], []],
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
    ...['logs', 'wait', 'inspect', 'rm'].map((name): [string[], string[]] => [
      [name, 'job'],
      ['job-1', 'job-2', 'job-0'],
    ]),
    [['kill', '--stop-timeout', '1s', 'job-1', 'job-2'], ['job-2']],
    [
      ['reap', '--wait', ''],
      ['job-1', 'job-2'],
    ],
    [
      ['stack', 'commit', 'j'],
      ['job-1', 'job-2'],
    ],
    [['stack', 'commit', 'job-1', 'p'], ['python-3.13']],
    [
      ['stack', 'rollback', 'node-20', '--to', ''],
      ['2', '1'],
    ],
    [
      ['stack', 'release', 'rollback', '--to', ''],
      ['17', '16'],
    ],
  ])('existing names for a name: %j', (words, expected) => {
    expect(wordsFor(...words)).toEqual(expected);
  });

  it.each([
    [
      ['run', '--network', ''],
      ['none', 'host'],
    ],
    [['run', '--network=h'], ['--network=host']],
    [['run', '--userns', 'a'], ['auto']],
    [
      ['run', '--remove', ''],
      ['sync', 'async'],
    ],
    [
      ['run', '--runtime', 'r'],
      ['runc', 'runsc'],
    ],
    [['run', '--cap-add', 'CAP_NET_R'], ['CAP_NET_RAW']],
    [['run', '--cap-drop', 'A'], ['ALL']],
    [['run', '--ulimit', 'nof'], ['nofile=']],
    [
      ['run', '--security-opt', 's'],
      ['seccomp=', 'seccomp=unconfined'],
    ],
    [['run', '--stop-signal', 'SIGTER'], ['SIGTERM']],
    [['run', '--bundle', 'f'], ['fuse']],
    [
      ['stack', 'graph', '--format', ''],
      ['tree', 'dot', 'svg', 'json'],
    ],
    [['run', '--code', ''], ['mailer']],
    [['code', 'show', ''], ['mailer']],
    [
      ['stack', 'push', '--tls-verify', ''],
      ['true', 'false'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
  ])('the words that a value may be: %j', (words, expected) => {
    expect(wordsFor(...words)).toEqual(expected);
  });

  it.each([
    [['run', '--env-file', ''], 'files'],
    [['run', '--env-file='], 'files'],
    [['run', '-v', '/'], 'files'],
    [['run', '--code', './'], 'files'],
    [['stack', 'build', ''], 'folders'],
    [['stack', 'update', '--from', ''], 'folders'],
    [['save', ''], 'files'],
    [['run', 'python-3.13', ''], 'files'],
    [['run', 'python-3.13', '--', 'cat', ''], 'files'],
    // Whatever follows the stack belongs to the task.
    [['run', 'python-3.13', 'ls', '--'], 'files'],
    [['ps', ''], 'none'],
    [['run', '--timeout', ''], 'none'],
    [['run', '--hostname', ''], 'none'],
    [['stack', 'build', 'overlay/', ''], 'folders'],
    [['no-such', 'thing', ''], 'none'],
  ] as const)('no words for a file name or a user’s own word: %j', (words, paths) => {
    expect(suggest(...words)).toEqual({ words: [], paths });
  });

  it('the same for any command that is defined', () => {
    const other = new Command('other').enablePositionalOptions();
    other
      .command('exec')
      .argument('<id>', 'id')
      .argument('<command...>', 'command')
      .option('--runtime <name>', 'runtime')
      .addOption(new Option('--signal <signal>', 'signal'))
      .passThroughOptions();
    const inOther = (...words: readonly string[]) => {
      const { words: found, paths } = suggestWords(other, words, names);
      return [...found.map(({ name }) => name), paths];
    };
    other.command('compare').argument('<stack>', 'stack').argument('[name...]', 'names');
    expect(inOther('compare', 'node-20', '')).toEqual(['2', '1', 'node-20', 'python-3.13', 'none']);
    expect(inOther('e')).toEqual(['exec', 'none']);
    expect(inOther('exec', 'job-')).toEqual(['job-1', 'job-2', 'none']);
    expect(inOther('exec', '--signal', 'SIGKI')).toEqual(['SIGKILL', 'none']);
    expect(inOther('exec', '--runtime', 'c')).toEqual(['crun', 'none']);
    expect(inOther('exec', 'job-1', 'ls', '--')).toEqual(['files']);
    expect(inOther('exec', '--', 'job-1', '--', 'ls', '-')).toEqual(['files']);
  });

  it('options without a look at existing names', () => {
    const looked = () => {
      throw new Error('looked');
    };
    const unread = {
      ...{ stacks: looked, packages: looked, revisions: looked, generations: looked },
      ...{ tasks: looked, ended: looked, files: looked },
    };
    expect(suggestWords(program, ['kill', '--'], unread).words.map(({ name }) => name)).toEqual([
      '--stop-timeout',
      '--help',
    ]);
  });
});

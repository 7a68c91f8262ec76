/** Defines the `code` commands. */
import type { Command } from 'commander';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import { LIMIT_OPTIONS } from '../../spec/options/limit-options.ts';
import type { OptionValues } from './plain-line.ts';
import { AUTH_FLAG, defineCommand, JSON_FLAG, NO_TRUNC_FLAG, TLS_FLAG } from './shared-options.ts';

const TENANT_FLAG = [
  '--tenant <tenant>',
  'whose packages (default: those of tasks without a tenant)',
] as const;
const NAME = ['<package>', 'name of a code package'] as const;
const REFERENCE = ['<package>', 'name, name@rev:N or name@sha256:…'] as const;

const ADD_OPTIONS = [
  TENANT_FLAG,
  ['--stack <stack>', 'the stack of its tasks: name, name@rev:N or name@sha256:…'],
  ['--command <command>', 'their command: a JSON array or a line for /bin/sh -c'],
  [COMMAND_OPTIONS.args.flags, COMMAND_OPTIONS.args.help],
  ['-e, --env <K=V…>', "set a variable of its tasks; K alone takes the caller's value"],
  ['--env-file <file…>', 'read variables from a file'],
  ['--config-file <file>', 'text that its tasks read from the file CONFIG_FILE'],
  ['--output <src…>', 'a file or folder of its tasks that a queue worker keeps'],
  ['--build <command>', 'prepare the code by this command, once for each content'],
  ['--build-from <file…>', 'let the build see only this file or folder of the code'],
  ['--build-network <name>', 'network of the build: none or host'],
  ...Object.values(LIMIT_OPTIONS).map(({ flags, help }) => [flags, help] as const),
  ['--retries <n>', 'how often a queue worker runs a failed job again'],
  ['--max-concurrency <n>', 'how many of its tasks queue workers run at once'],
  ['--priority <n>', 'among the jobs of its queue; 0 comes first'],
  JSON_FLAG,
] as const;

export type CodeAddOptions = OptionValues<(typeof ADD_OPTIONS)[number][0]>;

const ADD_HELP = `
PATH is a directory, a .tar.gz or a .zip. What no option says comes from a stackshim.json in it.
What follows -- is the command of its tasks.`;

export function defineCodeCommands(program: Command): void {
  const code = program
    .command('code')
    .description('store code as packages: with revisions, settings and dependencies, per tenant');
  defineCommand(code, 'add', {
    about: 'make code the current revision of a package',
    args: [
      NAME,
      ['<path>', 'a directory, .tar.gz or .zip'],
      ['[command...]', 'the command of its tasks'],
    ],
    options: ADD_OPTIONS,
    load: async () => (await import('../commands/code-add.ts')).codeAdd,
  }).addHelpText('after', ADD_HELP);
  defineLooks(code);
  defineCommand(code, 'push', {
    about: 'copy a code package to a registry',
    args: [REFERENCE, ['<reference>', 'docker://HOST/NAME:TAG']],
    options: [TENANT_FLAG, TLS_FLAG, AUTH_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codePush,
  });
  defineCommand(code, 'pull', {
    about: 'make an image of a registry the current revision of a code package',
    args: [NAME, ['<reference>', 'docker://HOST/NAME@sha256:…, with the digest that push prints']],
    options: [TENANT_FLAG, TLS_FLAG, AUTH_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codePull,
  });
  defineCommand(code, 'rollback', {
    about: 'make an earlier revision current again',
    args: [NAME],
    options: [
      ['--to <revision>', 'revision (default: the one before the current one)'],
      TENANT_FLAG,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/code.ts')).codeRollback,
  });
  defineCommand(code, 'rm', {
    about: 'remove code packages with all revisions; running tasks keep theirs',
    args: [['<package...>', 'names of code packages']],
    options: [TENANT_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codeRm,
  });
}

function defineLooks(code: Command): void {
  defineCommand(code, 'ls', {
    about: 'list code packages',
    options: [TENANT_FLAG, ['-a, --all', 'of every tenant'], NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codeLs,
  });
  defineCommand(code, 'show', {
    about: 'show everything about a code package',
    args: [REFERENCE],
    options: [TENANT_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codeShow,
  });
  defineCommand(code, 'history', {
    about: 'list the revisions of a code package, newest first',
    args: [NAME],
    options: [TENANT_FLAG, NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/code.ts')).codeHistory,
  });
  defineCommand(code, 'diff', {
    about: 'show what differs between two revisions of a code package',
    args: [
      REFERENCE,
      ['[a]', 'revision (default: the one before B)'],
      ['[b]', 'revision (default: the current one)'],
    ],
    options: [
      ['--settings', 'show the summary and all settings that differ'],
      ['--files', 'show the summary and all files that differ'],
      TENANT_FLAG,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/code-diff.ts')).codeDiff,
  });
}

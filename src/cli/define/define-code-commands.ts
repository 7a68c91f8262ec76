/** Defines the `code` commands. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import { LIMIT_OPTIONS } from '../../spec/options/limit-options.ts';
import type { CodeAddOptions } from '../commands/code-add.ts';
import type { CodeDiffOptions } from '../commands/code-diff.ts';
import type { OptionTable } from './plain-line.ts';
import {
  AUTH_FLAG,
  addOptions,
  JSON_FLAG,
  NO_TRUNC_FLAG,
  TLS_FLAG,
  whenCalled,
} from './shared-options.ts';

const TENANT_FLAG = [
  '--tenant <tenant>',
  'whose packages (default: those of tasks without a tenant)',
] as const;
const NAME = ['<package>', 'name of a code package'] as const;
const REFERENCE = ['<package>', 'name, name@rev:N or name@sha256:…'] as const;

const ADD_OPTIONS: OptionTable = [
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
];

const ADD_HELP = `
PATH is a directory, a .tar.gz or a .zip. What no option says comes from a stackshim.json in it.
What follows -- is the command of its tasks.`;

export function defineCodeCommands(program: Command): void {
  const code = program
    .command('code')
    .description('store code as packages: with revisions, settings and dependencies, per tenant');
  const add = code
    .command('add')
    .description('make code the current revision of a package')
    .argument(...NAME)
    .argument('<path>', 'a directory, .tar.gz or .zip')
    .argument('[command...]', 'the command of its tasks')
    .addHelpText('after', ADD_HELP)
    .action(async (name: string, path: string, command: string[], options: CodeAddOptions) => {
      const { codeAdd } = await import('../commands/code-add.ts');
      await codeAdd(name, path, { ...options, words: command });
    });
  addOptions(add, ADD_OPTIONS);
  defineLooks(code);
  defineDiff(code);
  defineExchange(code);
  defineChanges(code);
}

function defineLooks(code: Command): void {
  code
    .command('ls')
    .description('list code packages')
    .option(...TENANT_FLAG)
    .option('-a, --all', 'of every tenant')
    .option(...NO_TRUNC_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-ls.ts')).codeLs));
  code
    .command('show')
    .description('show everything about a code package')
    .argument(...REFERENCE)
    .option(...TENANT_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-show.ts')).codeShow));
  code
    .command('history')
    .description('list the revisions of a code package, newest first')
    .argument(...NAME)
    .option(...TENANT_FLAG)
    .option(...NO_TRUNC_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-history.ts')).codeHistory));
}

function defineDiff(code: Command): void {
  code
    .command('diff')
    .description('show what differs between two revisions of a code package')
    .argument(...REFERENCE)
    .argument('[a]', 'revision (default: the one before B)')
    .argument('[b]', 'revision (default: the current one)')
    .option('--settings', 'show the summary and all settings that differ')
    .option('--files', 'show the summary and all files that differ')
    .option(...TENANT_FLAG)
    .option(...JSON_FLAG)
    .action(async (name: string, a?: string, b?: string, options: CodeDiffOptions = {}) => {
      const { codeDiff } = await import('../commands/code-diff.ts');
      await codeDiff(name, [a, b], options);
    });
}

function defineExchange(code: Command): void {
  code
    .command('push')
    .description('copy a code package to a registry')
    .argument(...REFERENCE)
    .argument('<reference>', 'docker://HOST/NAME:TAG')
    .option(...TENANT_FLAG)
    .option(...TLS_FLAG, 'true')
    .option(...AUTH_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-push.ts')).codePush));
  code
    .command('pull')
    .description('make an image of a registry the current revision of a code package')
    .argument(...NAME)
    .argument('<reference>', 'docker://HOST/NAME@sha256:…, with the digest that push prints')
    .option(...TENANT_FLAG)
    .option(...TLS_FLAG, 'true')
    .option(...AUTH_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-pull.ts')).codePull));
}

function defineChanges(code: Command): void {
  code
    .command('rollback')
    .description('make an earlier revision current again')
    .argument(...NAME)
    .option('--to <revision>', 'revision (default: the one before the current one)')
    .option(...TENANT_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-rollback.ts')).codeRollback));
  code
    .command('rm')
    .description('remove code packages with all revisions; running tasks keep theirs')
    .argument('<package...>', 'names of code packages')
    .option(...TENANT_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/code-rm.ts')).codeRm));
}

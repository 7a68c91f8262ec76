/** Defines the `stack` commands, and `save` and `load`, which move stacks between machines. */
import { type Command, Option } from 'commander';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import type { OptionValues } from './plain-line.ts';
import { AUTH_FLAG, defineCommand, JSON_FLAG, NO_TRUNC_FLAG, TLS_FLAG } from './shared-options.ts';

const NAME = ['<name>', 'name of a stack'] as const;
const NEW_NAME = ['<name>', 'name of the stack'] as const;
const STACK = ['<stack>', 'name, name@rev:N or name@sha256:…'] as const;
const JOBS_FLAG = ['--jobs <n>', 'build up to N stacks at a time (default: 2)'] as const;
const SMOKE_FLAG = [
  '--smoke <command>',
  "smoke command, a JSON array or a line for /bin/sh -c (default: the image's label, else /bin/true)",
] as const;

const ROOTFS_OPTIONS = [
  ['-e, --env <K=V…>', 'of a root filesystem: set a variable'],
  ['-w, --workdir <path>', 'of a root filesystem: working directory of tasks'],
  ['-u, --user <user>', 'of a root filesystem: user of tasks, name|uid[:group|gid]'],
  ['--entrypoint <program>', 'of a root filesystem: a program, or a JSON array'],
  [
    '--cmd <command>',
    'of a root filesystem: default command, a JSON array or a line for /bin/sh -c',
  ],
  ['--label <K=V…>', 'of a root filesystem: set a label'],
] as const;

export type RootfsOptions = OptionValues<(typeof ROOTFS_OPTIONS)[number][0]>;

export function defineStackCommands(program: Command): void {
  const stack = program.command('stack').description('build, inspect and change stacks');
  defineCommand(stack, 'build', {
    about: 'build stacks from folders; each stack gets the name of its folder',
    args: [['<dir...>', 'the folder: overlay/stacks/python-3.13; several: bases first']],
    options: [
      ['--if-changed', 'build nothing of a folder if neither it nor its base has changed'],
      JOBS_FLAG,
      ['--plan', 'show in which order the folders would be built, and build nothing'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/stack-build.ts')).stackBuild,
  });
  defineLooks(stack);
  defineChanges(stack);
  defineReleases(stack);
  defineExchange(stack);
}

function defineLooks(stack: Command): void {
  defineCommand(stack, 'ls', {
    about: 'list stacks',
    options: [NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackLs,
  });
  defineCommand(stack, 'show', {
    about: 'show everything about a stack',
    args: [NAME],
    options: [JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackShow,
  });
  defineCommand(stack, 'history', {
    about: 'list the revisions of a stack, newest first',
    args: [NAME],
    options: [NO_TRUNC_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackHistory,
  });
  defineCommand(stack, 'diff', {
    about: 'show what differs between two revisions of a stack, or between two stacks',
    args: [
      STACK,
      [
        '[name...]',
        'revisions A and B of the stack (default: the one before, and the current one), or another stack',
      ],
    ],
    options: [
      ['--settings', 'show the summary and all settings that differ'],
      ['--packages', 'show the summary and all packages that differ'],
      ['--files', 'show the summary and all files that differ'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/stack-diff.ts')).stackDiff,
  });
  defineCommand(stack, 'graph', {
    about: 'draw the tree of bases and stacks, with what each stack adds',
    options: [
      new Option('--format <format>', 'output format')
        .choices(['tree', 'dot', 'svg', 'json'])
        .default('tree'),
    ],
    load: async () => (await import('../commands/stack-graph.ts')).stackGraph,
  });
}

function defineChanges(stack: Command): void {
  defineCommand(stack, 'rollback', {
    about: 'make an earlier revision current again',
    args: [NAME],
    options: [
      ['--to <revision>', 'revision (default: the one that was current before)'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/stack.ts')).stackRollback,
  });
  defineCommand(stack, 'update', {
    about: 'rebuild stacks from their folders',
    args: [['[name...]', 'names of stacks']],
    options: [
      ['--all', 'update every stack, bases first'],
      ['--dependents', 'also update stacks that are built on the named stacks'],
      ['--from <dir>', 'build from this folder instead of the last one'],
      ['--keep <k>', 'remove all but the newest K revisions of each'],
      JOBS_FLAG,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/stack-update.ts')).stackUpdate,
  });
  defineCommand(stack, 'rm', {
    about: 'remove stacks with all revisions; refuses stacks that tasks or other stacks use',
    args: [['<name...>', 'names of stacks']],
    options: [JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackRm,
  });
}

function defineReleases(stack: Command): void {
  const release = stack
    .command('release')
    .description('switch several stacks in one step, all or none');
  defineCommand(release, 'apply', {
    about: 'switch every stack that the file names: {"stacks": {"ruby-3.3": 4}}',
    args: [['<file>', 'JSON with a revision or image digest for each stack']],
    options: [
      ['--announce', 'first let workers with a registry pull the stacks, by digest'],
      ['--lead <duration>', 'with --announce, time for that: 0 to 24h (default: 30s)'],
      ...STORE_OPTIONS,
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/stack-release.ts')).stackReleaseApply,
  });
  defineCommand(release, 'rollback', {
    about: 'return all stacks to their revisions before the last change',
    options: [['--to <generation>', 'the revisions of this generation'], JSON_FLAG],
    load: async () => (await import('../commands/stack-release.ts')).stackReleaseRollback,
  });
  defineCommand(release, 'ls', {
    about: 'list generations, newest first',
    options: [['--limit <n>', 'how many', '20'], JSON_FLAG],
    load: async () => (await import('../commands/stack-release.ts')).stackReleaseLs,
  });
}

function defineExchange(stack: Command): void {
  defineCommand(stack, 'import', {
    about: 'import an image or a root filesystem as the current revision of a stack',
    args: [
      NEW_NAME,
      [
        '<source>',
        'folder or tar, - for standard input, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://HOST/NAME:TAG or rootfs:PATH',
      ],
    ],
    options: [...ROOTFS_OPTIONS, TLS_FLAG, AUTH_FLAG, SMOKE_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackImport,
  });
  defineCommand(stack, 'export', {
    about: 'write a stack as one archive for podman, docker and skopeo',
    args: [STACK, ['<file>', 'the archive; - for standard output']],
    options: [JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackExport,
  });
  defineCommand(stack, 'push', {
    about: 'copy a stack to a registry',
    args: [STACK, ['<reference>', 'docker://HOST/NAME:TAG']],
    options: [TLS_FLAG, AUTH_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackPush,
  });
  defineCommand(stack, 'commit', {
    about: 'store the files of a kept task as the current revision of a stack',
    args: [['<task>', 'id of a task that was run with --keep'], NEW_NAME],
    options: [['--code', 'store what is in /task, too'], SMOKE_FLAG, JSON_FLAG],
    load: async () => (await import('../commands/stack.ts')).stackCommit,
  });
}

export function defineSaveCommands(program: Command): void {
  defineCommand(program, 'save', {
    about: 'write stacks into a signed file for another machine of yours',
    args: [
      ['<file>', 'the file; - for standard output'],
      ['<stack...>', 'name, name@rev:N or name@sha256:…'],
    ],
    options: [
      new Option('--key <file>', 'Ed25519 private key (PEM) to sign with').makeOptionMandatory(),
      ['--have <file>', 'ids of layers that the other machine has, from its load --list'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/save.ts')).save,
  });
  defineCommand(program, 'load', {
    about: 'load stacks from a file written by `save`, signed by a trusted key',
    args: [['[file]', 'the file; - for standard input']],
    options: [
      ['--list', 'print the ids of the stored layers, and load nothing'],
      [
        '--any-date',
        'also load a save that is older than the stored stacks, or dated in the future',
      ],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/load.ts')).load,
  });
}

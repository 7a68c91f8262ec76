/** Defines the commands that move stacks between machines. Their code is loaded when they are called. */
import type { Command } from 'commander';
import type { LoadCommandOptions } from '../commands/load.ts';
import type { SaveCommandOptions } from '../commands/save.ts';
import type { CommitCommandOptions } from '../commands/stack-commit.ts';
import type { ImportCommandOptions } from '../commands/stack-import.ts';
import {
  AUTH_FLAG,
  type ExchangeCommandOptions,
  JSON_FLAG,
  type RegistryCommandOptions,
  TLS_FLAG,
} from './shared-options.ts';

const SMOKE_FLAG = [
  '--smoke <command>',
  "smoke command, a JSON array or a line for /bin/sh -c (default: the image's label, else /bin/true)",
] as const;

/** Collects the values of an option that may be given more than once. */
const addTo = (value: string, before: readonly string[] = []) => [...before, value];

/** @param stack The command `stack`. */
export function defineStackExchange(stack: Command): void {
  stack
    .command('import')
    .description('import an image or a root filesystem as the current revision of a stack')
    .argument('<name>', 'name of the stack')
    .argument(
      '<source>',
      'folder or tar, - for standard input, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://HOST/NAME:TAG or rootfs:PATH',
    )
    .option('-e, --env <K=V>', 'of a root filesystem: set a variable', addTo)
    .option('-w, --workdir <path>', 'of a root filesystem: working directory of tasks')
    .option('-u, --user <user>', 'of a root filesystem: user of tasks, name|uid[:group|gid]')
    .option('--entrypoint <program>', 'of a root filesystem: a program, or a JSON array')
    .option(
      '--cmd <command>',
      'of a root filesystem: default command, a JSON array or a line for /bin/sh -c',
    )
    .option('--label <K=V>', 'of a root filesystem: set a label', addTo)
    .option(...TLS_FLAG, 'true')
    .option(...AUTH_FLAG)
    .option(...SMOKE_FLAG)
    .option(...JSON_FLAG)
    .action(async (name: string, reference: string, options: ImportCommandOptions) => {
      const { stackImport } = await import('../commands/stack-import.ts');
      await stackImport(name, reference, options);
    });
  stack
    .command('export')
    .description('write a stack as one archive for podman, docker and skopeo')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('<file>', 'the archive; - for standard output')
    .option(...JSON_FLAG)
    .action(async (name: string, file: string, options: ExchangeCommandOptions) => {
      const { stackExport } = await import('../commands/stack-export.ts');
      await stackExport(name, file, options);
    });
  stack
    .command('push')
    .description('copy a stack to a registry')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('<reference>', 'docker://HOST/NAME:TAG')
    .option(...TLS_FLAG, 'true')
    .option(...AUTH_FLAG)
    .option(...JSON_FLAG)
    .action(async (name: string, reference: string, options: RegistryCommandOptions) => {
      const { stackPush } = await import('../commands/stack-push.ts');
      await stackPush(name, reference, options);
    });
  stack
    .command('commit')
    .description('store the files of a kept task as the current revision of a stack')
    .argument('<task>', 'id of a task that was run with --keep')
    .argument('<name>', 'name of the stack')
    .option('--code', 'store what is in /task, too')
    .option(...SMOKE_FLAG)
    .option(...JSON_FLAG)
    .action(async (task: string, name: string, options: CommitCommandOptions) => {
      const { stackCommit } = await import('../commands/stack-commit.ts');
      await stackCommit(task, name, options);
    });
}

export function defineExchangeCommands(program: Command): void {
  program
    .command('save')
    .description('write stacks into a signed file for another machine of yours')
    .argument('<file>', 'the file; - for standard output')
    .argument('<stack...>', 'name, name@rev:N or name@sha256:…')
    .requiredOption('--key <file>', 'Ed25519 private key (PEM) to sign with')
    .option('--have <file>', 'ids of layers that the other machine has, from its load --list')
    .option(...JSON_FLAG)
    .action(async (file: string, stacks: readonly string[], options: SaveCommandOptions) => {
      const { save } = await import('../commands/save.ts');
      await save(file, stacks, options);
    });
  program
    .command('load')
    .description('load stacks from a file written by `save`, signed by a trusted key')
    .argument('[file]', 'the file; - for standard input')
    .option('--list', 'print the ids of the stored layers, and load nothing')
    .option(
      '--any-date',
      'also load a save that is older than the stored stacks, or dated in the future',
    )
    .option(...JSON_FLAG)
    .action(async (file: string | undefined, options: LoadCommandOptions) => {
      const { load } = await import('../commands/load.ts');
      await load(file, options);
    });
}

/** Defines the commands that move stacks between machines. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { AUTH_FLAG, JSON_FLAG, TLS_FLAG, whenCalled } from './shared-options.ts';

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
    .action(whenCalled(async () => (await import('../commands/stack-import.ts')).stackImport));
  stack
    .command('export')
    .description('write a stack as one archive for podman, docker and skopeo')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('<file>', 'the archive; - for standard output')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-export.ts')).stackExport));
  stack
    .command('push')
    .description('copy a stack to a registry')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('<reference>', 'docker://HOST/NAME:TAG')
    .option(...TLS_FLAG, 'true')
    .option(...AUTH_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-push.ts')).stackPush));
  stack
    .command('commit')
    .description('store the files of a kept task as the current revision of a stack')
    .argument('<task>', 'id of a task that was run with --keep')
    .argument('<name>', 'name of the stack')
    .option('--code', 'store what is in /task, too')
    .option(...SMOKE_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-commit.ts')).stackCommit));
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
    .action(whenCalled(async () => (await import('../commands/save.ts')).save));
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
    .action(whenCalled(async () => (await import('../commands/load.ts')).load));
}

/** Defines the `stack` commands. Their code is loaded when they are called. */
import type { Command } from 'commander';
import type { BuildCommandOptions } from '../commands/stack-build.ts';
import { defineStackExchange } from './define-exchange-commands.ts';
import { defineStackChangeCommands } from './define-stack-change-commands.ts';
import {
  JOBS_FLAG,
  JSON_FLAG,
  type JsonOption,
  NO_TRUNC_FLAG,
  type TruncOption,
} from './shared-options.ts';

export function defineStackCommands(program: Command): void {
  const stack = program.command('stack').description('build, inspect and change stacks');
  stack
    .command('build')
    .description('build stacks from folders; each stack gets the name of its folder')
    .argument('<dir...>', 'the folder: overlay/stacks/python-3.13; several: bases first')
    .option('--if-changed', 'build nothing of a folder if neither it nor its base has changed')
    .option(...JOBS_FLAG)
    .option('--plan', 'show in which order the folders would be built, and build nothing')
    .option(...JSON_FLAG)
    .action(async (directories: readonly string[], options: BuildCommandOptions) => {
      const { stackBuild } = await import('../commands/stack-build.ts');
      await stackBuild(directories, options);
    });
  stack
    .command('ls')
    .description('list stacks')
    .option(...NO_TRUNC_FLAG)
    .option(...JSON_FLAG)
    .action(async (options: JsonOption & TruncOption) => {
      const { stackLs } = await import('../commands/stack-ls.ts');
      await stackLs(options);
    });
  stack
    .command('show')
    .description('show everything about a stack')
    .argument('<name>', 'name of a stack')
    .option(...JSON_FLAG)
    .action(async (name: string, options: JsonOption) => {
      const { stackShow } = await import('../commands/stack-show.ts');
      await stackShow(name, options);
    });
  defineStackChangeCommands(stack);
  defineStackExchange(stack);
}

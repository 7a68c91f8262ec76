/** Defines the `stack` commands. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { defineStackExchange } from './define-exchange-commands.ts';
import { defineStackChangeCommands } from './define-stack-change-commands.ts';
import { JOBS_FLAG, JSON_FLAG, NO_TRUNC_FLAG, whenCalled } from './shared-options.ts';

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
    .action(whenCalled(async () => (await import('../commands/stack-build.ts')).stackBuild));
  stack
    .command('ls')
    .description('list stacks')
    .option(...NO_TRUNC_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-ls.ts')).stackLs));
  stack
    .command('show')
    .description('show everything about a stack')
    .argument('<name>', 'name of a stack')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-show.ts')).stackShow));
  defineStackChangeCommands(stack);
  defineStackExchange(stack);
}

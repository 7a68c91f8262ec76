/** Defines the `stack` commands. Their code is loaded when they are called. */
import type { Command } from 'commander';
import type { BuildCommandOptions } from './build-stack-command.ts';
import { defineStackExchange } from './define-exchange-commands.ts';
import { defineStackChangeCommands } from './define-stack-change-commands.ts';
import { JSON_FLAG, type JsonOption } from './json-option.ts';

export function defineStackCommands(program: Command): void {
  const stack = program.command('stack').description('build, inspect and change stacks');
  stack
    .command('build')
    .description("build a stack from a folder; the stack gets the folder's name")
    .argument('<dir>', 'the folder: overlay/stacks/python-3.13')
    .option('--if-changed', 'do nothing if neither the folder nor its base has changed')
    .option(...JSON_FLAG)
    .action(async (directory: string, options: BuildCommandOptions) => {
      const { buildStackFrom } = await import('./build-stack-command.ts');
      await buildStackFrom(directory, options);
    });
  stack
    .command('ls')
    .description('list stacks')
    .option(...JSON_FLAG)
    .action(async (options: JsonOption) => {
      const { showStacks } = await import('./show-stacks.ts');
      await showStacks(options);
    });
  stack
    .command('show')
    .description('show everything about a stack')
    .argument('<name>', 'name of a stack')
    .option(...JSON_FLAG)
    .action(async (name: string, options: JsonOption) => {
      const { showOneStack } = await import('./show-stacks.ts');
      await showOneStack(name, options);
    });
  defineStackChangeCommands(stack);
  defineStackExchange(stack);
}

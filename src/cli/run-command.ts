/** `stackshim run`: how it is called. */
import type { Command } from 'commander';
import { defineRunOptions, type RunOptions } from './run-options.ts';

const MORE = `
The exit status is the command's own; 124 timed out, 125 stackshim failed, 126 not executable, 127 not found,
137 out of memory or output limit, 130/143 cancelled. Options stand before STACK; what follows it is the command.`;

/** `args`: what follows `run` on the command line; undefined when another command was called. */
export function defineRun(program: Command, args: readonly string[] | undefined): void {
  const command = program
    .command('run')
    .description('run a command in a stack')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('[command...]', "the command; the image's own when not given")
    .passThroughOptions()
    .addHelpText('after', MORE)
    .action(async (stack: string, rest: readonly string[], options: RunOptions) => {
      const { executeRun } = await import('./execute-run.ts');
      await executeRun(stack, rest, options);
    });
  defineRunOptions(command, args);
}

/** Defines `stackshim run`. */
import type { Command } from 'commander';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import { RUN_OPTIONS, type RunOptions } from './run-options.ts';
import { defineCommand } from './shared-options.ts';

const MORE = `
The exit status is the command's own, or: 124 timed out, 125 stackshim failed, 126 not executable, 127 not found,
137 out of memory or output limit, 130/143 cancelled. Write options before STACK; everything after STACK is the command.`;

export type RunAction = (
  stack: string | undefined,
  rest: readonly string[],
  options: RunOptions,
) => Promise<void>;

export function defineRun(program: Command, action: RunAction): void {
  defineCommand(program, 'run', {
    about: 'run a command in a stack',
    args: [
      ['[stack]', COMMAND_OPTIONS.stack.help],
      ['[command...]', COMMAND_OPTIONS.command.help],
    ],
    options: RUN_OPTIONS,
    load: () => Promise.resolve(action),
  })
    .passThroughOptions()
    .addHelpText('after', MORE);
}

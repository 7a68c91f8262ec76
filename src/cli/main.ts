/** The `stackshim` command: defines the commands, turns whatever goes wrong into a message and an exit status. */
import { Command, CommanderError } from 'commander';
import { toStackshimError } from '../core/errors.ts';
import { SHIM_FAILED, statusOfError, USAGE_ERROR } from './exit-status.ts';
import { reportError } from './report-error.ts';
import { defineRun } from './run-command.ts';
import { toUsageError } from './usage-error.ts';
import { version } from './version.ts';

declare const Bun: { readonly unsafe: { setJITPolicy(scale: number): void } };

const program = new Command('stackshim')
  .description('run short tasks in language stacks: isolated, limited, in milliseconds')
  .version(version)
  .enablePositionalOptions()
  .configureOutput({ outputError: () => undefined })
  .exitOverride();

const isRun = process.argv[2] === 'run';
defineRun(program, isRun ? process.argv.slice(3) : undefined);

// What nobody awaits must not end with the status of a task that failed.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => process.exit(statusOf(error)));
}

try {
  if (!isRun) {
    // The executable is built to compile late, for a task's sake: builds, imports and watches have time to win by it.
    Bun.unsafe.setJITPolicy(1);
    // Dozens of definitions that a task need not wait for.
    (await import('./define-other-commands.ts')).defineOtherCommands(program);
  }
  await program.parseAsync();
  // All is written: to wait until the engine finds nothing left to do takes longer.
  if (isRun) process.exit();
} catch (error) {
  process.exitCode = statusOf(error);
}

/** Reports what was thrown. Help that was asked for, or that stands in for a missing command, is printed already. */
function statusOf(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code !== 'commander.help')
      reportError(toUsageError(error, `stackshim ${calledCommand()}`.trimEnd()).toJSON());
    return isRun ? SHIM_FAILED : USAGE_ERROR;
  }
  const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', calledCommand() || 'start');
  reportError(known.toJSON());
  return isRun ? SHIM_FAILED : statusOfError(known);
}

/** The command that was called; empty when there is none of that name. */
function calledCommand(): string {
  return program.commands.find((command) => command.name() === process.argv[2])?.name() ?? '';
}

/** The `stackshim` command: defines the commands, turns whatever goes wrong into a message and an exit status. */
import { Command, CommanderError } from 'commander';
import { toStackshimError } from '../core/errors.ts';
import { defineStackCommands } from './define-stack-commands.ts';
import { defineTaskCommands } from './define-task-commands.ts';
import { SHIM_FAILED, statusOfError, USAGE_ERROR } from './exit-status.ts';
import { reportError } from './report-error.ts';
import { defineRun } from './run-command.ts';
import { version } from './version.ts';

const program = new Command('stackshim')
  .description('run short tasks in language stacks: isolated, limited, in milliseconds')
  .version(version)
  .enablePositionalOptions()
  .showHelpAfterError('(stackshim --help lists the commands)')
  .exitOverride();

defineRun(program);
defineStackCommands(program);
defineTaskCommands(program);

const isRun = process.argv[2] === 'run';

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = statusOf(error);
}

/** Reports what was thrown; commander has printed its own errors already. */
function statusOf(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    return isRun ? SHIM_FAILED : USAGE_ERROR;
  }
  const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'stackshim');
  reportError(known.toJSON());
  return isRun ? SHIM_FAILED : statusOfError(known);
}

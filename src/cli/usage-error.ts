/** Turns a command line that cannot be read into an error with a code and a hint. */
import type { CommanderError } from 'commander';
import { StackshimError } from '../core/errors.ts';

/** @param command The command whose `--help` tells more: `stackshim run`. */
export function toUsageError(error: CommanderError, command: string): StackshimError {
  // commander writes `error: unknown option '--tme'`, then `(Did you mean --name?)` on its own line.
  const [problem = '', near] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = near === undefined ? '' : `${near.replace(/^\(|\)$/g, '')} `;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `read command line: ${problem}`, {
    hint: `${suggestion}run ${command} --help to see the usage`,
    details: { field: 'commandLine' },
  });
}

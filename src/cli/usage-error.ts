/** Command lines that cannot be read, as errors like every other: with a code and a hint. */
import type { CommanderError } from 'commander';
import { StackshimError } from '../core/errors.ts';

/** @param command Whose `--help` tells more: `stackshim run`. */
export function toUsageError(error: CommanderError, command: string): StackshimError {
  // commander's own form: `error: unknown option '--tme'`, then `(Did you mean --name?)` on a line of its own.
  const [problem = '', near] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = near === undefined ? '' : `${near.replace(/^\(|\)$/g, '')} `;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `read command line: ${problem}`, {
    hint: `${suggestion}run ${command} --help to see the usage`,
    details: { field: 'commandLine' },
  });
}

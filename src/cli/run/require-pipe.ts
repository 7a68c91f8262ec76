/** Refuses a terminal where an archive is to be read from standard input. */
import { isatty } from 'node:tty';
import { StackshimError } from '../../core/errors.ts';

const STDIN = 0;

/** Throws ERR_STACKSHIM_SPEC_INVALID if standard input is a terminal. */
export function requirePipe(operation: string): void {
  if (!isatty(STDIN)) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${operation}: standard input is a terminal, and an archive is expected`,
    { hint: 'pipe an archive to this command, or redirect a file to it' },
  );
}

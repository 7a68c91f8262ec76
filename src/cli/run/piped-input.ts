/** Reads standard input: archives, and with `--code -` and `--payload -` a task's code or payload. */
import { isatty } from 'node:tty';
import { StackshimError } from '../../core/errors.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import type { RunOptions } from '../define/run-options.ts';

/** Throws ERR_STACKSHIM_SPEC_INVALID if standard input is a terminal. */
export function requirePipe(operation: string): void {
  if (!isatty(0)) return;
  const message = `${operation}: standard input is a terminal, and an archive is expected`;
  const hint = 'pipe an archive to this command, or redirect a file to it';
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { hint });
}

/** Returns the input without fields of standard input, and the streams for these. Throws ERR_STACKSHIM_SPEC_INVALID if several options want it. */
export function takePipedInput(given: TaskInput, options: RunOptions) {
  const { code, payload, ...input } = given;
  const wanted = [
    ...(code === '-' ? ['--code'] : []),
    ...(payload === '-' ? ['--payload'] : []),
    ...(options.interactive ? ['--interactive'] : []),
  ];
  if (wanted.length > 1) throw toTwice(wanted);
  const { stdin } = process;
  if (code !== '-') {
    return { input: withoutUndefined({ ...input, code }), inputs: { payload: stdin } };
  }
  requirePipe('run --code -');
  return { input: withoutUndefined({ ...input, payload }), inputs: { code: stdin } };
}

const toTwice = (options: readonly string[]) =>
  new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `run: ${options.join(' and ')} cannot both have standard input`,
    { hint: 'give one of them as a file', details: { field: 'stdin' } },
  );

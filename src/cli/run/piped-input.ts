/** `--code -` and `--payload -`: a task gets its code or its payload from standard input. */
import { StackshimError } from '../../core/errors.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import type { CallerInputs } from '../../task/receive-inputs.ts';
import type { RunOptions } from '../define/run-options.ts';
import { requirePipe } from './require-pipe.ts';

export interface PipedInput {
  /** The input without the fields that stand for standard input. */
  readonly input: TaskInput;
  /** For the task's options. */
  readonly inputs: CallerInputs;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID if several options want standard input. */
export function takePipedInput(given: TaskInput, options: RunOptions): PipedInput {
  const { code, payload, ...input } = given;
  const wanted = [
    ...(code === '-' ? ['--code'] : []),
    ...(payload === '-' ? ['--payload'] : []),
    ...(options.interactive ? ['--interactive'] : []),
  ];
  if (wanted.length > 1) throw toTwice(wanted);
  if (code === '-') requirePipe('run --code -');
  const { stdin } = process;
  return code === '-'
    ? {
        input: { ...input, ...(payload === undefined ? {} : { payload }) },
        inputs: { code: stdin },
      }
    : { input: { ...input, ...(code === undefined ? {} : { code }) }, inputs: { payload: stdin } };
}

const toTwice = (options: readonly string[]) =>
  new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `run: ${options.join(' and ')} cannot both have standard input`,
    { hint: 'give one of them as a file', details: { field: 'stdin' } },
  );

/** The shape of a task as users write it, in JSON or TypeScript: names as the command line's options, in camelCase. */
import { type FieldReaders, objectOf, optional } from '../core/read-fields.ts';
import { readInput } from './invalid-field.ts';
import {
  type Given,
  type JobField,
  OPTION_ROWS,
  type TaskOptions,
} from './options/task-options.ts';

/** All fields, `stack` too: a mapped type that leaves one out would lose the comments above the rows, which editors show. */
type Optional = { readonly [F in keyof TaskOptions]?: Given<F> | undefined };

/** What to run, and how. Only `stack` must be given; docs/task-spec.md has units, bounds and defaults. */
export interface TaskInput extends Optional {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: Given<'stack'>;
}

/** What data from a queue, a network or a file of others may say of a task: nothing that names or opens something of the host. */
export type JobInput = Pick<TaskInput, JobField>;

/** Who says what a task is: a program of this machine, trusted with what the policy allows, or data that came to it from elsewhere. */
export type TaskOrigin = 'caller' | 'job';

const readers = Object.fromEntries(
  OPTION_ROWS.map(([field, { value, required }]) => [
    field,
    required ? value.read : optional(value.read),
  ]),
) as FieldReaders<TaskInput>;

/** Every field a task may have. */
export const TASK_INPUT_FIELDS = OPTION_ROWS.map(([field]) => field);

const task = objectOf<TaskInput>(readers);

/** Checks types, names and counts of a task as given. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export const parseTaskInput = (input: unknown): TaskInput => readInput(task, input, 'task');

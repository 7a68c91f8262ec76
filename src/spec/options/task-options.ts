/** Every option of a task, once: its reader, the command line, the policy, the JSON schema and docs/task-spec.md are made of this table. */
import { COMMAND_OPTIONS } from './command-options.ts';
import { CONTAINER_OPTIONS } from './container-options.ts';
import { HANDLING_OPTIONS } from './handling-options.ts';
import { LIMIT_OPTIONS } from './limit-options.ts';
import type { OptionRow, OptionValue } from './option-row.ts';

/** By the name of the field. Fields are checked and told in this order. */
export const TASK_OPTIONS = {
  ...COMMAND_OPTIONS,
  ...LIMIT_OPTIONS,
  ...HANDLING_OPTIONS,
  ...CONTAINER_OPTIONS,
};

export type TaskOptions = typeof TASK_OPTIONS;

export type TaskField = keyof TaskOptions;

/** What a field holds as it is given. */
export type Given<F extends TaskField> =
  TaskOptions[F]['value'] extends OptionValue<infer T> ? T : never;

/** Fields that data from a queue may set. */
export type JobField = {
  [F in TaskField]: TaskOptions[F]['jobs'] extends true ? F : never;
}[TaskField];

/** Fields that become one of the pipeline's, each by itself. */
type OwnField = {
  [F in TaskField]: TaskOptions[F] extends { readonly spec: null } | { readonly limit: string }
    ? never
    : F;
}[TaskField];

type SpecField<F extends TaskField> = TaskOptions[F] extends {
  readonly spec: infer S extends string;
}
  ? S
  : F;
type AlwaysSet = {
  [F in OwnField]: TaskOptions[F] extends { readonly absent: unknown } | { readonly required: true }
    ? F
    : never;
}[OwnField];
type Made<F extends TaskField> =
  TaskOptions[F]['value'] extends OptionValue<unknown, infer V> ? V : never;

/** What those fields become. */
export type OwnFields = { readonly [F in AlwaysSet as SpecField<F>]: Made<F> } & {
  readonly [F in Exclude<OwnField, AlwaysSet> as SpecField<F>]?: Made<F>;
};

/** For loops over the table. */
export const OPTION_ROWS = Object.entries(TASK_OPTIONS) as readonly (readonly [
  TaskField,
  OptionRow,
])[];

/** The row of a field; undefined when there is no such field. */
export const optionOf = (field: string): OptionRow | undefined =>
  Object.hasOwn(TASK_OPTIONS, field) ? TASK_OPTIONS[field as TaskField] : undefined;

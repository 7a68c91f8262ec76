/** Every option of a task, defined once. Generated from this table: reader, command line, policy, JSON schema, docs/task-spec.md. */
import { COMMAND_OPTIONS } from './command-options.ts';
import { CONTAINER_OPTIONS } from './container-options.ts';
import { HANDLING_OPTIONS } from './handling-options.ts';
import { LIMIT_OPTIONS } from './limit-options.ts';
import type { OptionRow, OptionValue } from './option-row.ts';

/** Keyed by field name. Fields are checked and reported in this order. */
export const TASK_OPTIONS = {
  ...COMMAND_OPTIONS,
  ...LIMIT_OPTIONS,
  ...HANDLING_OPTIONS,
  ...CONTAINER_OPTIONS,
};

export type TaskOptions = typeof TASK_OPTIONS;

export type TaskField = keyof TaskOptions;

/** The type of a field in the caller's input. */
export type Given<F extends TaskField> =
  TaskOptions[F]['value'] extends OptionValue<infer T> ? T : never;

/** Fields that data from a queue may set. */
export type JobField = {
  [F in TaskField]: TaskOptions[F]['jobs'] extends true ? F : never;
}[TaskField];

/** Fields that each become one field of the pipeline. */
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
  [F in OwnField]: TaskOptions[F] extends { readonly absent: unknown } ? F : never;
}[OwnField];
type Made<F extends TaskField> =
  TaskOptions[F]['value'] extends OptionValue<unknown, infer V> ? V : never;

/** The types of these fields in the pipeline. */
export type OwnFields = { readonly [F in AlwaysSet as SpecField<F>]: Made<F> } & {
  readonly [F in Exclude<OwnField, AlwaysSet> as SpecField<F>]?: Made<F>;
};

/** The rows, for loops over the table. */
export const OPTION_ROWS = Object.entries(TASK_OPTIONS) as readonly (readonly [
  TaskField,
  OptionRow,
])[];

/** Returns the row of a field; undefined for an unknown field. */
export const optionOf = (field: string): OptionRow | undefined =>
  Object.hasOwn(TASK_OPTIONS, field) ? TASK_OPTIONS[field as TaskField] : undefined;

/** The shape of a task as users write it, in JSON or TypeScript: the command line's option names, in camelCase. */
import type { Given, JobField, TaskOptions } from './options/task-options.ts';

type Optional = { readonly [F in keyof TaskOptions]?: Given<F> | undefined };

/** What to run, and how. Requires `stack`, or a code package that has one. docs/task-spec.md has units, bounds and defaults. */
export interface TaskInput extends Optional {}

/** What data from a queue, a network or another user's file may say about a task: nothing that names or opens something on the host. */
export type JobInput = Pick<TaskInput, JobField>;

/** Where a task comes from: a program on this machine, trusted with what the policy allows, or data that it received from elsewhere. */
export type TaskOrigin = 'caller' | 'job';

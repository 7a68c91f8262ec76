/** unknown -> TaskSpec: the entry of every task, from the command line, the library, a file or a queue. */
import { StackshimError } from '../core/errors.ts';
import { type FieldReaders, objectOf, optional } from '../core/read-fields.ts';
import { invalidField, readInput } from './field-errors.ts';
import { parseLimits } from './limits.ts';
import { OPTION_ROWS, type OwnFields, optionOf, type TaskField } from './options/task-options.ts';
import type { JobInput, TaskInput, TaskOrigin } from './task-input.ts';
import type { HostAccess, TaskSpec } from './task-spec.ts';

const readers = Object.fromEntries(
  OPTION_ROWS.map(([field, { value }]) => [field, optional(value.read)]),
) as FieldReaders<TaskInput>;

const task = objectOf<TaskInput>(readers);

/** Checks data from a queue, a network or another user's file. Throws like {@link readTaskInput} and {@link toTaskSpec}. */
export function parseJobInput(data: unknown): JobInput {
  const job = readTaskInput(data, 'job');
  toTaskSpec(job, NO_ACCESS);
  return job;
}

/** The access of a task that asks for nothing of the host. A job cannot ask for any. */
export const NO_ACCESS: HostAccess = {
  mounts: [],
  tmpfs: [],
  devices: [],
  throttles: [],
  outputs: [],
  capAdd: [],
  capDrop: [],
  noNewPrivileges: true,
};

/** Whether a task has fields that only `parseAccess` reads. Without them, its access is {@link NO_ACCESS}. */
export const asksForAccess = (given: TaskInput): boolean =>
  OPTION_ROWS.some(([field, { spec }]) => spec === null && given[field] !== undefined);

/**
 * Checks a task as a user gave it: types, names and counts. Refuses unknown fields. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field`
 * for the first invalid field, and ERR_STACKSHIM_SPEC_DENIED for the first field that the origin may not set.
 */
export function readTaskInput(input: unknown, origin: TaskOrigin = 'caller'): TaskInput {
  const given = readInput(task, input, 'task');
  if ((given.stack ?? given.code) === undefined) {
    throw invalidField('stack', 'missing: name a stack, or a code package that has one');
  }
  if (origin === 'caller') return given;
  for (const field of Object.keys(given)) {
    const reason = whyNotOfJob(field as TaskField, given);
    if (reason === undefined) continue;
    const message = `${field}: data from a queue may not set this field: ${reason}`;
    const hint = 'set this field in the program that receives the data';
    throw new StackshimError('ERR_STACKSHIM_SPEC_DENIED', message, { hint, details: { field } });
  }
  return given;
}

/** Returns undefined if data from a queue may set the field to this value. */
function whyNotOfJob(field: TaskField, given: TaskInput): string | undefined {
  const row = optionOf(field);
  if (row !== undefined && row.jobs !== true) return row.jobs;
  const value = given[field];
  return (typeof value === 'string' && row?.refusesJob?.(value)) || undefined;
}

/**
 * Builds the spec of a task: every quantity in its base unit, paths normalised, defaults that need no policy filled in. Throws
 * ERR_STACKSHIM_SPEC_INVALID with `details.field` for the first invalid field.
 */
export function toTaskSpec(given: TaskInput, access: HostAccess): TaskSpec {
  const spec: TaskSpec = {
    ...parseOwnFields(given),
    limits: parseLimits(given, ({ field }) => field),
    ...access,
  };
  // Only the host's user namespace can mount a /proc of the host's pid namespace.
  if (spec.pid === 'host' && spec.userns !== 'host') {
    throw invalidField('pid', 'also needs userns host', spec.pid);
  }
  if (given.payload !== undefined && given.payloadFile !== undefined) {
    throw invalidField('payload', 'given together with payloadFile; give one of them');
  }
  return spec;
}

/** Does not compile if the pipeline lacks the field of a row, or has it with another type. */
function parseOwnFields(given: TaskInput): Pick<TaskSpec, keyof OwnFields> {
  const parsed: Record<string, unknown> = {};
  for (const [field, { value, limit, spec = field, absent }] of OPTION_ROWS) {
    if (spec === null || limit !== undefined) continue;
    const own = given[field];
    if (own !== undefined) parsed[spec] = value.parse(own, field);
    else if (absent !== undefined) parsed[spec] = absent;
  }
  return parsed as unknown as OwnFields;
}

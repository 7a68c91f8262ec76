/** unknown -> TaskSpec: the entry of every task, from the command line, the library, a file or a queue. */
import { StackshimError } from '../core/errors.ts';
import { type FieldReaders, objectOf, optional } from '../core/read-fields.ts';
import { invalidField, readInput } from './field-errors.ts';
import { parseLimits, parseThrottles } from './limits.ts';
import { OPTION_ROWS, type OwnFields, optionOf } from './options/task-options.ts';
import { parseMounts } from './parse-mounts.ts';
import { parseSecurityOpts } from './parse-rights.ts';
import type { JobInput, TaskInput, TaskOrigin } from './task-input.ts';
import type { TaskSpec } from './task-spec.ts';

const readers = Object.fromEntries(
  OPTION_ROWS.map(([field, { value, required }]) => [
    field,
    required ? value.read : optional(value.read),
  ]),
) as FieldReaders<TaskInput>;

/** Every field a task may have. */
export const TASK_INPUT_FIELDS = OPTION_ROWS.map(([field]) => field);

const task = objectOf<TaskInput>(readers);

/** Checks types, names and counts of a task as given. Throws ERR_STACKSHIM_SPEC_INVALID that names the first invalid field. */
export const parseTaskInput = (input: unknown): TaskInput => readInput(task, input, 'task');

/**
 * Parses a task as a user gave it ({@link TaskInput}): every quantity in its base unit, paths normalised, defaults that need no policy filled in.
 * Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` for the first invalid field; unknown fields are refused. Throws
 * ERR_STACKSHIM_SPEC_DENIED for the first field that its origin may not set.
 */
export function parseTaskSpec(input: unknown, origin: TaskOrigin = 'caller'): TaskSpec {
  return toTaskSpec(readFrom(origin, input));
}

/** Checks data from a queue, a network or another user's file. Throws like {@link parseTaskSpec}. */
export function parseJobInput(data: unknown): JobInput {
  const job = readFrom('job', data);
  toTaskSpec(job);
  return job;
}

function readFrom(origin: TaskOrigin, input: unknown): TaskInput {
  const given = parseTaskInput(input);
  if (origin === 'caller') return given;
  for (const field of Object.keys(given)) {
    const jobs = optionOf(field)?.jobs;
    if (jobs === true) continue;
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_DENIED',
      `${field}: data from a queue may not set this field: ${jobs}`,
      { hint: 'set this field in the program that receives the data', details: { field } },
    );
  }
  return given;
}

function toTaskSpec(given: TaskInput): TaskSpec {
  const spec: TaskSpec = {
    ...parseOwnFields(given),
    limits: parseLimits(given, ({ field }) => field),
    throttles: parseThrottles(given),
    ...parseMounts(given),
    ...parseSecurityOpts(given.securityOpt ?? [], 'securityOpt'),
  };
  // The kernel shows the host's processes only to the host's user namespace: no other one can mount a /proc of them.
  if (spec.pid === 'host' && spec.userns !== 'host') {
    throw invalidField('pid', 'also needs userns host', spec.pid);
  }
  if (given.payload !== undefined && given.payloadFile !== undefined) {
    throw invalidField('payload', 'given together with payloadFile; give one of them');
  }
  return spec;
}

/** Does not compile for a row whose field the pipeline lacks or has with another type. */
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

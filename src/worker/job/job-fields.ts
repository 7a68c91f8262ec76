/** The fields of a job besides its task's: readers, JSON schemas and descriptions in one table. Pure. */
import {
  date,
  FieldFault,
  type FieldReaders,
  integer,
  listOf,
  numberOr,
  objectOf,
  oneOf,
  optional,
  type Reader,
  textUpTo,
} from '../../core/read-fields.ts';
import type { JsonSchema } from '../../spec/options/option-row.ts';
import { PACKAGE_REFERENCE, STACK_REFERENCE } from '../../spec/parse-command.ts';
import { BYTES, DURATION } from '../../spec/quantities.ts';
import { SPEC_BOUNDS as BOUNDS } from '../../spec/spec-bounds.ts';
import type { JobInput } from '../../spec/task-input.ts';
import { type CancelMark, JOB_VERSION, type JobData } from './job-data.ts';

/** The job fields that are not options of its task, and those that a job writes in another form than a task. */
export type OwnJobField = Exclude<
  keyof JobData,
  Exclude<keyof JobInput, 'stack' | 'code' | 'payload'>
>;

export type OwnJobData = Pick<JobData, OwnJobField>;

/** The form of a schedule's id, which is part of the ids of its jobs. */
export const SCHEDULE_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
/** The longest name of the caller who cancels a job, in characters. */
export const BY_CHARS = 200;

const matching = (pattern: RegExp, problem: string): Reader<string | undefined> =>
  optional((value, field) => {
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw new FieldFault(field, problem, typeof value === 'string' ? value : undefined);
  });

/** The length of the base64 text of this many bytes. */
const charsOfBase64 = (bytes: number) => Math.ceil(bytes / 3) * 4;
const readBase64: Reader<string> = (value, field) => {
  const read = textUpTo(charsOfBase64(BOUNDS.jobInputBytes))(value, field);
  if (Buffer.from(read, 'base64').toString('base64') === read) return read;
  throw new FieldFault(field, 'not base64 with padding, as RFC 4648 defines it');
};

const base64Text: JsonSchema = {
  type: 'string',
  maxLength: charsOfBase64(BOUNDS.jobInputBytes),
  pattern: '^[A-Za-z0-9+/]*={0,2}$',
};
const quantity = (pattern: RegExp, number: JsonSchema): JsonSchema => ({
  anyOf: [{ type: 'string', pattern: pattern.source }, number],
});

const readOutput: Reader<string> = (value, field) => {
  const read = textUpTo(BOUNDS.pathBytes)(value, field);
  if (read.includes(':')) throw new FieldFault(field, 'has ":": a job names sources alone', read);
  return read;
};

const mark = objectOf<CancelMark>({ at: date, by: optional(textUpTo(BY_CHARS)) });

const textOf = (file: string) => ({
  read: optional(textUpTo(BOUNDS.jobInputBytes)),
  schema: { type: 'string', maxLength: BOUNDS.jobInputBytes },
  takes: `text that the task reads from ${file}, at most 64 KiB in UTF-8 unless the policy says otherwise`,
});

export const JOB_FIELDS: {
  readonly [F in OwnJobField]: {
    readonly read: FieldReaders<OwnJobData>[F];
    readonly schema: JsonSchema;
    /** What the field takes; also its description in the JSON schema. */
    readonly takes: string;
  };
} = {
  version: {
    read: oneOf(JOB_VERSION),
    schema: { const: JOB_VERSION },
    takes: 'the version of this format: 1',
  },
  stack: {
    read: matching(STACK_REFERENCE, 'not NAME, NAME@rev:N or NAME@sha256:…'),
    schema: { type: 'string', pattern: STACK_REFERENCE.source },
    takes:
      '`name`, `name@rev:N` or `name@sha256:…`; needed unless `code` names a package that has a stack',
  },
  code: {
    read: matching(PACKAGE_REFERENCE, 'not a code package: NAME, NAME@rev:N or NAME@sha256:…'),
    schema: { type: 'string', pattern: PACKAGE_REFERENCE.source },
    takes: "a code package of the queue's tenant: `name`, `name@rev:N` or `name@sha256:…`",
  },
  payload: textOf('PAYLOAD_FILE'),
  payloadBase64: {
    read: optional(readBase64),
    schema: base64Text,
    takes:
      'the same in base64, for bytes that are not UTF-8 or contain NUL; not together with `payload`',
  },
  config: textOf('CONFIG_FILE'),
  configBase64: {
    read: optional(readBase64),
    schema: base64Text,
    takes: 'the same in base64; not together with `config`',
  },
  retries: {
    read: optional(integer(0, BOUNDS.jobRetries)),
    schema: { type: 'integer', minimum: 0, maximum: BOUNDS.jobRetries },
    takes: "further attempts after a failure of the task, 0 to 10; default: the package's, else 0",
  },
  retryDelay: {
    read: optional(numberOr(textUpTo(BOUNDS.optionChars))),
    schema: quantity(DURATION, { type: 'number', minimum: 0, maximum: BOUNDS.jobDelayMsMax }),
    takes: 'time before a further attempt: `30s`, or milliseconds as a number; default 0',
  },
  backoff: {
    read: optional(oneOf('fixed', 'exponential')),
    schema: { enum: ['fixed', 'exponential'] },
    takes:
      '`exponential`: the time before a further attempt doubles with each attempt; default `fixed`',
  },
  memoryRetry: {
    read: optional(numberOr(textUpTo(BOUNDS.optionChars))),
    schema: quantity(BYTES, { type: 'integer', minimum: BOUNDS.memoryBytesMin }),
    takes: 'memory of one further attempt after the task was killed for lack of memory: `1g`',
  },
  outputs: {
    read: optional(listOf(readOutput, BOUNDS.outputs)),
    schema: { type: 'array', maxItems: BOUNDS.outputs, items: { type: 'string', minLength: 1 } },
    takes:
      'files and folders of the task that are kept with the job, patterns allowed: `["report-*.pdf"]`',
  },
  scheduleId: {
    read: matching(SCHEDULE_ID, 'not the id of a schedule'),
    schema: { type: 'string', pattern: SCHEDULE_ID.source },
    takes: 'the id of the schedule that queued the job',
  },
  cancelled: {
    read: optional(mark),
    schema: {
      type: 'object',
      additionalProperties: false,
      required: ['at'],
      properties: {
        at: {
          type: 'string',
          pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z$',
        },
        by: { type: 'string', maxLength: BY_CHARS },
      },
    },
    takes:
      'set by `cancel`: when, in ISO 8601 (UTC), and by whom; a worker ends such a job without running it',
  },
};

export const isOwnJobField = (name: string): name is OwnJobField => Object.hasOwn(JOB_FIELDS, name);

/** Reads the fields of the table and refuses others. */
export const readOwnFields: Reader<OwnJobData> = objectOf<OwnJobData>(
  Object.fromEntries(
    Object.entries(JOB_FIELDS).map(([name, { read }]) => [name, read]),
  ) as unknown as FieldReaders<OwnJobData>,
);

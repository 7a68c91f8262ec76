/** The options that describe a job of a queue: a task's options that jobs may set, and the queue's own. */
import { invalidInput } from '../../spec/field-errors.ts';
import { OPTION_ROWS, type TaskField } from '../../spec/options/task-options.ts';
import type { JobRequest } from '../../worker/client/queues.ts';
import { keyOf, type OptionTable, type OptionValues } from './plain-line.ts';
import { fieldOf, type RunOptions } from './run-options.ts';

/** `run` takes these fields in another form. */
const IN_ANOTHER_FORM: ReadonlySet<TaskField> = new Set(['stack', 'code', 'payload', 'command']);

const TASK_ROWS: OptionTable = OPTION_ROWS.flatMap(([field, { flags, help, jobs }]) =>
  flags === undefined || jobs !== true || IN_ANOTHER_FORM.has(field)
    ? []
    : [[flags, help] as const],
);

const INPUTS = [
  ['--stack <stack>', 'name, name@rev:N or name@sha256:… (default: that of the code package)'],
  ['--code <package>', 'a code package of the tenant: name, name@rev:N or name@sha256:…'],
  ['--payload <text>', 'text that the task reads from the file PAYLOAD_FILE; - for standard input'],
  ['--payload-file <file>', 'read the payload from a file; - for standard input'],
  ['--config-file <file>', 'a file that the task reads as CONFIG_FILE'],
] as const;

const OF_JOBS = [
  ['--env-file <file…>', 'read environment variables from a file'],
  ['--output <src…>', 'keep a file or folder of the task as an artefact of the job'],
  [
    '--retries <n>',
    'further attempts after a failure, up to 10 (default: those of the package, else 0)',
  ],
  ['--retry-delay <duration>', 'time before a further attempt: 30s (default: 0)'],
  ['--backoff <kind>', 'fixed, or exponential: the time doubles with each attempt'],
  ['--memory-retry <size>', 'memory of one further attempt after the task ran out of memory'],
  [
    '--priority <n>',
    "among the tenant's jobs of the queue; 0 comes first (default: that of the package, else 0)",
  ],
] as const;

export const JOB_OPTIONS: OptionTable = [...INPUTS, ...TASK_ROWS, ...OF_JOBS];

/** {@link toTaskFields} reads the other rows of a task. */
export type JobLineOptions = OptionValues<(typeof INPUTS | typeof OF_JOBS)[number][0]> &
  Pick<RunOptions, 'env' | 'label'>;

/** Reads the files that the options name; the client checks everything else. */
export async function toJobRequest(
  command: readonly string[],
  options: JobLineOptions,
): Promise<JobRequest> {
  const { stack, code, output, retries, retryDelay, backoff, memoryRetry } = options;
  const { readEntries } = await import('../read-entries.ts');
  const { env, labels } = readEntries(options);
  const given = {
    ...toTaskFields(options),
    ...{ stack, code, labels, outputs: output, retryDelay, backoff, memoryRetry },
    ...(command.length === 0 ? {} : { command }),
    ...(Object.keys(env).length === 0 ? {} : { env }),
    retries: toNumber('retries', retries),
    ...(await readInputs(options)),
  };
  // The client refuses a backoff other than the two words.
  return given as JobRequest;
}

/** Returns the fields that the rows of a task set. */
function toTaskFields(options: JobLineOptions): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = {};
  for (const [flags] of TASK_ROWS) {
    const key = keyOf(flags);
    const field = fieldOf(key);
    const value: unknown = Reflect.get(options, key);
    if (field !== undefined && value !== undefined) fields[field] = value;
  }
  const { env: _, labels: __, ...others } = fields;
  return others;
}

async function readInputs(
  options: JobLineOptions,
): Promise<Pick<JobRequest, 'payload' | 'config'>> {
  const { payload, payloadFile, configFile } = options;
  if (payload !== undefined && payloadFile !== undefined) {
    throw invalid('payload', '--payload and --payload-file: give one of them');
  }
  const path = payload === '-' ? '-' : payloadFile;
  const { readBytes } = await import('../queues/read-bytes.ts');
  return {
    payload: path === undefined ? payload : await readBytes(path, 'payloadFile'),
    config: configFile === undefined ? undefined : await readBytes(configFile, 'configFile'),
  };
}

/** Returns undefined for undefined. Throws ERR_STACKSHIM_SPEC_INVALID for text that is not a whole number. */
export function toNumber(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw invalid(field, `--${field} ${JSON.stringify(text.slice(0, 200))}: not a whole number`);
}

const invalid = (field: string, problem: string) => invalidInput(field, `queue job: ${problem}`);

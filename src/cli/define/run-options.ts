/** The options of `run` (the table of a task's options, and the command line's own), and the task input that they make. */
import { resolve } from 'node:path';
import type { ErrorJson } from '../../core/errors.ts';
import {
  OPTION_ROWS,
  optionOf,
  type TASK_OPTIONS,
  type TaskField,
} from '../../spec/options/task-options.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import { toAbsolute } from '../../sys/paths.ts';
import {
  keyOf,
  type OptionTable,
  type OptionValues,
  type PlainLine,
  readPlainLine,
} from './plain-line.ts';

type Rows = typeof TASK_OPTIONS;

/** Options that are not part of the task: where its environment comes from, and where its result goes. */
const OWN = {
  detach: ['-d, --detach', 'print the id, and leave the task to a process of its own'],
  envFile: ['--env-file <file…>', 'read environment variables from a file'],
  rm: ['--rm', 'accepted as in docker; has no effect, because every task is removed'],
  result: ['--result <file>', 'write the result record as JSON'],
  json: ['--json', 'capture output and print one JSON object'],
  verbose: ['--verbose', 'tell on standard error which phase the task is in, and when'],
  events: ['--events <file>', 'write events as they happen, one JSON object per line'],
} as const;

type Flags = {
  [F in TaskField]: Rows[F] extends { readonly flags: infer S } ? S : never;
}[TaskField];
export type RunOptions = OptionValues<Flags | (typeof OWN)[keyof typeof OWN][0]>;

/** [flags, description]. A value in `<>` whose name ends in `…` may be given more than once. */
export const RUN_OPTIONS: OptionTable = [
  ...OPTION_ROWS.flatMap(([, { flags, help }]) =>
    flags === undefined ? [] : [[flags, help] as const],
  ),
  ...Object.values(OWN),
];

/** Returns the field of a task that an option sets; undefined for the command line's own options. */
export function fieldOf(key: string): TaskField | undefined {
  if (Object.hasOwn(OWN, key)) return undefined;
  const row =
    OPTION_ROWS.find(([field]) => field === key) ??
    OPTION_ROWS.find(([, { flags }]) => flags !== undefined && keyOf(flags) === key);
  return row?.[0];
}

/** Reads the words after `run` if they are a plain line: the first word is the stack. */
export const readRunLine = (args: readonly string[]): PlainLine | undefined =>
  readPlainLine(args, RUN_OPTIONS);

/** Reads the env files. Passes everything else on unchanged: one parser checks it. */
export async function toTaskInput(
  stack: string | undefined,
  command: readonly string[],
  options: RunOptions,
): Promise<TaskInput> {
  const given: Record<string, unknown> = { stack, command };
  for (const [key, value] of Object.entries(options)) {
    const field = fieldOf(key);
    if (field !== undefined) given[field] = value;
  }
  return {
    ...(given as unknown as TaskInput),
    ...toMounts(options),
    ...(await toEntries(options)),
  };
}

/** Returns the values of `--mount` and `--volume`, with relative sources resolved. */
export const toMounts = ({ mount, volume }: RunOptions) => ({
  mounts: mount?.map(fromHere),
  volumes: volume?.map((entry) => resolveHere(entry)),
});

/** As in docker, a relative source begins with a dot: without the dot, it would name a volume. */
const RELATIVE = /^\.{1,2}(?=[/:]|$)[^:]*/;

const resolveHere = (source: string) =>
  source.replace(RELATIVE, (path) => resolve(toAbsolute(path)));

const fromHere = (mount: string) =>
  mount
    .split(',')
    .map((part) =>
      part.replace(/^(source|src)=(.*)$/s, (_, key, path) => `${key}=${resolveHere(path)}`),
    )
    .join(',');

async function toEntries(options: RunOptions): Promise<Pick<TaskInput, 'env' | 'labels'>> {
  const { env, envFile, label } = options;
  if (env === undefined && envFile === undefined && label === undefined) return { env: {} };
  const { readEntries } = await import('../read-entries.ts');
  return readEntries(options);
}

const FIELD_ERROR_CODES = new Set([
  'ERR_STACKSHIM_SPEC_INVALID',
  'ERR_STACKSHIM_SPEC_DENIED',
  'ERR_STACKSHIM_DISK_FULL',
]);

/** Replaces a task's field in an error by its option: `--volume`, not `volumes[0]`. Keeps errors about no field, or one without an option. */
export function nameOptions(error: ErrorJson): ErrorJson {
  if (!FIELD_ERROR_CODES.has(error.code)) return error;
  const [, field = '', rest = ''] = /^([a-zA-Z]+)(?:\[\d+\])?(.*)$/s.exec(error.message) ?? [];
  const option = toOption(field);
  return option === undefined ? error : { ...error, message: `${option}${rest}` };
}

function toOption(field: string): string | undefined {
  if (field === '') return undefined;
  const row = optionOf(field);
  if (row?.name !== undefined) return row.name;
  const flags = row?.flags ?? RUN_OPTIONS.find(([own]) => keyOf(own) === field)?.[0];
  return /--[a-z-]+/.exec(flags ?? '')?.[0];
}

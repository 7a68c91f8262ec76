/** The options of `run`: those in the table of a task's options, and the command line's own. Reads plain lines without commander. */

import type { ErrorJson } from '../../core/errors.ts';
import {
  OPTION_ROWS,
  optionOf,
  type TASK_OPTIONS,
  type TaskField,
} from '../../spec/options/task-options.ts';

type Rows = typeof TASK_OPTIONS;

/** Not part of the task: where its environment comes from, and where its result goes. */
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
type Camel<S> = S extends `${infer First}-${infer Rest}` ? `${First}${Capitalize<Camel<Rest>>}` : S;
type KeyOf<S> = S extends `${string}--${infer Long} ${string}`
  ? Camel<Long>
  : S extends `${string}--${infer Long}`
    ? Camel<Long>
    : never;
type ValueOf<S> = S extends `${string}…>`
  ? readonly string[]
  : S extends `${string}>`
    ? string
    : boolean;

/** The values on a command line by option name; options that were not given are absent. */
export type RunOptions = {
  readonly [S in Flags | (typeof OWN)[keyof typeof OWN][0] as KeyOf<S>]?: ValueOf<S>;
};

/** [flags, description]; a value in `<>` whose name ends in `…` may be given more than once. */
export const RUN_OPTIONS: OptionTable = [
  ...OPTION_ROWS.flatMap(([, { flags, help }]) =>
    flags === undefined ? [] : [[flags, help] as const],
  ),
  ...Object.values(OWN),
];

/** The name that commander uses: `cpuShares`. */
export const keyOf = (flags: string): string =>
  (/--([a-z-]+)/.exec(flags)?.[1] ?? '').replace(/-(.)/g, (_, letter: string) =>
    letter.toUpperCase(),
  );

/** The field of a task that an option sets; undefined for the command line's own options. */
export function fieldOf(key: string): TaskField | undefined {
  if (Object.hasOwn(OWN, key)) return undefined;
  const row =
    OPTION_ROWS.find(([field]) => field === key) ??
    OPTION_ROWS.find(([, { flags }]) => flags !== undefined && keyOf(flags) === key);
  return row?.[0];
}

export interface RunLine {
  readonly stack: string;
  /** Everything after the stack. */
  readonly rest: readonly string[];
  readonly options: RunOptions;
}

interface OptionForm {
  /** `cpuShares` */
  readonly key: string;
  readonly takesValue: boolean;
  readonly isRepeatable: boolean;
}

/**
 * Reads what follows `run` without commander, which takes 2 ms to load and to read a line. Both use the same table and give the same
 * result. Undefined for any unusual line: a call for help, a mistake, a short option joined with its value or with others, `--` before the
 * stack. commander reads those lines, or reports what is wrong.
 */
export function readRunLine(args: readonly string[]): RunLine | undefined {
  const line = readPlainLine(args, RUN_OPTIONS);
  if (line === undefined) return undefined;
  const { first: stack, rest, options } = line;
  return { stack, rest, options };
}

/** [flags, description] of the options of a command. */
export type OptionTable = readonly (readonly [flags: string, description: string])[];

interface PlainLine {
  /** The first word that is not an option. */
  readonly first: string;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, true | string | readonly string[]>>;
}

/** Like {@link readRunLine}, for a command with other options. */
export function readPlainLine(args: readonly string[], table: OptionTable): PlainLine | undefined {
  const options: Record<string, true | string | string[]> = {};
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (!arg.startsWith('-') || arg === '-') {
      return { first: arg, rest: args.slice(index + 1), options };
    }
    const isAssigned = arg.startsWith('--') && arg.includes('=');
    const name = isAssigned ? arg.slice(0, arg.indexOf('=')) : arg;
    const form = findForm(name, table);
    if (form === undefined || (isAssigned && !form.takesValue)) return undefined;
    const { key, takesValue, isRepeatable } = form;
    if (!takesValue) {
      options[key] = true;
      continue;
    }
    if (!isAssigned) index += 1;
    const value = isAssigned ? arg.slice(name.length + 1) : args[index];
    if (value === undefined) return undefined;
    const before = options[key];
    if (!isRepeatable) options[key] = value;
    else options[key] = Array.isArray(before) ? [...before, value] : [value];
  }
  return undefined;
}

/** A line has few options, so this search is cheaper than parsing the whole table first. */
function findForm(name: string, table: OptionTable): OptionForm | undefined {
  for (const [flags] of table) {
    if (!flags.includes(name)) continue;
    const names = flags.split(/,? /).filter((part) => part.startsWith('-'));
    if (names.includes(name)) return toForm(flags);
  }
  return undefined;
}

const toForm = (flags: string): OptionForm => ({
  key: keyOf(flags),
  takesValue: flags.endsWith('>'),
  isRepeatable: flags.endsWith('…>'),
});

const FIELD_ERROR_CODES = new Set([
  'ERR_STACKSHIM_SPEC_INVALID',
  'ERR_STACKSHIM_SPEC_DENIED',
  'ERR_STACKSHIM_DISK_FULL',
]);

/**
 * Replaces a task's field in an error by the option of the command line: `--volume`, not `volumes[0]`. Returns other errors unchanged:
 * those about no field, or about a field without an option.
 */
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

/** The options of `run`: those in the table of a task's options, and the command line's own. */
import { OPTION_ROWS, type TASK_OPTIONS, type TaskField } from '../spec/options/task-options.ts';

type Rows = typeof TASK_OPTIONS;

/** Not part of the task: where its environment comes from, and where its result goes. */
const OWN = {
  envFile: ['--env-file <file…>', 'read environment variables from a file'],
  rm: ['--rm', 'accepted as in docker; has no effect, because every task is removed'],
  result: ['--result <file>', 'write the result record as JSON'],
  json: ['--json', 'capture output and print one JSON object'],
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
export const RUN_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
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

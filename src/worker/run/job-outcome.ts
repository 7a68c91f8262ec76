/** Turns the end of a task into the end of an attempt of its job. Pure. */
import type { ErrorCode, ErrorKind } from '../../core/error-codes.ts';
import { type ErrorJson, type StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskResult, Verdict } from '../../task/result.ts';
import type { FinalState, JobResult } from '../job/job-result.ts';
import { toStorable, toStorableText } from '../job/storable.ts';

const STATES: Readonly<Record<Verdict, FinalState>> = {
  succeeded: 'complete',
  failed: 'error',
  signaled: 'error',
  build_failed: 'error',
  setup_failed: 'error',
  timed_out: 'timeout',
  cpu_time_exceeded: 'timeout',
  oom_killed: 'killed',
  output_limited: 'killed',
  disk_full: 'killed',
  cancelled: 'cancelled',
};

const LIMITS: Readonly<Partial<Record<Verdict, string>>> = {
  cpu_time_exceeded: 'the task used more processor time than its limit',
  oom_killed: 'the task ran out of memory',
  output_limited: 'the task wrote more output than its limit',
  disk_full: "the task's disk space was full",
};

/** The outcome of an attempt: the result of a task, or why there was no task. */
export type Outcome =
  | { readonly kind: 'task'; readonly task: TaskResult }
  | {
      readonly kind: 'none';
      readonly state: 'error' | 'cancelled';
      readonly error: ErrorJson;
      /** Whether the platform was at fault. */
      readonly retryable: boolean;
    };

export type NoTask = Extract<Outcome, { kind: 'none' }>;

export const withoutTask = (error: StackshimError, retryable = false): NoTask => ({
  ...{ kind: 'none', state: 'error', error: error.toJSON(), retryable },
});

/** The outcome of an attempt that failed before it had a task. */
export function failedBefore(thrown: unknown): NoTask {
  const error = toStackshimError(thrown, 'ERR_STACKSHIM_INTERNAL', 'run job');
  return withoutTask(
    error,
    PLATFORM_KINDS.includes(error.kind) || PLATFORM_CODES.includes(error.code),
  );
}

const PLATFORM_KINDS: readonly ErrorKind[] = ['exhausted', 'unavailable', 'internal', 'aborted'];
/** Faults of the machine whose codes have another kind, because a caller's request can cause them, too. */
const PLATFORM_CODES: readonly ErrorCode[] = [
  'ERR_STACKSHIM_POLICY_INVALID',
  'ERR_STACKSHIM_NOT_ROOT',
  'ERR_STACKSHIM_PATH_UNTRUSTED',
];

type Copied = 'attempt' | 'worker' | 'code' | 'progress' | 'artefacts';

export interface AttemptFacts extends Pick<JobResult, Copied> {
  /** When the command started; null if it never ran. */
  readonly startedAt: Date | null;
  readonly finishedAt: Date;
}

/** How many entries of an output a result lists; the job's artefacts list more. */
const LISTED = 50;
/** The most characters of these entries, over all outputs. */
const LISTED_CHARS = 65_536;

export function toJobResult(outcome: Outcome, facts: AttemptFacts): JobResult {
  const { startedAt, finishedAt, ...rest } = facts;
  const task = outcome.kind === 'task' ? outcome.task : null;
  const { error, retryable } = outcome.kind === 'task' ? outcome.task : outcome;
  let state = outcome.kind === 'task' ? STATES[outcome.task.verdict] : outcome.state;
  // A job whose artefacts could not be kept is not complete, even if its command succeeded.
  if (state === 'complete' && error !== null) state = 'error';
  return toStorable({
    ...{ state, error, retryable },
    ...rest,
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt.toISOString(),
    task: task && withShortLists(task),
  });
}

function withShortLists(task: TaskResult): TaskResult {
  if (task.outputs === undefined) return task;
  let leftChars = LISTED_CHARS;
  const shorten = <T>(entries: readonly T[]): readonly T[] =>
    entries.slice(0, LISTED).filter((entry) => {
      leftChars -= JSON.stringify(entry).length;
      return leftChars > 0;
    });
  const outputs = task.outputs.map(({ taken, leftOut, ...output }) => ({
    ...output,
    taken: shorten(taken),
    leftOut: shorten(leftOut),
  }));
  return { ...task, outputs };
}

/** The longest sentence for people that the store keeps, in characters. */
export const REASON_CHARS = 1_000;

/** One sentence for people that begins with the state. */
export function toReason({ state, error, task }: JobResult): string {
  return toStorableText(`${state}: ${explain(state, error, task)}`, REASON_CHARS);
}

function explain(state: FinalState, error: ErrorJson | null, task: TaskResult | null): string {
  if (task === null || error !== null) return error?.message ?? 'no task was run';
  const limit = LIMITS[task.verdict];
  if (limit !== undefined) return `${task.verdict}: ${limit}`;
  if (state === 'timeout') return 'the task ran longer than its timeout';
  if (state === 'cancelled') return 'the task was ended by a request';
  if (task.signal !== null) return `${task.signal} ended the command`;
  return task.exitCode === null
    ? task.verdict
    : `the command ended with exit code ${task.exitCode}`;
}

/** The smoke command of a stack: named by a label, and run as a real task before a revision becomes current. */
import { messageOf, StackshimError } from '../core/errors.ts';
import { type Image, STACK_LABELS } from '../store/images/image.ts';
import type { Revision } from '../store/stacks/revisions.ts';
import type { TaskResult } from '../task/result.ts';

export interface SmokeOptions {
  /** Wall time after which the task is ended. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a command as a task with empty standard input and captured output, and removes the task. */
export type SmokeRunner = (
  revision: Pick<Revision, 'stack' | 'revision'>,
  command: readonly string[],
  options: SmokeOptions,
) => Promise<TaskResult>;

const MAX_COMMAND_ARGS = 1000;
const KEPT_OUTPUT_CHARS = 8 * 1024;

/** The command in an image's label: a JSON array of strings, or a line for `/bin/sh -c`. Throws ERR_STACKSHIM_BUILD_FAILED. */
export const parseSmokeLabel = (image: Image): readonly string[] =>
  parseCommand(image.config.labels[STACK_LABELS.smoke] ?? '', toBadLabel);

/** Like {@link parseSmokeLabel}, for a command that a caller names. Throws ERR_STACKSHIM_SPEC_INVALID. */
export const parseSmokeOption = (text: string): readonly string[] =>
  parseCommand(text, toBadOption);

function parseCommand(text: string, toError: typeof toBadOption): readonly string[] {
  const line = text.trim();
  if (line === '') throw toError('missing');
  if (!line.startsWith('[')) return ['/bin/sh', '-c', line];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw toError(`not JSON: ${messageOf(error)}`, error);
  }
  if (!isCommand(value)) throw toError('not an array of strings');
  return value;
}

const isCommand = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.length <= MAX_COMMAND_ARGS &&
  value.every((word) => typeof word === 'string');

/** Runs the smoke command on a revision, which need not be current. Throws ERR_STACKSHIM_SMOKE_FAILED. */
export async function runSmoke(
  revision: Revision,
  command: readonly string[],
  options: SmokeOptions & { readonly run: SmokeRunner; readonly hint?: string },
): Promise<TaskResult> {
  const { run, hint, ...limits } = options;
  const result = await run(revision, command, limits);
  const { verdict, exitCode, signal, error, output } = result;
  if (verdict === 'succeeded') return result;
  const { stack, revision: number } = revision;
  const reason = `${verdict}${toReason(result, limits)}`;
  const message = `smoke-test ${stack} revision ${number}: ${reason}`;
  const details = {
    ...{ stack, revision: number, command, verdict, exitCode, signal, error },
    stdout: (output.stdout ?? '').slice(-KEPT_OUTPUT_CHARS),
    stderr: (output.stderr ?? '').slice(-KEPT_OUTPUT_CHARS),
  };
  throw new StackshimError('ERR_STACKSHIM_SMOKE_FAILED', message, { hint, details });
}

function toReason(result: TaskResult, { timeoutMs }: SmokeOptions): string {
  if (result.error !== null) return `: ${result.error.message}`;
  if (result.verdict === 'timed_out') return ` after ${timeoutMs / 1000} s`;
  return result.exitCode === null ? '' : `: exit ${result.exitCode}`;
}

function toBadOption(reason: string, cause?: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `read smoke command: ${reason}`, {
    hint: 'give a JSON array such as ["python3","-c","import ssl"], or a line for /bin/sh -c',
    details: { field: 'smoke' },
    cause,
  });
}

function toBadLabel(reason: string, cause?: unknown): StackshimError {
  const label = STACK_LABELS.smoke;
  return new StackshimError('ERR_STACKSHIM_BUILD_FAILED', `read label ${label}: ${reason}`, {
    hint: `add a line to the Dockerfile such as LABEL ${label}='["python3","-c","import ssl"]'`,
    cause,
  });
}

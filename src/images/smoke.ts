/** The smoke command of a stack: said by a label, run as a real task before a revision becomes current. */
import { messageOf, StackshimError } from '../core/errors.ts';

import { type Image, STACK_LABELS } from '../stacks/image.ts';
import type { Revision } from '../stacks/revisions.ts';
import type { TaskResult } from '../task/result.ts';

export interface SmokeOptions {
  /** Wall time after which the task is to be ended. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Runs a command as a task: stdin empty, output captured, removed afterwards. */
export type SmokeRunner = (
  revision: Pick<Revision, 'stack' | 'revision'>,
  command: readonly string[],
  options: SmokeOptions,
) => Promise<TaskResult>;

const MAX_COMMAND_ARGS = 1000;
const KEPT_OUTPUT_CHARS = 8 * 1024;

/** The command in an image's label: a JSON array of strings, or a line for `/bin/sh -c`. Throws ERR_STACKSHIM_BUILD_FAILED. */
export function parseSmokeCommand(image: Image): readonly string[] {
  const label = image.config.labels[STACK_LABELS.smoke]?.trim() ?? '';
  if (label === '') throw toBadLabel('missing');
  if (!label.startsWith('[')) return ['/bin/sh', '-c', label];
  let value: unknown;
  try {
    value = JSON.parse(label);
  } catch (error) {
    throw toBadLabel(`not JSON: ${messageOf(error)}`, error);
  }
  if (!isCommand(value)) throw toBadLabel('not an array of strings');
  return value;
}

const isCommand = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.length <= MAX_COMMAND_ARGS &&
  value.every((word) => typeof word === 'string');

/** Runs the smoke command on a revision that need not be current. Throws ERR_STACKSHIM_SMOKE_FAILED. */
export async function runSmoke(
  revision: Revision,
  command: readonly string[],
  options: SmokeOptions & { readonly run: SmokeRunner },
): Promise<TaskResult> {
  const { run, ...limits } = options;
  const result = await run(revision, command, limits);
  if (result.verdict === 'succeeded') return result;
  throw new StackshimError(
    'ERR_STACKSHIM_SMOKE_FAILED',
    `smoke-test ${revision.stack} revision ${revision.revision}: ${result.verdict}${toReason(result)}`,
    {
      details: {
        stack: revision.stack,
        revision: revision.revision,
        command,
        verdict: result.verdict,
        exitCode: result.exitCode,
        signal: result.signal,
        error: result.error,
        stdout: (result.output.stdout ?? '').slice(-KEPT_OUTPUT_CHARS),
        stderr: (result.output.stderr ?? '').slice(-KEPT_OUTPUT_CHARS),
      },
    },
  );
}

function toReason(result: TaskResult): string {
  if (result.error !== null) return `: ${result.error.message}`;
  return result.exitCode === null ? '' : `: exit ${result.exitCode}`;
}

function toBadLabel(reason: string, cause?: unknown): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_BUILD_FAILED',
    `read label ${STACK_LABELS.smoke}: ${reason}`,
    {
      hint: `give the Dockerfile a line such as LABEL ${STACK_LABELS.smoke}='["python3","-c","import ssl"]'`,
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

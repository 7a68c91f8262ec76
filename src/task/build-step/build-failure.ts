/** Turns the end of a build step into the failure of the task that needs the build. Pure. */
import { StackshimError } from '../../core/errors.ts';
import { showBytes, showDuration } from '../../spec/quantities.ts';
import type { CommandSpec } from '../../spec/task-spec.ts';
import type { BuildFailure } from '../../store/built/built-record.ts';
import type { TaskResult, Verdict } from '../result.ts';

type Limits = CommandSpec['limits'];

/** The build's failure; null if the build succeeded. Throws the platform's error if the build was not at fault. */
export function toBuildFailure(result: TaskResult, limits: Limits): BuildFailure | null {
  const { verdict, exitCode, signal, error, retryable } = result;
  if (verdict === 'succeeded') return null;
  if (retryable && error !== null) {
    const { code, message, hint, details } = error;
    throw new StackshimError(code, `run the build step: ${message}`, { hint, details });
  }
  return { verdict, exitCode, signal, reason: toReason(result, limits) };
}

const REASONS: Readonly<Partial<Record<Verdict, (limits: Limits) => string>>> = {
  timed_out: ({ buildTimeoutMs }) =>
    `timed out after ${showDuration(buildTimeoutMs)} (--build-timeout)`,
  oom_killed: ({ buildMemoryBytes }) =>
    `it ran out of memory at ${showBytes(buildMemoryBytes)} (--build-memory)`,
  disk_full: ({ buildDiskBytes }) =>
    `its disk space was full at ${showBytes(buildDiskBytes)} (--build-disk)`,
  output_limited: () => 'it wrote more than 1 GiB of output',
  cancelled: () => 'another process ended it',
};

function toReason({ verdict, exitCode, signal, error }: TaskResult, limits: Limits): string {
  const known = REASONS[verdict];
  if (known !== undefined) return known(limits);
  if (signal !== null) return `ended by ${signal}`;
  if (exitCode !== null) return `exit status ${exitCode}`;
  return error?.message ?? verdict;
}

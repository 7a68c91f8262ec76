/** Prints messages about a task that did not simply end by itself. */
import { parseDuration, showDuration } from '../../spec/quantities.ts';
import { takesBytes } from '../../sys/linux-streams.ts';
import type { TakenOutput } from '../../task/outputs/output-report.ts';
import type { TaskResult, Usage, Verdict } from '../../task/result.ts';
import { nameOptions, type RunOptions } from '../define/run-options.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { LEFT_OUT_REASONS } from '../print/left-out-reasons.ts';
import { reportError, reportLeftovers, writeMessage } from '../print/printable.ts';

const MISPLACED_OPTION_HINT =
  'options stand before the stack: stackshim run [OPTIONS] STACK COMMAND';

type StopNote = (options: RunOptions, usage: Usage) => string;

/** The messages for tasks that stackshim or the kernel ended. */
const stopNotes: Readonly<Partial<Record<Verdict, StopNote>>> = {
  timed_out: ({ timeout }, { wallMs }) =>
    timeout !== undefined && wasChanged(timeout, wallMs)
      ? `timed out after ${showDuration(Math.round(wallMs ?? 0))} (its --timeout was changed while it ran)`
      : `timed out${toLimit('after', timeout)} (--timeout)`,
  cpu_time_exceeded: ({ cpuTime }) =>
    `was killed: it used more processor time than${toLimit('', cpuTime, 'it may')} (--cpu-time)`,
  oom_killed: ({ memory }, { oomKills, socketPeakBytes }) =>
    oomKills === 0 && socketPeakBytes !== null
      ? `was killed: its sockets held up to ${formatBytes(socketPeakBytes)} in addition to its memory, more than${toLimit('', memory, 'it may')} (--memory)`
      : `was killed: it ran out of memory${toLimit('at', memory)} (--memory)`,
  output_limited: ({ outputLimit }) =>
    `was killed: it wrote more than${toLimit('', outputLimit, 'it may')} (--output-limit)`,
  disk_full: ({ disk }) => `failed: its disk space was full${toLimit('at', disk)} (--disk)`,
};

/** An end up to this long after the typed timeout may be a long grace time, which is not known here. A later end proves a change. */
const LATE_MS = 3_600_000;

/** Whether a task that timed out cannot have had the timeout that the user typed. */
function wasChanged(typed: string, wallMs: number | null): boolean {
  const typedMs = parseDuration(typed, 'timeout', { min: 0, max: Number.POSITIVE_INFINITY });
  return wallMs !== null && (wallMs < typedMs - 1 || wallMs > typedMs + LATE_MS);
}

/** Formats a limit as the user typed it. A limit from the policy is not known here. */
function toLimit(before: string, typed: string | undefined, unknown = ''): string {
  const limit = typed === undefined ? unknown : `${before} ${typed}`;
  return limit === '' ? '' : ` ${limit.trim()}`;
}

/** Prints what the task's own output does not tell a person. With `--json`, only lost log bytes and leftovers: the object has the rest. */
export function reportFailure(
  result: TaskResult,
  command: readonly string[],
  options: RunOptions,
): void {
  // After lost output, maybe nobody reads standard error either: do not block on it.
  if (result.output.lostBytes > 0 && !takesBytes(2)) return;
  if (options.json !== true) {
    const { error } = result;
    const misplaced =
      error?.code === 'ERR_STACKSHIM_COMMAND_NOT_FOUND' && command[0]?.startsWith('-');
    if (error !== null)
      reportError(nameOptions(misplaced ? { ...error, hint: MISPLACED_OPTION_HINT } : error));
    const buildLog = result.verdict === 'build_failed' ? result.build?.logTail : '';
    if (buildLog) writeMessage(`  ${buildLog.replaceAll('\n', '\n  ')}\n`);
    const note = stopNotes[result.verdict];
    if (note !== undefined)
      writeMessage(`stackshim: task ${result.id} ${note(options, result.usage)}\n`);
    for (const output of result.outputs ?? []) {
      // The error names the output, or says why there are no outputs.
      const isTold = error?.details['source'] === output.source;
      if (!isTold && result.verdict !== 'setup_failed') reportOutput(output);
    }
  }
  const { log } = result.output;
  if (log !== undefined && log.lostBytes > 0) {
    const lost = `${formatBytes(log.lostBytes)} of the log of task ${result.id} are lost`;
    const reason = log.error === null ? '' : `: ${log.error.message}`;
    writeMessage(`stackshim: ${lost}${reason}\n`);
  }
  if (result.removed || options.keep === true || options.remove === 'async') return;
  reportLeftovers(result);
}

/** Reports what is missing of an output. An output that failed has its error. */
function reportOutput({ source, state, leftOut, leftOutCount }: TakenOutput): void {
  if (state === 'missing') writeMessage(`stackshim: take ${source}: the task has no such file\n`);
  if (state !== 'partial') return;
  const [first] = leftOut;
  const more = leftOutCount > 1 ? ` and ${leftOutCount - 1} more entries` : '';
  writeMessage(
    `stackshim: take ${source}: left out ${first?.path} (${LEFT_OUT_REASONS[first?.reason ?? 'changed']})${more}\n`,
  );
}

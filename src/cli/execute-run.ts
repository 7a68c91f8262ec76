/** Runs one task with its output on this terminal; its end becomes this process's exit status. */
import { openDoor } from '../door/open-stackshim.ts';
import { takesBytes } from '../sys/linux-streams.ts';
import type { TaskResult, Usage, Verdict } from '../task/result.ts';
import { SHIM_FAILED, statusOfResult } from './exit-status.ts';
import { formatBytes } from './format-quantities.ts';
import { forwardSignals } from './forward-signals.ts';
import { nameOptions } from './name-options.ts';
import { reportError, reportLeftovers, writeMessage } from './report-error.ts';
import type { RunOptions } from './run-options.ts';
import { openRunSinks } from './run-sinks.ts';
import { startReaper } from './start-reaper.ts';
import { listenForStops } from './stop-signals.ts';
import { toTaskInput } from './to-task-input.ts';

export async function executeRun(
  stack: string,
  rest: readonly string[],
  options: RunOptions,
): Promise<void> {
  // In `STACK -- COMMAND`, `--` separates the two and is not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const input = toTaskInput(stack, command, options);
  const stops = listenForStops({ byName: true, onStop: reportInterrupt });
  const sinks = await openRunSinks(options, stops.onReaderGone);
  const forwarder = forwardSignals();
  const terminal = await openTerminal(options);
  try {
    const { result, remove, close } = await openDoor().runAndLeave(input, {
      ...stops.signals,
      ...sinks.streams,
      onEvent(event) {
        forwarder.onEvent(event);
        sinks.onEvent(event);
      },
      ...(options.interactive ? { stdin: process.stdin } : {}),
      ...(terminal?.task === undefined ? {} : { terminal: terminal.task }),
    });
    terminal?.restore();
    await sinks.finish(result);
    reportFailure(result, { command, options });
    if (options.remove === 'async' && options.keep !== true) {
      if (await startReaper(result.id)) close();
      else await remove();
    }
    const lost = sinks.lost();
    if (lost !== undefined) reportError(lost.toJSON());
    const status = statusOfResult(result, stops.received());
    process.exitCode = status === 0 && lost !== undefined ? SHIM_FAILED : status;
  } finally {
    terminal?.restore();
    stops.close();
    forwarder.close();
    // A pending read of standard input would keep this process alive.
    if (options.interactive) process.stdin.destroy();
  }
}

/** Only SIGINT comes from a person, by Ctrl-C. */
function reportInterrupt(signal: NodeJS.Signals): void {
  if (signal !== 'SIGINT') return;
  writeMessage('stackshim: interrupted: stopping the task; interrupt again to kill it\n');
}

interface Reported {
  readonly command: readonly string[];
  readonly options: RunOptions;
}

const MISPLACED_OPTION_HINT =
  'options stand before the stack: stackshim run [OPTIONS] STACK COMMAND';

type StopNote = (options: RunOptions, usage: Usage) => string;

/** The messages for tasks that stackshim or the kernel ended. */
const stopNotes: Readonly<Partial<Record<Verdict, StopNote>>> = {
  timed_out: ({ timeout }) => `timed out${toLimit('after', timeout)} (--timeout)`,
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

/** A limit as the user typed it; a limit from the policy is not known here. */
function toLimit(before: string, typed: string | undefined, unknown = ''): string {
  const limit = typed === undefined ? unknown : `${before} ${typed}`;
  return limit === '' ? '' : ` ${limit.trim()}`;
}

async function openTerminal(options: RunOptions) {
  if (options.tty !== true) return undefined;
  const { openCallerTerminal } = await import('./caller-terminal.ts');
  return openCallerTerminal({ interactive: options.interactive === true });
}

/** Prints what the task's own output does not tell a person. With `--json`, the object contains it. */
function reportFailure(result: TaskResult, { command, options }: Reported): void {
  // Lost output may mean that nobody reads standard error either: do not block on it.
  if (result.output.lostBytes > 0 && !takesBytes(2)) return;
  if (options.json !== true) {
    const { error } = result;
    const misplaced =
      error?.code === 'ERR_STACKSHIM_COMMAND_NOT_FOUND' && command[0]?.startsWith('-');
    if (error !== null)
      reportError(nameOptions(misplaced ? { ...error, hint: MISPLACED_OPTION_HINT } : error));
    const note = stopNotes[result.verdict];
    if (note !== undefined)
      writeMessage(`stackshim: task ${result.id} ${note(options, result.usage)}\n`);
  }
  if (result.removed || options.keep === true || options.remove === 'async') return;
  reportLeftovers(result);
}

/** One task, its output on this terminal, its end as this process's exit status. */
import { openDoor } from '../door/open-stackshim.ts';
import { takesBytes } from '../sys/linux-streams.ts';
import type { TaskResult, Usage, Verdict } from '../task/result.ts';
import { forwardSignals, listenForStops } from './caller-signals.ts';
import { SHIM_FAILED, statusOfResult } from './exit-status.ts';
import { formatBytes } from './format-quantities.ts';
import { nameOptions } from './name-options.ts';
import { reportError, reportLeftovers, writeMessage } from './report-error.ts';
import type { RunOptions } from './run-options.ts';
import { openRunSinks } from './run-sinks.ts';
import { startReaper } from './start-reaper.ts';
import { toTaskInput } from './to-task-input.ts';

export async function executeRun(
  stack: string,
  rest: readonly string[],
  options: RunOptions,
): Promise<void> {
  // `STACK -- COMMAND`: the dashes part the two, and are not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const input = toTaskInput(stack, command, options);
  const stops = listenForStops({ byName: true, onStop: tellOfInterrupt });
  const sinks = await openRunSinks(options, stops.readerGone);
  const forwarder = forwardSignals();
  const terminal = await openTerminal(options);
  try {
    const { result, remove, abandon } = await openDoor().runAndLeave(input, {
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
      if (await startReaper(result.id)) abandon();
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
    // Data may still be waited for on it, which would keep this process.
    if (options.interactive) process.stdin.destroy();
  }
}

/** Ctrl-C is a person's. */
function tellOfInterrupt(signal: NodeJS.Signals): void {
  if (signal !== 'SIGINT') return;
  writeMessage('stackshim: interrupted: stopping the task; interrupt again to kill it\n');
}

interface Reported {
  readonly command: readonly string[];
  readonly options: RunOptions;
}

const OPTIONS_FIRST = 'options stand before the stack: stackshim run [OPTIONS] STACK COMMAND';

type StopNote = (options: RunOptions, usage: Usage) => string;

/** What is said of a task that stackshim or the kernel ended. */
const stopNotes: Readonly<Partial<Record<Verdict, StopNote>>> = {
  timed_out: ({ timeout }) => `timed out${toLimit('after', timeout)} (--timeout)`,
  cpu_time_exceeded: ({ cpuTime }) =>
    `was killed: it used more processor time than${toLimit('', cpuTime, 'it may')} (--cpu-time)`,
  oom_killed: ({ memory }, { oomKills, socketPeakBytes }) =>
    oomKills === 0 && socketPeakBytes !== null
      ? `was killed: its sockets held up to ${formatBytes(socketPeakBytes)} beside its memory, more than${toLimit('', memory, 'it may')} (--memory)`
      : `was killed: it ran out of memory${toLimit('at', memory)} (--memory)`,
  output_limited: ({ outputLimit }) =>
    `was killed: it wrote more than${toLimit('', outputLimit, 'it may')} (--output-limit)`,
  disk_full: ({ disk }) => `failed: its disk space was full${toLimit('at', disk)} (--disk)`,
};

/** A limit as it was typed; one that the policy gave is not known here. */
function toLimit(before: string, typed: string | undefined, unknown = ''): string {
  const limit = typed === undefined ? unknown : `${before} ${typed}`;
  return limit === '' ? '' : ` ${limit.trim()}`;
}

async function openTerminal(options: RunOptions) {
  if (options.tty !== true) return undefined;
  const { openCallerTerminal } = await import('./caller-terminal.ts');
  return openCallerTerminal({ interactive: options.interactive === true });
}

/** What its own output does not tell a person. With `--json` the object says it. */
function reportFailure(result: TaskResult, { command, options }: Reported): void {
  // Standard error may well be what nobody reads.
  if (result.output.lostBytes > 0 && !takesBytes(2)) return;
  if (options.json !== true) {
    const { error } = result;
    const misplaced =
      error?.code === 'ERR_STACKSHIM_COMMAND_NOT_FOUND' && command[0]?.startsWith('-');
    if (error !== null)
      reportError(nameOptions(misplaced ? { ...error, hint: OPTIONS_FIRST } : error));
    const note = stopNotes[result.verdict];
    if (note !== undefined)
      writeMessage(`stackshim: task ${result.id} ${note(options, result.usage)}\n`);
  }
  if (result.removed || options.keep === true || options.remove === 'async') return;
  reportLeftovers(result);
}

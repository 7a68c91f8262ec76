/** Runs one task with its output on this terminal, and exits with the task's status. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { TaskResult, Verdict } from '../../task/result.ts';
import { type RunOptions, toTaskInput } from '../define/run-options.ts';
import { SHIM_FAILED, statusOfResult } from '../exit-status.ts';
import { reportError, reportInterrupt, writeMessage } from '../print/printable.ts';
import { forwardSignals, listenForStops } from './caller-signals.ts';
import { openRunSinks } from './run-sinks.ts';

const ENDED_BY_ITSELF: readonly Verdict[] = ['succeeded', 'failed', 'signaled'];

export async function executeRun(
  stack: string | undefined,
  rest: readonly string[],
  options: RunOptions,
): Promise<void> {
  // In `STACK -- COMMAND`, `--` is a separator, not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const given = await toTaskInput(stack, command, options);
  const isPiped = options.code === '-' || options.payload === '-';
  if (options.detach === true) {
    const { runDetached } = await import('./run-detached.ts');
    return await runDetached(given, options);
  }
  const { input, inputs } = isPiped
    ? (await import('./piped-input.ts')).takePipedInput(given, options)
    : { input: given, inputs: {} };
  const leavesRemoval = options.remove === 'async' && options.keep !== true;
  const reaper = leavesRemoval ? await import('./start-reaper.ts') : undefined;
  const stops = listenForStops({ byName: true, onStop: reportInterrupt('task') });
  const sinks = await openRunSinks(options, stops.onReaderGone);
  const forwarder = forwardSignals();
  const terminals = options.tty ? await import('./caller-terminal.ts') : undefined;
  const terminal = terminals?.openCallerTerminal('run task', options.interactive === true);
  const phases = await openPhases(options);
  try {
    const { result, remove, close } = await openDoor().runAndLeave(input, {
      ...stops.signals,
      ...sinks.streams,
      ...inputs,
      onEvent(event) {
        forwarder.onEvent(event);
        sinks.onEvent(event);
        phases?.onEvent(event);
      },
      ...(phases === undefined ? {} : { onPhase: phases.onPhase }),
      ...(options.interactive ? { stdin: process.stdin } : {}),
      ...(terminal?.task === undefined ? {} : { terminal: terminal.task }),
    });
    terminal?.restore();
    await sinks.finish(result);
    if (!isPlain(result)) {
      const { reportFailure } = await import('./report-task.ts');
      reportFailure(result, command, options);
    }
    if (reaper !== undefined) {
      if (await reaper.startReaper(result.id)) close();
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
    if (options.interactive || isPiped) process.stdin.destroy();
  }
}

async function openPhases({ verbose, tty }: RunOptions) {
  if (verbose !== true) return undefined;
  const { reportPhases } = await import('./report-phases.ts');
  // In raw mode, a line feed alone does not return to the left.
  const end = tty === true ? '\r\n' : '\n';
  return reportPhases((line) => writeMessage(line, end));
}

/** Whether a task ended by itself, was removed and lost nothing: then there is nothing to report. */
function isPlain({ error, removed, verdict, output, outputs = [] }: TaskResult): boolean {
  const isWhole = (output.log?.lostBytes ?? 0) === 0;
  const isTaken = outputs.every(({ state }) => state === 'complete');
  return error === null && removed && ENDED_BY_ITSELF.includes(verdict) && isWhole && isTaken;
}

/** One task, its output on this terminal, its end as this process's exit status. */

import type { TaskResult } from '../task/result.ts';
import { runTaskAndLeave } from '../task/run-task.ts';
import { statusOfResult } from './exit-status.ts';
import { reportError } from './report-error.ts';
import { reportLeftovers } from './report-leftovers.ts';
import { type RunOptions, toTaskInput } from './run-options.ts';
import { openRunSinks } from './run-sinks.ts';
import { startReaper } from './start-reaper.ts';
import { listenForStops } from './stop-signals.ts';

export async function executeRun(
  stack: string,
  rest: readonly string[],
  options: RunOptions,
): Promise<void> {
  // `STACK -- COMMAND`: the dashes part the two, and are not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const input = toTaskInput(stack, command, options);
  const sinks = openRunSinks(options);
  const stops = listenForStops();
  const terminal = await openTerminal(options);
  try {
    const { result } = await runTaskAndLeave(input, {
      ...stops.signals,
      ...sinks.streams,
      onEvent: sinks.onEvent,
      ...(options.interactive ? { stdin: process.stdin } : {}),
      ...(terminal?.task === undefined ? {} : { terminal: terminal.task }),
    });
    terminal?.restore();
    await sinks.finish(result);
    reportFailure(result, options);
    if (options.remove === 'async') startReaper(result.id);
    process.exitCode = statusOfResult(result, stops.received());
  } finally {
    terminal?.restore();
    stops.close();
    // Data may still be waited for on it, which would keep this process.
    if (options.interactive) process.stdin.destroy();
  }
}

async function openTerminal(options: RunOptions) {
  if (options.tty !== true) return undefined;
  const { openCallerTerminal } = await import('./caller-terminal.ts');
  return openCallerTerminal({ interactive: options.interactive === true });
}

/** With `--json` the object says it. */
function reportFailure(result: TaskResult, options: RunOptions): void {
  if (result.error !== null && options.json !== true) reportError(result.error);
  if (result.removed || options.keep === true || options.remove === 'async') return;
  reportLeftovers(result);
}

/** `stackshim run`: one task, its output on this terminal, its end as this process's exit status. */
import type { Command } from 'commander';
import type { TaskResult } from '../task/result.ts';
import { statusOfResult } from './exit-status.ts';
import { reportError } from './report-error.ts';
import { reportLeftovers } from './report-leftovers.ts';
import { defineRunOptions, type RunOptions, toTaskInput } from './run-options.ts';

const MORE = `
The exit status is the command's own; 124 timed out, 125 stackshim failed, 126 not executable, 127 not found,
137 out of memory or output limit, 130/143 cancelled. Options stand before STACK; what follows it is the command.`;

export function defineRun(program: Command): void {
  const command = program
    .command('run')
    .description('run a command in a stack')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument('[command...]', "the command; the image's own when not given")
    .passThroughOptions()
    .addHelpText('after', MORE)
    .action(run);
  defineRunOptions(command);
}

async function run(stack: string, rest: readonly string[], options: RunOptions): Promise<void> {
  // `STACK -- COMMAND`: the dashes part the two, and are not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const input = toTaskInput(stack, command, options);
  const { openRunSinks } = await import('./run-sinks.ts');
  const { listenForStops } = await import('./stop-signals.ts');
  const { runTaskAndLeave } = await import('../task/run-task.ts');
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
    if (options.remove === 'async') await leaveToReaper(result);
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

async function leaveToReaper({ id }: TaskResult): Promise<void> {
  const { startReaper } = await import('./start-reaper.ts');
  startReaper(id);
}

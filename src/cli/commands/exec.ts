/** `stackshim exec`: runs a further command in a running task, with its streams here, and exits with the command's status. */
import { withoutUndefined } from '../../core/read-fields.ts';
import { execAlone } from '../../door/exec-command.ts';
import type { ExecLineOptions } from '../define/exec-options.ts';
import { SHIM_FAILED, signalNumber, statusOfExit } from '../exit-status.ts';
import { reportError, reportInterrupt } from '../print/printable.ts';
import { forwardSignals, listenForStops } from '../run/caller-signals.ts';
import { openRunSinks } from '../run/run-sinks.ts';

/** Resolves to the exit status. Rejects if the command could not be started. */
export async function exec(
  id: string,
  rest: readonly string[],
  options: ExecLineOptions,
): Promise<number> {
  // In `ID -- COMMAND`, `--` is a separator, not the command.
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  const { interactive = false, tty = false, user, workdir } = options;
  const hasEnv = (options.env ?? options.envFile) !== undefined;
  const env = hasEnv ? (await import('../read-entries.ts')).readEntries(options).env : {};
  const stops = listenForStops({ byName: true, onStop: reportInterrupt('command') });
  const sinks = await openRunSinks({}, stops.onReaderGone);
  const forwarder = forwardSignals();
  const terminals = tty ? await import('../run/caller-terminal.ts') : undefined;
  const terminal = terminals?.openCallerTerminal(`execute in task ${id}`, interactive);
  try {
    const result = await execAlone(id, {
      command,
      ...stops.signals,
      ...sinks.streams,
      ...{ env, tty },
      onProcess: forwarder.follow,
      ...withoutUndefined({ user, workdir, terminal: terminal?.task }),
      ...(interactive ? { stdin: process.stdin } : {}),
    });
    const lost = sinks.lost()?.toJSON() ?? result.error;
    if (lost !== null) reportError(lost);
    const received = stops.received();
    const status = received === undefined ? statusOfExit(result) : 128 + signalNumber(received);
    return status === 0 && lost !== null ? SHIM_FAILED : status;
  } finally {
    terminal?.restore();
    stops.close();
    forwarder.close();
    // A pending read of standard input would keep this process alive.
    if (interactive) process.stdin.destroy();
  }
}

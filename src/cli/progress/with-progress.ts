/** Runs the work of a command that exchanges stacks or code packages, with its progress on stderr. */
import { StackshimError } from '../../core/errors.ts';
import type { Code } from '../../door/code.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { Stacks } from '../../door/stacks.ts';
import type { ExchangeOptions } from '../../exchange/publish-image.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { reportToolOutput } from '../print/report-tool-output.ts';
import { openStderr } from '../print/terminal.ts';
import { listenForStops } from '../run/caller-signals.ts';
import { openBuildProgress } from './build-progress-view.ts';

/** Runs `work` with its progress on stderr, of which `--json` leaves the warnings; SIGINT and SIGTERM abort it. */
export async function withProgress<T>(
  work: (exchange: Omit<ExchangeOptions, 'system'>, stacks: Stacks, code: Code) => Promise<T>,
  { json = false }: JsonOption = {},
): Promise<T> {
  const stops = listenForStops();
  const view = openBuildProgress(openStderr(), { quiet: json });
  try {
    const exchange = { onProgress: view.onProgress, signal: stops.signals.signal };
    const { stacks, code } = openDoor();
    const result = await work(exchange, stacks, code);
    view.close();
    return result;
  } catch (error) {
    view.close();
    if (error instanceof StackshimError) {
      if (json) reportToolOutput(error, false);
      else reportToolOutput(error);
    }
    throw error;
  } finally {
    stops.close();
  }
}

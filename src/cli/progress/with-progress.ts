/** Runs the work of commands with its progress on stderr. */
import { StackshimError } from '../../core/errors.ts';
import type { Code } from '../../door/code.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { Stacks } from '../../door/stacks.ts';
import type { ExchangeOptions } from '../../exchange/publish-image.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { glyphsFor } from '../print/draw-bars.ts';
import { reportToolOutput } from '../print/report-failures.ts';
import { isUtf8, openStderr } from '../print/terminal.ts';
import { whileStoppable } from '../run/caller-signals.ts';
import { type BuildProgressView, openBuildProgress } from './build-progress-view.ts';
import { type Bar, toBarLine } from './progress-bar.ts';
import { openProgressLines } from './progress-lines.ts';

/** Runs work with a progress view on stderr; `--json` leaves only warnings. A stop signal (SIGINT, SIGTERM, …) aborts the work. */
export async function withBuildView<T>(
  { json = false }: JsonOption,
  work: (view: BuildProgressView, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const view = openBuildProgress(openStderr(), { quiet: json });
  try {
    return await whileStoppable((signal) => work(view, signal));
  } finally {
    view.close();
  }
}

/** Like {@link withBuildView}, for work on one stack or package. Also prints the output of a program that failed. */
export async function withProgress<T>(
  work: (exchange: Omit<ExchangeOptions, 'system'>, stacks: Stacks, code: Code) => Promise<T>,
  options: JsonOption,
): Promise<T> {
  try {
    return await withBuildView(options, ({ onProgress }, signal) => {
      const { stacks, code } = openDoor();
      return work({ onProgress, signal }, stacks, code);
    });
  } catch (error) {
    if (error instanceof StackshimError) reportToolOutput(error, options);
    throw error;
  }
}

/**
 * Runs work with a progress view on stderr, but not with `--json`. `show` draws the bar, or in a log prints `finished` (given when a part
 * is done).
 */
export async function withCountProgress<T>(
  { json = false }: JsonOption,
  work: (show: (bar: Bar, finished?: string) => void) => Promise<T>,
): Promise<T> {
  if (json) return await work(() => undefined);
  const stream = openStderr();
  if (!stream.isTTY) {
    return await work((_, finished) => {
      if (finished !== undefined) stream.write(`${finished}\n`);
    });
  }
  const lines = openProgressLines(stream);
  const glyphs = glyphsFor(isUtf8());
  try {
    return await work((bar) => lines.set('', (cells) => toBarLine(bar, cells, glyphs)));
  } finally {
    lines.clear();
  }
}

/** Shortens a result for a disk that has room for little more. Pure. */
import type { ErrorJson } from '../../core/errors.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import type { TaskResult } from '../result.ts';

/** How many entries of each list are kept; the first number that leaves a small enough result counts. */
const KEPT = [100, 10, 1, 0];
const TEXT_CHARS = 500;

/** The first entries of the lists that callers and tasks make, and the beginnings of texts; then `shortened` is set. */
export function shortenResult(
  result: TaskResult,
  fits: (short: TaskResult) => boolean,
): TaskResult {
  const shorts = KEPT.map((count) => keepFirst(result, count));
  return shorts.find(fits) ?? keepFirst(result, 0);
}

function keepFirst(result: TaskResult, count: number): TaskResult {
  const { build, outputs, execs, leftovers, error, output } = result;
  const { log } = output;
  return {
    ...result,
    error: shortenError(error),
    output:
      log === undefined ? output : { ...output, log: { ...log, error: shortenError(log.error) } },
    ...withoutUndefined({
      build: build && { ...build, logTail: build.logTail.slice(-TEXT_CHARS) },
      execs: execs?.slice(0, count),
      outputs: outputs?.slice(0, count).map((one) => ({
        ...one,
        taken: one.taken.slice(0, count),
        leftOut: one.leftOut.slice(0, count),
        error: shortenError(one.error),
      })),
    }),
    leftovers: leftovers.slice(0, count),
    shortened: true,
  };
}

function shortenError(error: ErrorJson | null): ErrorJson | null {
  if (error === null) return null;
  const { code, kind, hint, message } = error;
  return { code, kind, message: message.slice(0, TEXT_CHARS), hint, details: {} };
}

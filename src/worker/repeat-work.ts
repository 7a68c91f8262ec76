/** Periodic work that a worker does beside its jobs. */

export interface Repetition {
  readonly signal: AbortSignal;
  readonly warn: (error: unknown, operation: string) => void;
  /** The delay before the first time. Default: 0. */
  readonly firstAfterMs?: number;
}

/**
 * Repeats the work until the signal aborts. Reports a failure and continues. Does not keep the process alive.
 *
 * @param operation Names the work in warnings.
 * @param everyMs The pause between the end of the work and its next start.
 */
export function repeatWork(
  operation: string,
  everyMs: number,
  { signal, warn, firstAfterMs = 0 }: Repetition,
  work: () => Promise<void>,
): void {
  let timer: NodeJS.Timeout | undefined;
  const plan = (ms: number) => {
    if (!signal.aborted) timer = setTimeout(() => void act(), ms).unref();
  };
  const act = async () => {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) warn(error, operation);
    }
    plan(everyMs);
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  plan(firstAfterMs);
}

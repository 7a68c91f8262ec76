/** Work that a worker does beside its jobs, again and again. */

export interface Repetition {
  readonly signal: AbortSignal;
  readonly warn: (error: unknown, operation: string) => void;
  /** Default: at once. */
  readonly firstAfterMs?: number;
}

/**
 * Repeats the work until the signal aborts. A failure is reported, and tried again. Does not keep the process alive.
 *
 * @param operation Names the work in warnings.
 * @param everyMs The pause between the end of the work and its next beginning.
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

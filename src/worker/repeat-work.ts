/** Work that a worker does beside its jobs, again and again. */

export interface RepeatedWork {
  /** Names the work in warnings. */
  readonly operation: string;
  /** Default: at once. */
  readonly firstAfterMs?: number;
  /** The pause between the end of the work and its next beginning. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly warn: (error: unknown, operation: string) => void;
  work(): Promise<void>;
}

/** Repeats the work until the signal aborts. A failure is reported, and tried again. Does not keep the process alive. */
export function repeatWork(options: RepeatedWork): void {
  const { operation, firstAfterMs = 0, everyMs, signal, warn, work } = options;
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

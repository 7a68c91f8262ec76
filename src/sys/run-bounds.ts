/** Bounds the run time of a started program and of everything that it starts. */

export interface RunBounds {
  /** When it is exceeded, the program is killed. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Kills the program when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a program was killed. */
export type GivenUp = 'timeout' | 'aborted';

export interface BoundedEnd<End> {
  readonly end: End;
  /** Undefined: the program was not killed here. */
  readonly givenUp: GivenUp | undefined;
}

/** Resolves when the program has ended, by itself or killed. Rejects like `exited`. */
export async function endWithin<End>(
  program: { readonly exited: Promise<End>; killAll(): void },
  { timeoutMs, signal }: RunBounds,
): Promise<BoundedEnd<End>> {
  let givenUp: GivenUp | undefined;
  const giveUp = (why: GivenUp) => {
    givenUp ??= why;
    program.killAll();
  };
  const onAbort = () => giveUp('aborted');
  const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs, 'timeout');
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    return { end: await program.exited, givenUp };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Ends a wait for work that may never end. */

/** Settles like `work`, but rejects with the reason of the first signal that aborts. The work itself goes on. */
export async function unlessAborted<T>(
  work: Promise<T>,
  signals: readonly AbortSignal[],
): Promise<T> {
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    for (const signal of signals) {
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true, signal: settled.signal });
    }
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    settled.abort();
  }
}

/** Repeats a call to the store until the store is back. */
import { pause } from '../../core/pause.ts';

export interface Outages {
  /** Whether the error says that the server is gone or cannot answer now, rather than that it refuses the call. */
  isOutage(error: unknown): boolean;
  /** The error for the caller in place of an error that is not an outage. Default: the same error. */
  explain?(error: unknown): unknown;
  /** Undefined until the store is closed. Then nothing is retried, and a waiting call fails with this error. */
  whyClosed(): Error | undefined;
  /** Called for each failed attempt. */
  onFailure(error: unknown): void;
  /** Called when a call succeeds after failed attempts. */
  onAnswer(): void;
}

export type WaitOut = <T>(call: () => Promise<T>) => Promise<T>;

const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/** Returns a function that settles as its call does, but repeats the call after a pause while it fails by an outage. */
export function waitOutOf(outages: Outages): WaitOut {
  const { isOutage, explain, whyClosed, onFailure, onAnswer } = outages;
  return async (call) => {
    let hasFailed = false;
    for (let pauseMs = SHORTEST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const result = await call();
        if (hasFailed) onAnswer();
        return result;
      } catch (error) {
        if (!isOutage(error)) throw explain === undefined ? error : explain(error);
        const end = whyClosed();
        if (end !== undefined) throw end;
        onFailure(error);
      }
      hasFailed = true;
      await pause(pauseMs);
    }
  };
}

/**
 * Holds takes back after the store's server was replaced by one that may lack the last acknowledged writes, and so may show jobs as waiting that
 * other workers still run. After one lock time those runs are over: their renewals fail, or their guards end them. A worker that starts within that
 * time knows of no replacement and does not wait.
 */
import type { QueueStore } from '../queue-store/queue-store.ts';

export interface StoreTrustOptions {
  readonly store: Pick<QueueStore, 'readServer'>;
  readonly lockMs: number;
  readonly monotonicMs: () => number;
  /** Called when takes are held back for `holdMs`. */
  readonly onHold: (holdMs: number) => void;
  /** Called when jobs may be taken again. */
  readonly onTrust: () => void;
  readonly onError: (error: unknown) => void;
}

export type StoreTrust = ReturnType<typeof openStoreTrust>;

export function openStoreTrust(options: StoreTrustOptions) {
  const { store, lockMs, monotonicMs, onHold, onTrust, onError } = options;
  let server: string | undefined;
  let doubts = 0;
  let [isAsking, isTrusted] = [false, false];
  let untilMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const hold = () => {
    untilMs = monotonicMs() + lockMs;
    clearTimeout(timer);
    // A timer may fire a moment early.
    timer = setTimeout(onTrust, lockMs + 10);
    onHold(lockMs);
  };
  const ask = async () => {
    isAsking = true;
    try {
      for (let seen = 0; seen !== doubts; ) {
        seen = doubts;
        const { id, mayLack } = await store.readServer();
        if (mayLack && server !== undefined && id !== server) hold();
        server = id;
      }
    } catch (error) {
      // The store was closed or refuses the question. Without an answer, takes continue.
      onError(error);
    }
    [isAsking, isTrusted] = [false, true];
    onTrust();
  };
  /** Call this when the connection is lost. No job is taken until the server has identified itself. */
  const doubt = () => {
    doubts += 1;
    isTrusted = false;
    if (!isAsking) void ask();
  };
  doubt();
  return {
    get mayTake() {
      return isTrusted && monotonicMs() >= untilMs;
    },
    doubt,
    close: () => clearTimeout(timer),
  };
}

/** Watches whether a store answers, by a small request at an interval, and tells of each change. */
import { within } from '../../core/pause.ts';

export interface Reachability {
  /** The listener is called at each change from now on. Returns a function that removes it. */
  watch(listener: (isReachable: boolean) => void): () => void;
  /** The caller saw an answer, or a failure. */
  note(isReachable: boolean): void;
  close(): void;
}

export interface ReachabilityOptions {
  /** Rejects or never settles while the store does not answer. */
  ping(): Promise<unknown>;
  /** The store has not answered for {@link SILENT_MS}: the connection may be dead although no one has closed it. */
  reconnect(): void;
}

const PING_EVERY_MS = 5000;
/** A store that takes longer to answer is reported as unreachable. */
const LATE_MS = 3000;
/** Longer than a pause of the server that its connections survive: a new connection sends everything again. */
const SILENT_MS = 30_000;

/** Begins to ask when the first listener comes. Does not keep the process alive. */
export function watchReachability({ ping, reconnect }: ReachabilityOptions): Reachability {
  const listeners = new Set<(isReachable: boolean) => void>();
  let [isReachable, isClosed, isAsking] = [true, false, false];
  let answeredAt = performance.now();
  const note = (isUp: boolean) => {
    if (isUp) answeredAt = performance.now();
    if (isUp === isReachable || isClosed) return;
    isReachable = isUp;
    for (const listener of listeners) listener(isUp);
  };
  const ask = async () => {
    const answer = ping().then(
      () => note(true),
      () => note(false),
    );
    const answered = answer.then(() => true);
    if ((await within(answered, LATE_MS)) !== true) note(false);
    if (performance.now() - answeredAt < SILENT_MS) return;
    answeredAt = performance.now();
    reconnect();
  };
  const askOnAndOn = async () => {
    while (!isClosed && listeners.size > 0) {
      await ask();
      await pauseUnreferenced(PING_EVERY_MS);
    }
    isAsking = false;
  };
  return {
    note,
    watch(listener) {
      listeners.add(listener);
      if (!isAsking) {
        isAsking = true;
        answeredAt = performance.now();
        void askOnAndOn();
      }
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      listeners.clear();
    },
  };
}

const pauseUnreferenced = (ms: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref();
  });

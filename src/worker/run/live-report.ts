/** Reports to the store that a task runs, and the task's progress: rarely, and never after the job is let go. */
import type { LiveState } from '../job/job-result.ts';

/** A task that ends sooner is not worth a request. */
const FIRST_AFTER_MS = 150;
const NEXT_AFTER_MS = 1_000;

export function openLiveReport(
  update: (state: LiveState) => Promise<void>,
  onFailure: (error: unknown) => void,
) {
  let next: LiveState | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  const send = () => {
    timer = undefined;
    if (next === undefined) return;
    sending = update(next).catch(onFailure);
    next = undefined;
  };
  return {
    set(state: LiveState) {
      next = state;
      timer ??= setTimeout(send, sending === undefined ? FIRST_AFTER_MS : NEXT_AFTER_MS);
    },
    /** Drops unsent states. Resolves when no request is pending. */
    async end() {
      clearTimeout(timer);
      next = undefined;
      await sending;
    },
  };
}

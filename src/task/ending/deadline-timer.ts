/** A timer of any length: Node's own timers overflow after 24.8 days. */

const LONGEST_TIMER_MS = 2_147_483_647;

/** Calls `expired` once, after `delayMs`. Returns a function that cancels the timer. */
export function startTimer(delayMs: number, expired: () => void): () => void {
  const endsAt = performance.now() + delayMs;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const left = endsAt - performance.now();
    timer =
      left > LONGEST_TIMER_MS
        ? setTimeout(arm, LONGEST_TIMER_MS)
        : setTimeout(expired, Math.max(0, left));
  };
  arm();
  return () => clearTimeout(timer);
}

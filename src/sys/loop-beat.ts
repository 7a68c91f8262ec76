/** Detects that this thread's event loop was recently delayed, by synchronous code or because the process was stopped. */

const BEAT_MS = 100;
/** The beats of a busy loop are a little late, too. */
const LATE_MS = 50;
/** What waited while the loop was delayed follows soon afterwards, in any order. */
const AFTERMATH_MS = 1_000;

let users = 0;
let timer: NodeJS.Timeout | undefined;
let lastBeatAt = 0;
let delayedAt = Number.NEGATIVE_INFINITY;

/** Starts watching; the returned function stops it. Several watchers may be active at once. Watching does not keep the event loop alive. */
export function watchLoop(): () => void {
  users += 1;
  if (users === 1) {
    lastBeatAt = performance.now();
    timer = setInterval(beat, BEAT_MS);
    timer.unref();
  }
  let isWatching = true;
  return () => {
    if (!isWatching) return;
    isWatching = false;
    users -= 1;
    if (users === 0) clearInterval(timer);
  };
}

/** Whether the event loop was delayed within the last second. Precondition: a watch has been active for that long. */
export function wasDelayed(): boolean {
  note();
  return performance.now() - delayedAt < AFTERMATH_MS;
}

function beat(): void {
  note();
  lastBeatAt = performance.now();
}

function note(): void {
  const now = performance.now();
  if (now - lastBeatAt > BEAT_MS + LATE_MS) delayedAt = now;
}

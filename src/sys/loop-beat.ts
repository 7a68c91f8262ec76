/** Whether the event loop of this thread was held up of late: by synchronous code, or because the process was stopped. */

const BEAT_MS = 100;
/** Beats of a busy loop are late as well. */
const LATE_MS = 50;
/** What waited while the loop was held up comes soon after, in any order. */
const AFTERMATH_MS = 1_000;

let users = 0;
let timer: NodeJS.Timeout | undefined;
let lastBeatAt = 0;
let heldUpAt = Number.NEGATIVE_INFINITY;

/** Begins to watch; returns what ends it. Any number may watch at once. It does not keep the event loop alive. */
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

/** Precondition: somebody has watched for as long as is asked for. */
export function wasHeldUp(): boolean {
  note();
  return performance.now() - heldUpAt < AFTERMATH_MS;
}

function beat(): void {
  note();
  lastBeatAt = performance.now();
}

function note(): void {
  const now = performance.now();
  if (now - lastBeatAt > BEAT_MS + LATE_MS) heldUpAt = now;
}

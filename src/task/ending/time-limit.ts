/** A task's time while its owner may be held up: what others are told to hold it to, and what is found when the owner looks again. */
import { existsSync } from 'node:fs';
import { monotonicMs } from '../../sys/monotonic-clock.ts';
import type { TaskPlan } from '../plan-task.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { isOverdue, writeTimeLimit } from '../records/time-limit.ts';
import type { TaskStopper } from './stop-task.ts';

/** Times on the clock of `performance`. To be called when the command has begun. */
export function tellTimeLimit(
  { places, spec }: TaskPlan,
  startedAt: number,
  deadlineAt: number,
): void {
  const { timeoutMs, stopTimeoutMs } = spec.limits;
  const endsAt = Math.min(startedAt + timeoutMs, deadlineAt);
  try {
    const endsAtMs = Math.max(0, monotonicMs() + (endsAt - performance.now()));
    writeTimeLimit(places, { endsAtMs, graceMs: stopTimeoutMs });
  } catch {
    // The command runs, and its owner holds it to its time.
  }
}

/**
 * Why the ended task was stopped, where this process had no part in it or could not have. Its own time counts, not which of timer and
 * exit was noticed first.
 */
export function noteUnseenStop(
  stopper: TaskStopper,
  places: TaskPlaces,
  { hasPassedLimit }: { readonly hasPassedLimit: boolean },
): void {
  if (existsSync(places.cancelFile)) stopper.note('cancelled');
  if (hasPassedLimit || isOverdue(places)) stopper.note('timed_out');
}

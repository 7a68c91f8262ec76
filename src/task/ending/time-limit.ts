/** A task's time while its owner may be held up: what others are told to hold it to. */
import { monotonicMs } from '../../sys/monotonic-clock.ts';
import type { TaskPlan } from '../plan-task.ts';
import { writeTimeLimit } from '../records/time-limit.ts';

/** Times on the clock of `performance`. To be called when the command has begun. */
export function tellTimeLimit(
  { container, command }: TaskPlan,
  startedAt: number,
  deadlineAt: number,
): void {
  const { timeoutMs, stopTimeoutMs } = command.spec.limits;
  const endsAt = Math.min(startedAt + timeoutMs, deadlineAt);
  try {
    const endsAtMs = Math.max(0, monotonicMs() + (endsAt - performance.now()));
    writeTimeLimit(container.places, { endsAtMs, graceMs: stopTimeoutMs });
  } catch {
    // The command runs, and its owner holds it to its time.
  }
}

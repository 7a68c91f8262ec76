/** The messages between a guarded process and its guard: lines of text on the guard's standard input. */
import { isTaskId, type TaskId } from '../../core/ids.ts';

/** From the owner: end without removing anything. If the pipe closes without this message, the owner has died. */
export const DISMISSAL = 'dismissed';

/** From the guard, when it is ready. */
export const READY = 'ready\n';

/** The argument with which the executable runs as a guard. */
export const GUARD_WORD = 'guard-process';

/** The time until which a task may run, on the clock of `bootMs`; null: the task no longer needs the guard's permission. */
export interface Permit {
  readonly id: TaskId;
  readonly untilMs: number | null;
}

export const toPermitLine = ({ id, untilMs }: Permit): string =>
  `${id} ${untilMs === null ? 'free' : Math.floor(untilMs)}\n`;

/** Undefined for a line that is not a permit, such as one that its writer did not finish. */
export function parsePermitLine(line: string): Permit | undefined {
  const [id = '', until = ''] = line.split(' ');
  if (!isTaskId(id)) return undefined;
  if (until === 'free') return { id, untilMs: null };
  return /^\d{1,15}$/.test(until) ? { id, untilMs: Number(until) } : undefined;
}

/** What a task left behind, as a person reads it, on stderr. */
import { writeMessage } from './write-message.ts';

export function reportLeftovers(task: {
  readonly id: string;
  readonly leftovers: readonly string[];
}): void {
  writeMessage(
    `stackshim: task ${task.id} is not removed: ${task.leftovers.join('; ')}\n  hint: remove the cause, then run stackshim reap\n`,
  );
}

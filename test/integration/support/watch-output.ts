/** Waits for a task's output, by its events. */
import type { TaskEvent } from '../../../src/index.ts';

export interface WatchedOutput {
  /** The task's option. */
  onEvent(event: TaskEvent): void;
  /** Resolves once the task has written the text. */
  readonly written: Promise<void>;
}

export function watchOutput(text: string): WatchedOutput {
  let seen = '';
  let found: () => void = () => undefined;
  const written = new Promise<void>((resolve) => {
    found = resolve;
  });
  return {
    written,
    onEvent(event) {
      if (event.type === 'output') seen += Buffer.from(event.chunk).toString();
      if (seen.includes(text)) found();
    },
  };
}

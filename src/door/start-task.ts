/** `start`: a task that its caller has a handle of while it runs. */
import { setMaxListeners } from 'node:events';
import type { TaskId } from '../core/ids.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { Installation } from '../task/installation.ts';
import { type CallerOptions, runTaskAndLeave } from '../task/run-task.ts';
import { EventQueue } from './event-queue.ts';
import type { TaskHandle } from './task-handle.ts';

/** A handle, and when nothing is done about its task any more. */
export interface StartedTask {
  readonly handle: TaskHandle;
  readonly over: Promise<void>;
}

/** Resolves once the task has a record; rejects as `run`. */
export async function startTask(
  installation: Installation,
  input: TaskInput,
  options: CallerOptions,
): Promise<StartedTask> {
  const stop = new AbortController();
  const kill = new AbortController();
  const leaveSignals = [follow(options.signal, stop), follow(options.killSignal, kill)];
  const events = new EventQueue();
  const { promise: accepted, resolve: accept } = deferred<TaskId>();
  const ended = runTaskAndLeave(installation, input, {
    ...options,
    signal: stop.signal,
    killSignal: kill.signal,
    onEvent(event) {
      events.push(event);
      if (event.type === 'accepted') accept(event.id);
      // A promise of an async listener is looked after by whoever calls this one.
      return options.onEvent?.(event);
    },
  });
  const result = ended.then((task) => task.result);
  // `start` rejects with the same.
  result.catch(() => undefined);
  const over = settle(async () => {
    try {
      const { remove } = await ended;
      if (input.remove === 'async') await remove();
    } finally {
      for (const leave of leaveSignals) leave();
      events.end();
    }
  });
  const id = await Promise.race([accepted, result.then(({ id }) => id)]);
  const end = (by: AbortController) => () => {
    by.abort();
    return result;
  };
  return { handle: { id, result, events, stop: end(stop), kill: end(kill) }, over };
}

/** Not with AbortSignal.any(): a signal that outlives many tasks would keep something of each. */
function follow(source: AbortSignal | undefined, target: AbortController): () => void {
  if (source === undefined) return () => undefined;
  const pass = () => target.abort(source.reason);
  if (source.aborted) pass();
  // One signal may well stop a thousand tasks.
  else {
    setMaxListeners(0, source);
    source.addEventListener('abort', pass, { once: true });
  }
  return () => source.removeEventListener('abort', pass);
}

/** Resolves when `work` is done, however it went. */
const settle = (work: () => Promise<void>): Promise<void> =>
  work().then(
    () => undefined,
    () => undefined,
  );

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((take) => {
    resolve = take;
  });
  return { promise, resolve };
}

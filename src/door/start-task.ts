/** `start`: runs a task and gives its caller a handle. */
import { setMaxListeners } from 'node:events';
import type { TaskId } from '../core/ids.ts';
import { openPromise } from '../core/pause.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { CallerOptions } from '../task/caller-options.ts';
import type { Installation } from '../task/installation.ts';
import { runTaskAndLeave } from '../task/run-task.ts';
import { EventQueue } from './event-queue.ts';
import type { TaskHandle } from './task-handle.ts';

/** A handle, and a promise that resolves when all work on the handle's task is over. */
export interface StartedTask {
  readonly handle: TaskHandle;
  readonly over: Promise<void>;
}

/** Runs a task. Resolves once the task has a record; rejects like `run`. */
export async function startTask(
  installation: Installation,
  input: TaskInput,
  options: CallerOptions,
): Promise<StartedTask> {
  const stop = new AbortController();
  const kill = new AbortController();
  const leaveSignals = [follow(options.signal, stop), follow(options.killSignal, kill)];
  const events = new EventQueue();
  const accepted = openPromise<TaskId>();
  const ended = runTaskAndLeave(installation, input, {
    ...options,
    signal: stop.signal,
    killSignal: kill.signal,
    onEvent(event) {
      events.push(event);
      if (event.type === 'accepted') accepted.resolve(event.id);
      // Return the promise of an async listener: the caller of this listener handles its rejection.
      return options.onEvent?.(event);
    },
  });
  const result = ended.then((task) => task.result);
  result.catch(() => undefined);
  const over = ended
    .then(async ({ remove }) => {
      if (input.remove === 'async') await remove();
    })
    // `start` rejects with the same error, and so does `result`.
    .catch(() => undefined)
    .then(() => {
      for (const leave of leaveSignals) leave();
      events.end();
    });
  const id = await Promise.race([accepted.promise, result.then(({ id }) => id)]);
  const end = (by: AbortController) => () => {
    by.abort();
    return result;
  };
  const handle: TaskHandle = {
    ...{ id, result, events, stop: end(stop), kill: end(kill) },
    async exec(command, execOptions = {}) {
      const { execInTask } = await import('../task/exec/exec-in-task.ts');
      return await execInTask(installation, id, { ...execOptions, command });
    },
  };
  return { handle, over };
}

/** Returns a function that stops following. AbortSignal.any() does not fit: a signal that outlives many tasks would keep a little memory for each. */
function follow(source: AbortSignal | undefined, target: AbortController): () => void {
  if (source === undefined) return () => undefined;
  const pass = () => target.abort(source.reason);
  if (source.aborted) pass();
  // One signal may stop a thousand tasks.
  else {
    setMaxListeners(0, source);
    source.addEventListener('abort', pass, { once: true });
  }
  return () => source.removeEventListener('abort', pass);
}

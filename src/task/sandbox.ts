/** A task in a gVisor sandbox: how it ended is known inside, and its own process tells only half of it. */
import type { ContainerReference, Runtime } from '../runtime/runtime.ts';
import type { ProcessExit } from '../sys/system.ts';
import { startTimer } from './ending/deadline-timer.ts';
import type { TaskPlaces } from './records/task-places.ts';

/** The sandbox is dead by then: its answer is in the socket or never comes. */
const TOLD_WITHIN_MS = 1000;

/** The container as its sandbox knows it; undefined with a runtime that has none. */
export function sandboxOf(
  { id, stateRoot }: Pick<TaskPlaces, 'id' | 'stateRoot'>,
  runtime: Runtime | undefined,
): ContainerReference | undefined {
  return runtime?.kind === 'runsc' ? { id, stateRoot } : undefined;
}

/** Begins to wait inside; call what it returns once the sandbox's process has ended, with how that did. Never rejects. */
export function watchSandbox(
  container: ContainerReference,
): (exit: ProcessExit) => Promise<ProcessExit> {
  const told = import('../runtime/gvisor-sandbox.ts').then((gvisor) =>
    gvisor.waitInSandbox(container),
  );
  return async (exit) => {
    let cancelTimer: () => void = () => undefined;
    const late = new Promise<undefined>((resolve) => {
      cancelTimer = startTimer(TOLD_WITHIN_MS, () => resolve(undefined));
    });
    const inside = await Promise.race([told, late]);
    cancelTimer();
    // Killed from outside: whatever the task itself had come to, that was its end.
    return exit.signal === null && inside !== undefined ? inside : exit;
  };
}

/** The keeper process: owns one task until its end. Its standard streams lead nowhere, and it has a session of its own. */
import { closeSync } from 'node:fs';
import { toStackshimError } from '../../core/errors.ts';
import { setCloseOnExec } from '../../sys/linux-streams.ts';
import { openDoor } from '../open-stackshim.ts';
import { ANSWER_FD, type KeeperAnswer, type KeeperOrder, ORDER_FD } from './keeper-order.ts';
import { readLine, writeLine } from './start-keeper.ts';

const STOPS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

declare const Bun: { gc(force: boolean): void } | undefined;

/** Runs the task of the order. Resolves when the task is removed and its report complete. Never rejects: the answer has the error. */
export async function keepTask(): Promise<void> {
  const stop = new AbortController();
  // The task then gets its stop signal, and its result says `cancelled`.
  for (const signal of STOPS) process.on(signal, () => stop.abort());
  for (const fd of [ORDER_FD, ANSWER_FD]) setCloseOnExec(fd);
  let isSent = false;
  const send = async (answer: KeeperAnswer) => {
    if (isSent) return;
    isSent = true;
    // Nobody may be waiting for the answer.
    await writeLine(ANSWER_FD, answer).catch(() => undefined);
    closeSync(ANSWER_FD);
  };
  try {
    // The pipe closes when nobody waits for the answer any more.
    const line = await readLine(ORDER_FD, () => {
      if (!isSent) stop.abort();
    });
    if (line !== undefined) await runOrder(JSON.parse(line), stop.signal, send);
  } catch (error) {
    const failure = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'run task');
    await send({ failed: failure.toJSON() });
  }
}

async function runOrder(
  { layout, input, origin }: KeeperOrder,
  signal: AbortSignal,
  send: (answer: KeeperAnswer) => Promise<void>,
): Promise<void> {
  const door = openDoor(layout);
  let hasBegun = false;
  const { result, remove } = await door.runAndLeave(input, {
    signal,
    origin,
    capture: false,
    keepsReport: true,
    onEvent(event) {
      // The caller's directory must not stay busy while the task runs: somebody may unmount it.
      if (event.type === 'created') process.chdir('/');
      if (event.type !== 'started') return;
      hasBegun = true;
      void send({ begun: event.id });
      // From now on the keeper only waits, so it gives back the memory that the start took.
      if (typeof Bun !== 'undefined') setImmediate(() => Bun?.gc(true));
    },
  });
  if (input.remove === 'async') await remove();
  if (hasBegun) return;
  // Nobody was told the id of a task that never ran.
  if (result.removed) await door.remove(result.id).catch(() => undefined);
  await send({ ended: result });
}

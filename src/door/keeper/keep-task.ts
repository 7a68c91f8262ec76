/** A keeper: owns one task until its end. Its standard streams lead nowhere, and it has its own session. */
import { closeSync } from 'node:fs';
import { toStackshimError } from '../../core/errors.ts';
import { setCloseOnExec } from '../../sys/linux-streams.ts';
import { writeFully } from '../../sys/pipes.ts';
import type { Fd } from '../../sys/system.ts';
import type { TaskResult } from '../../task/result.ts';
import { openDoor } from '../open-stackshim.ts';
import { ANSWER_FD, type KeeperAnswer, type KeeperOrder, ORDER_FD } from './keeper-order.ts';
import { readLine } from './start-keeper.ts';

const STOPS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

declare const Bun: { gc(force: boolean): void } | undefined;

/** Runs the task of the order. Resolves when the task is removed and its report complete. Never rejects: the answer has the error. */
export async function keepTask(): Promise<void> {
  const stop = new AbortController();
  // The task then gets its stop signal, and its result says `cancelled`.
  for (const signal of STOPS) process.on(signal, () => stop.abort());
  for (const fd of [ORDER_FD, ANSWER_FD]) setCloseOnExec(fd);
  const answer = new Answer(ANSWER_FD);
  try {
    const order = await readOrder(() => {
      if (!answer.isSent) stop.abort();
    });
    if (order !== undefined) await runOrder(order, stop.signal, answer);
  } catch (error) {
    const failure = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'run task');
    await answer.send({ failed: failure.toJSON() });
  }
}

/** @param onHangUp Called when nobody waits for the answer any more. */
async function readOrder(onHangUp: () => void): Promise<KeeperOrder | undefined> {
  const line = await readLine(ORDER_FD, onHangUp);
  return line === undefined ? undefined : JSON.parse(line);
}

async function runOrder(
  { layout, input, origin }: KeeperOrder,
  signal: AbortSignal,
  answer: Answer,
): Promise<void> {
  const door = openDoor(layout);
  let hasBegun = false;
  const { result, remove } = await door.runAndLeave(input, {
    signal,
    origin,
    capture: false,
    keepsReport: true,
    onEvent(event) {
      // Its caller's directory can be unmounted while the task runs.
      if (event.type === 'created') process.chdir('/');
      if (event.type !== 'started') return;
      hasBegun = true;
      void answer.send({ begun: event.id });
      rest();
    },
  });
  if (input.remove === 'async') await remove();
  if (hasBegun) return;
  await dropReport(door, result);
  await answer.send({ ended: result });
}

/** Nobody was told the id of a task that never ran. */
async function dropReport(door: ReturnType<typeof openDoor>, { id, removed }: TaskResult) {
  if (removed) await door.remove(id).catch(() => undefined);
}

/** From now on the keeper waits: it gives back the memory that the start took. */
function rest(): void {
  if (typeof Bun !== 'undefined') setImmediate(() => Bun?.gc(true));
}

/** Sent once. */
class Answer {
  readonly #fd: Fd;
  #isSent = false;

  constructor(fd: Fd) {
    this.#fd = fd;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  async send(answer: KeeperAnswer): Promise<void> {
    if (this.#isSent) return;
    this.#isSent = true;
    try {
      await writeFully(this.#fd, Buffer.from(`${JSON.stringify(answer)}\n`));
    } catch {
      // Nobody waits for the answer.
    }
    closeSync(this.#fd);
  }
}

/** Starts a keeper: a process that owns one task until its end, independent of this process and its terminal. */
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { invalidField } from '../../spec/field-errors.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import { linuxSystem } from '../../sys/linux-system.ts';
import { startOrphanReaper } from '../../sys/orphan-reaper.ts';
import { withFd } from '../../sys/paths.ts';
import { drainPipe, writeFully } from '../../sys/pipes.ts';
import { posixSpawn } from '../../sys/posix-spawn.ts';
import { openNullDevice, ownProgram, PLAIN_ENVIRONMENT } from '../../sys/start-program.ts';
import type { Fd } from '../../sys/system.ts';
import {
  type DetachedTask,
  type DetachOptions,
  KEEPER_WORD,
  type KeeperAnswer,
  type KeeperOrder,
  MAX_LINE_BYTES,
} from './keeper-order.ts';

/** Starts a keeper. Resolves once the command has begun or cannot begin any more. Rejects like `run`. The layout has the caller's folder names. */
export async function startKeeper(
  { root, run, policyFile, policyIsOptional }: Layout,
  input: TaskInput,
  { origin = 'caller', signal }: DetachOptions,
): Promise<DetachedTask> {
  // The keeper has no input for the task, and nobody to give captured output to.
  const problem = 'not with a task that goes on without its caller';
  if (input.interactive === true) throw invalidField('interactive', problem);
  if (input.captureBytes !== undefined) throw invalidField('captureBytes', problem);
  const policy = policyIsOptional === true ? undefined : policyFile;
  const answer = await ask({ layout: { root, run, policy }, input, origin }, signal);
  if ('begun' in answer) return { id: answer.begun, result: null };
  if ('ended' in answer) return { id: answer.ended.id, result: answer.ended };
  const { code, message, hint, details } = answer.failed;
  throw new StackshimError(code, message, { hint, details });
}

async function ask(order: KeeperOrder, signal: AbortSignal | undefined): Promise<KeeperAnswer> {
  const [orderOut, orderIn] = linuxSystem.createPipe();
  const [answerOut, answerIn] = linuxSystem.createPipe();
  let written: Promise<void> = Promise.resolve();
  let isHungUp = false;
  // Wait for the write: the number of a descriptor in use must not become another file's.
  const hangUp = () => {
    if (!isHungUp) void written.finally(() => linuxSystem.close(orderIn));
    isHungUp = true;
  };
  const spawning = spawnKeeper([orderOut, answerIn]).finally(() => {
    for (const fd of [orderOut, answerIn]) linuxSystem.close(fd);
  });
  await spawning.catch((error: unknown) => {
    hangUp();
    linuxSystem.close(answerOut);
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start keeper');
  });
  signal?.addEventListener('abort', hangUp, { once: true });
  if (signal?.aborted) hangUp();
  try {
    const answered = readLine(answerOut);
    answered.catch(() => undefined);
    // A keeper that has died reads nothing; then there is no answer either.
    if (!isHungUp) written = writeLine(orderIn, order).catch(() => undefined);
    const line = await answered;
    if (line !== undefined) return JSON.parse(line);
    const message = 'start keeper: the keeper ended before the command began';
    const hint = 'run stackshim reap, which removes what is left of the task, then try again';
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', message, { hint });
  } finally {
    signal?.removeEventListener('abort', hangUp);
    hangUp();
  }
}

/** Writes a value as one line of JSON. */
export const writeLine = (fd: Fd, value: KeeperOrder | KeeperAnswer): Promise<void> =>
  writeFully(fd, Buffer.from(`${JSON.stringify(value)}\n`));

/** Starts the keeper as a child of this process, which, if it lives on, waits for the keeper as for any orphan. */
async function spawnKeeper(pipes: readonly [Fd, Fd]): Promise<void> {
  await withFd(openNullDevice('both'), async (nullDevice) => {
    await posixSpawn({
      path: process.execPath,
      args: [ownProgram(KEEPER_WORD, 'keeper-process', import.meta.filename)],
      env: PLAIN_ENVIRONMENT,
      stdio: [nullDevice, nullDevice, nullDevice, ...pipes],
      // Paths in the order may be relative.
      cwd: '.',
    });
    startOrphanReaper(linuxSystem);
  });
}

/** Reads one line; undefined if the pipe closes before the line is complete. */
export async function readLine(fd: Fd, onEnd?: () => void): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let isComplete = false;
    const drain = drainPipe(fd, (chunk) => {
      if (isComplete) return;
      size += chunk.length;
      if (size > MAX_LINE_BYTES)
        throw new RangeError(`a line of more than ${MAX_LINE_BYTES} bytes`);
      chunks.push(Buffer.from(chunk));
      if (!chunk.includes(0x0a)) return;
      isComplete = true;
      resolve(Buffer.concat(chunks).toString('utf8'));
      if (onEnd === undefined) drain.finish();
    });
    drain.ended.then(() => {
      resolve(undefined);
      onEnd?.();
    }, reject);
  });
}

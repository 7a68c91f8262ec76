/** Starts a container of runc without a program. */
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { ContainerReference, StartContainerOptions } from '../runtime.ts';
import { stateDirectoryOf } from '../state-directory.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
/** So long no look at the init may succeed. */
const BLIND_MS = 5_000;
/** The init answers within a few tenths of a millisecond, less than the shortest timer. */
const SPIN_MS = 2;
const FIRST_PAUSE_MS = 1;
/** On a busy machine the init may answer late: the command has long begun when a long pause ends. */
const LONGEST_PAUSE_MS = 2;

/**
 * What `runc start` does, without starting a program: runc's init waits to open `exec.fifo` for writing, and writes one byte.
 * The FIFO is opened for reading and writing: that never blocks, and reading it cannot meet a false end before the init has opened it.
 */
export async function releaseInit(
  container: ContainerReference,
  options: StartContainerOptions,
): Promise<void> {
  const fifo = `${stateDirectoryOf(container)}/exec.fifo`;
  const fd = openFifo(fifo, container);
  try {
    await readReply(fd, container, options);
  } finally {
    closeSync(fd);
  }
  try {
    // What runc takes as the sign that the container runs.
    unlinkSync(fifo);
  } catch {
    // The command runs for all that; the file goes with its folder.
  }
}

function openFifo(fifo: string, container: ContainerReference): number {
  try {
    return openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
    throw failed(container, 'it was not created, or was started before', error);
  }
}

async function readReply(
  fd: number,
  container: ContainerReference,
  options: StartContainerOptions,
): Promise<void> {
  const endsAt = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  let blindSince: number | undefined;
  const spinUntil = performance.now() + SPIN_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      if (hasReply(fd)) return;
      const isDead = options.hasEnded();
      // It may have answered and ended between the two looks.
      if (isDead && hasReply(fd)) return;
      if (isDead) throw failed(container, 'its first process died before the start');
      blindSince = undefined;
    } catch (error) {
      if (error instanceof StackshimError) throw error;
      // The init goes on once the FIFO is open. Running out of descriptors must not end it at once: the next look retries.
      blindSince ??= performance.now();
      if (performance.now() - blindSince > BLIND_MS) throw error;
    }
    if (options.signal?.aborted) throw failed(container, 'aborted');
    if (performance.now() > endsAt)
      throw failed(container, 'its first process did not answer in time');
    await (performance.now() < spinUntil ? new Promise(setImmediate) : pause(pauseMs));
  }
}

function hasReply(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(1)) === 1;
  } catch (error) {
    if (errnoCodeOf(error) === 'EAGAIN') return false;
    throw error;
  }
}

function failed(container: ContainerReference, reason: string, cause?: unknown): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_RUNTIME_FAILED',
    `start container ${container.id}: ${reason}`,
    { cause },
  );
}

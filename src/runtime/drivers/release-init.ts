/** Starts a container of runc without starting a program. */
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { ContainerReference, StartContainerOptions } from '../runtime.ts';
import { stateDirectoryOf } from '../state-directory.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
/** How long looks at the init may fail. */
const MAX_FAILING_MS = 5_000;
/** The init answers within a few tenths of a millisecond, less than the shortest timer. */
const SPIN_MS = 2;
const FIRST_PAUSE_MS = 1;
/** On a busy machine the init may answer late. With a longer pause, the start would be noticed long after the command began. */
const LONGEST_PAUSE_MS = 2;

/**
 * Does what `runc start` does, without starting a program: runc's init waits to open `exec.fifo` for writing, and then writes one byte.
 * Opens the FIFO for reading and writing: such an open never blocks, and a read cannot return end of file before the init has opened the
 * FIFO.
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
    // To runc, the missing file means that the container runs.
    unlinkSync(fifo);
  } catch {
    // The command runs nevertheless, and the file is removed with its folder.
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
  let failingSince: number | undefined;
  const spinUntil = performance.now() + SPIN_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      if (hasReply(fd)) return;
      const isDead = options.hasEnded();
      // The init may have answered and ended between the two looks.
      if (isDead && hasReply(fd)) return;
      if (isDead) throw failed(container, 'its first process died before the start');
      failingSince = undefined;
    } catch (error) {
      if (error instanceof StackshimError) throw error;
      // The init continues once the FIFO is open. Running out of descriptors must not fail the start at once: the next look retries.
      failingSince ??= performance.now();
      if (performance.now() - failingSince > MAX_FAILING_MS) throw error;
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
    cause === undefined ? {} : { cause },
  );
}

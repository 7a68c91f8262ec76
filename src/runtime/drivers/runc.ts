/** Runtimes whose containers are processes of the host: runc, crun, and others. */
import { closeSync, constants, openSync, readSync, statSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { watchChild } from '../exit-source.ts';
import type { ContainerReference, StartContainerOptions } from '../runtime.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

const CONTAINER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** Throws ERR_STACKSHIM_INTERNAL for an id that is no plain file name. */
function stateDirectoryOf({ id, stateRoot }: ContainerReference): string {
  if (!CONTAINER_ID.test(id)) {
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', `container id ${JSON.stringify(id)}`);
  }
  return `${stateRoot}/${id}`;
}

export const hasStateDirectory = (container: ContainerReference): boolean =>
  statSync(stateDirectoryOf(container), { throwIfNoEntry: false }) !== undefined;

/** For runc and crun it is all there is; their `delete` starts a program for that (measured: 5 ms). */
export const removeStateDirectory = (container: ContainerReference): Promise<void> =>
  removeTree(stateDirectoryOf(container));

/** A runtime of which nothing is known but that it follows the OCI's command line. */
export const other: RuntimeDriver = {
  kind: 'other',
  holes: [],
  refusesHybridCgroups: false,
  toArguments: ({ stateRoot, logFile }) => [
    ...['--root', stateRoot, '--log', logFile],
    ...['--log-format', 'json'],
  ],
  readsConfigOnce: false,
  findsCommandAtStart: false,
  isOwnInit: (pid, listed) => listed().includes(pid),
  hasState: hasStateDirectory,
  watchExit: watchChild,
  initIsPid1: true,
  locksBinds: false,
  servesBinds: false,
  givesDevices: true,
  usesHostSockets: true,
};

/** Opens binds outside of the container and moves them in, so that nothing of them is locked, and sets all flags anew. */
export const crun: RuntimeDriver = {
  ...other,
  kind: 'crun',
  // Idmapped mounts.
  oldestVersion: '1.8',
  refusesHybridCgroups: true,
  removeState: removeStateDirectory,
};

/** Masked-path, console and procfs-write races: runc's advisories of 2025-11-05. */
const FIXED_2025 = ['1.2.8', '1.3.3'];

/** The kernel locks the flags of its binds, which are copied into a mount namespace of fewer rights. */
export const runc: RuntimeDriver = {
  ...other,
  kind: 'runc',
  // The handling of the cgroup and of `exec.fifo`.
  oldestVersion: '1.1.0',
  holes: [
    { id: 'CVE-2024-21626', fixedIn: ['1.1.12'] },
    { id: 'CVE-2025-31133', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52565', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52881', fixedIn: FIXED_2025 },
  ],
  readsConfigOnce: true,
  releaseInit,
  removeState: removeStateDirectory,
  locksBinds: true,
};

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
async function releaseInit(
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
    cause === undefined ? {} : { cause },
  );
}

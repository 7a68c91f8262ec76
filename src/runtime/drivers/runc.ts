/** Drives runtimes whose containers are processes of the host: runc, crun and unknown ones. */
import { constants, openSync, readSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, StackshimError, unlessFailed } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { isThere } from '../../sys/files.ts';
import { withFd } from '../../sys/paths.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { watchChild } from '../exit-source.ts';
import type { ContainerReference, StartContainerOptions } from '../runtime.ts';
import type { ExecDriver, RuntimeDriver } from './runtime-driver.ts';

const CONTAINER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** The path of a container's state folder. Throws ERR_STACKSHIM_INTERNAL if the id is not a plain file name. */
function stateDirectoryOf({ id, stateRoot }: ContainerReference): string {
  if (CONTAINER_ID.test(id)) return `${stateRoot}/${id}`;
  const text = `use container id ${JSON.stringify(id)}: not a plain file name`;
  throw new StackshimError('ERR_STACKSHIM_INTERNAL', text);
}

export const hasStateDirectory = (container: ContainerReference): boolean =>
  isThere(stateDirectoryOf(container));

/** Removes the folder, the whole state of runc and crun; their `delete` would start a program (measured: 5 ms). */
export const removeStateDirectory = (container: ContainerReference): Promise<void> =>
  removeTree(stateDirectoryOf(container));

/** An unknown runtime: assumes only the OCI command line. */
export const other: RuntimeDriver = {
  holes: [],
  refusesHybridCgroups: false,
  toArguments: ({ stateRoot, logFile }) => [
    ...['--root', stateRoot, '--log', logFile],
    ...['--log-format', 'json'],
  ],
  readsConfigOnce: false,
  gainsFromHugePages: false,
  gainsFromDev: false,
  keepsMountsOfRootfs: false,
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

/** runc and crun end when the command runs, which is then a child of the nearest subreaper. */
const execDetached: ExecDriver = {
  toArguments: ({ id }, { processFile, pidFile, consoleSocket }) => [
    ...['exec', '--detach', '--process', processFile, '--pid-file', pidFile],
    ...(consoleSocket === undefined ? [] : ['--console-socket', consoleSocket]),
    id,
  ],
  toExit: (exit) => exit,
};

/** crun opens binds outside the container and moves them in, so none of their flags is locked; it then sets all flags again. */
export const crun: RuntimeDriver = {
  ...other,
  // The first version with idmapped mounts.
  oldestVersion: '1.8',
  refusesHybridCgroups: true,
  keepsMountsOfRootfs: true,
  exec: execDetached,
  removeState: removeStateDirectory,
};

/** Races on masked paths, the console and writes to procfs: runc's advisories of 2025-11-05. */
const FIXED_2025 = ['1.2.8', '1.3.3'];

/** runc copies binds into a less privileged mount namespace, so the kernel locks their flags. */
export const runc: RuntimeDriver = {
  ...other,
  // Older versions handle the cgroup and `exec.fifo` differently.
  oldestVersion: '1.1.0',
  holes: [
    { id: 'CVE-2024-21626', fixedIn: ['1.1.12'] },
    { id: 'CVE-2025-31133', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52565', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52881', fixedIn: FIXED_2025 },
  ],
  readsConfigOnce: true,
  gainsFromHugePages: true,
  gainsFromDev: true,
  keepsMountsOfRootfs: true,
  releaseInit,
  exec: execDetached,
  removeState: removeStateDirectory,
  locksBinds: true,
};

const DEFAULT_TIMEOUT_MS = 60_000;
/** How long looks at the init may fail. */
const MAX_FAILING_MS = 5_000;
/** The init answers within a few tenths of a millisecond, sooner than the shortest timer. */
const SPIN_MS = 2;
const FIRST_PAUSE_MS = 1;
/** On a busy machine the init may answer late; a longer pause would notice the start long after the command began. */
const LONGEST_PAUSE_MS = 2;

/**
 * Does what `runc start` does without starting a program: runc's init waits to open `exec.fifo` for writing, then writes one byte. Opens the FIFO
 * for reading and writing: this never blocks, and no read returns end of file before the init has opened the FIFO.
 */
async function releaseInit(
  container: ContainerReference,
  options: StartContainerOptions,
): Promise<void> {
  const fifo = `${stateDirectoryOf(container)}/exec.fifo`;
  let fd: number;
  try {
    fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
    throw failed(container, 'it was not created, or was started before', error);
  }
  await withFd(fd, () => readReply(fd, container, options));
  try {
    // To runc, the missing file means that the container runs.
    unlinkSync(fifo);
  } catch {
    // The command runs anyway, and the file is removed with its folder.
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
      // The init continues once the FIFO is open. Running out of descriptors must not fail the start at once; the next look retries.
      failingSince ??= performance.now();
      if (performance.now() - failingSince > MAX_FAILING_MS) throw error;
    }
    if (options.signal?.aborted) throw failed(container, 'aborted');
    if (performance.now() > endsAt)
      throw failed(container, 'its first process did not answer in time');
    await (performance.now() < spinUntil ? new Promise(setImmediate) : pause(pauseMs));
  }
}

const hasReply = (fd: number): boolean =>
  unlessFailed(() => readSync(fd, Buffer.alloc(1)), ['EAGAIN']) === 1;

function failed(container: ContainerReference, reason: string, cause?: unknown): StackshimError {
  const text = `start container ${container.id}: ${reason}`;
  return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { cause });
}

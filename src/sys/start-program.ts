/** Programs that this process starts and waits for: their environment, null device, time limit and end. */
import { chmodSync, constants, openSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, unlessFailed } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { exits } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';
import { entryOf } from './paths.ts';
import { posixSpawn, type SpawnRequest } from './posix-spawn.ts';
import { type Fd, MOUNT_ATTR, makeMount, type ProcessExit } from './system.ts';

export interface StartedProgram {
  /** Resolves to the pid once the program runs; then the caller may close its copies of the descriptors. Rejects if the start failed. */
  readonly running: Promise<number>;
  /** Resolves to the program's exit. Rejects if the start failed. */
  readonly exited: Promise<ProcessExit>;
  /** Kills the program's process group; does nothing once the program has ended. */
  killAll(): void;
}

/** Begins to start a program, like {@link posixSpawn}. In the executable, the program has started when this function returns. */
export function startProgram(request: SpawnRequest): StartedProgram {
  let pid: number | undefined;
  let isWanted = true;
  let hasEnded = false;
  const killAll = () => {
    isWanted = false;
    if (pid !== undefined && !hasEnded) killGroup(pid);
  };
  const running = start(request).then((started) => {
    pid = started;
    if (!isWanted) killAll();
    return started;
  });
  const exited = running.then(waitFor);
  const end = () => {
    hasEnded = true;
  };
  // Also marks a rejection as handled; callers that await `running` or `exited` get it, too.
  exited.then(end, end);
  return { running, exited, killAll };
}

/**
 * The first argument with which `process.execPath` runs a program of stackshim: in the executable, `word`; for the library, the path of the program
 * `name` beside `file`, in the source and in the build.
 */
export const ownProgram = (word: string, name: string, file: string): string =>
  process.versions['bun'] === undefined ? file.replace(/[^/]+(\.[jt]s)$/, `${name}$1`) : word;

/** Reserves a descriptor first: without a free descriptor for its pidfd, the program could not be waited for. */
async function start(request: SpawnRequest): Promise<number> {
  const reserved = linuxSystem.openPidfd(process.pid);
  try {
    return await posixSpawn(request);
  } finally {
    linuxSystem.close(reserved);
  }
}

const RETRY_MS = 100;
/** Other code took the last descriptor, or this user reached its limit of watched descriptors. */
const SHORTAGES: readonly (string | undefined)[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

async function waitFor(pid: number): Promise<ProcessExit> {
  try {
    const pidfd = linuxSystem.openPidfd(pid);
    try {
      return await exits.wait(pidfd);
    } finally {
      linuxSystem.close(pidfd);
    }
  } catch (error) {
    if (!SHORTAGES.includes(errnoCodeOf(error))) throw error;
  }
  // Polling for the exit needs no descriptor: the program remains a child until it is reaped.
  for (;;) {
    const exit = linuxSystem.waitChild(pid);
    if (exit !== undefined) return exit;
    await pause(RETRY_MS);
  }
}

/** Kills the whole process group of a program that leads it. */
export function killGroup(leader: number): void {
  unlessFailed(() => process.kill(-leader, 'SIGKILL'), ['ESRCH']);
}

// The environment of programs that root starts is never the caller's own.

/** Folders to look up programs in, in order; the same as sudo's `secure_path`. */
export const SYSTEM_FOLDERS: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

export const SYSTEM_PATH = SYSTEM_FOLDERS.join(':');

/** The environment of programs that read no configuration. */
export const PLAIN_ENVIRONMENT = { PATH: SYSTEM_PATH, LC_ALL: 'C' } as const;

/** The caller's proxy settings, for programs that use the network. */
export const PROXY_VARIABLES = [
  ...['http_proxy', 'https_proxy', 'no_proxy'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
] as const;

export function pickVariables(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = env[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

export interface RunBounds {
  /** Kill the program after this time. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type GivenUp = 'timeout' | 'aborted';

export interface BoundedEnd<End> {
  readonly end: End;
  /** Undefined if the program was not killed here. */
  readonly givenUp: GivenUp | undefined;
}

/** Resolves when the program has ended, by itself or killed. Rejects like `exited`. */
export async function endWithin<End>(
  program: { readonly exited: Promise<End>; killAll(): void },
  { timeoutMs, signal }: RunBounds,
): Promise<BoundedEnd<End>> {
  let givenUp: GivenUp | undefined;
  const giveUp = (why: GivenUp) => {
    givenUp ??= why;
    program.killAll();
  };
  const onAbort = () => giveUp('aborted');
  const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs, 'timeout');
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    return { end: await program.exited, givenUp };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

const NULL = { type: 'c', major: 1, minor: 3 } as const;
const FLAGS = { input: constants.O_RDONLY, both: constants.O_RDWR } as const;

/** A detached mount, made once per thread. Its nodes have no names any more, so only holders of an open node reach it. */
let place: Fd | undefined;
let made = 0;

/**
 * Opens a null device node of its own, on a detached filesystem. With `input` the node can only be read, and is at its end at once. The caller
 * closes it with `node:fs`.
 *
 * Runtimes and tasks do not get the host's node: crun gives each stream to the task's user, who could then change the mode of the node that the
 * whole host uses.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  place ??= mountPlace();
  made += 1;
  const path = entryOf(place, String(made));
  linuxSystem.makeDeviceNode(path, NULL);
  try {
    // The mode of the host's device, because a program may open its descriptor again by name.
    chmodSync(path, 0o666);
    return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
  } finally {
    unlinkSync(path);
  }
}

/** Called once per thread: the kernel takes longer to release the mount than everything else here. */
const mountPlace = (): Fd =>
  makeMount(linuxSystem, 'tmpfs', {
    settings: [['size', '4k']],
    attributes: MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC,
  });

/** Programs that this process starts and waits for: their environment, null device, time limit and end. */
import { chmodSync, constants, openSync, unlinkSync } from 'node:fs';
import { errnoCodeOf, unlessMissing } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { exits } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';
import { entryOf } from './paths.ts';
import { posixSpawn, type SpawnRequest } from './posix-spawn.ts';
import { type Fd, MOUNT_ATTR, makeMount, type ProcessExit } from './system.ts';

export interface StartedProgram {
  /** Resolves to the pid once the program runs; then the caller may close its copies of the descriptors. Rejects if the program could not be started. */
  readonly running: Promise<number>;
  /** Resolves to the program's exit. Rejects if the program could not be started. */
  readonly exited: Promise<ProcessExit>;
  /** Kills the program and what it started; does nothing once the program has ended. */
  killAll(): void;
}

/** Begins to start a program, as {@link posixSpawn} does. In the executable, the program has started when this function returns. */
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
  // This also handles a rejection: callers that await `running` or `exited` get it, too.
  exited.then(end, end);
  return { running, exited, killAll };
}

/**
 * The first argument with which `process.execPath` runs a program of stackshim. The executable calls itself, with a word. For the library, the
 * program lies next to its caller's `file`, in the source as well as in the build.
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
/** Other code took the last descriptor, or this user watches as many descriptors as it may. */
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
  // Looking for an exit that cannot be watched needs no descriptor: the program remains a child until it is waited for.
  for (;;) {
    const exit = linuxSystem.waitChild(pid);
    if (exit !== undefined) return exit;
    await pause(RETRY_MS);
  }
}

/** Kills a program that leads a process group, with its whole group. */
export function killGroup(leader: number): void {
  unlessMissing(() => process.kill(-leader, 'SIGKILL'), ['ESRCH']);
}

// The environment of programs that root starts: never the caller's own environment.

/** The folders in which programs are looked up, in order; the same as in sudo's `secure_path`. */
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

/** The caller's proxy settings, for programs that talk to other machines. */
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
  /** When it is exceeded, the program is killed. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type GivenUp = 'timeout' | 'aborted';

export interface BoundedEnd<End> {
  readonly end: End;
  /** Undefined: the program was not killed here. */
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

/** A detached mount, made once per thread. Its nodes have no names any more, so only a holder of an open node can reach it. */
let place: Fd | undefined;
let made = 0;

/**
 * Opens a null device node that nobody else has, on a detached filesystem. With `input` the node can only be read, which returns the end of
 * file at once. The caller closes it with `node:fs`.
 *
 * Runtimes and tasks do not get the host's node: crun changes the owner of each stream that it is given to the task's user, who could then
 * change the mode of the node that the whole host uses.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  place ??= mountPlace();
  made += 1;
  const path = entryOf(place, String(made));
  linuxSystem.makeDeviceNode(path, NULL);
  try {
    // Use the mode of the host's device, because a program may open its descriptor again by name.
    chmodSync(path, 0o666);
    return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
  } finally {
    unlinkSync(path);
  }
}

/** Called once per thread: releasing the mount takes the kernel longer than everything else here. */
const mountPlace = (): Fd =>
  makeMount(linuxSystem, 'tmpfs', {
    settings: [['size', '4k']],
    attributes: MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC,
  });

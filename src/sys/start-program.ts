/** Programs that are started and waited for by this process alone: their environment, their null device, their time, their end. */
import { chmodSync, constants, openSync, unlinkSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { exits } from './exit-watcher.ts';
import { linuxSystem } from './linux-system.ts';
import { entryOf } from './paths.ts';
import { posixSpawn, type SpawnRequest } from './posix-spawn.ts';
import { type Fd, MOUNT_ATTR, type ProcessExit } from './system.ts';

export interface StartedProgram {
  /** Resolves to its pid once it runs: the caller may close its copies of the descriptors then. Rejects when it could not be started. */
  readonly running: Promise<number>;
  /** Resolves to how it ended. Rejects when it could not be started. */
  readonly exited: Promise<ProcessExit>;
  /** Kills it and what it started; nothing once it has ended. */
  killAll(): void;
}

/** Begins to start a program, as {@link posixSpawn} does. The executable has started it when this returns. */
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
  // Handles a rejection too: whoever awaits `running` or `exited` gets it.
  exited.then(end, end);
  return { running, exited, killAll };
}

/** Reserves a descriptor first: a program that this process can open no pidfd of could not be waited for. */
async function start(request: SpawnRequest): Promise<number> {
  const reserved = linuxSystem.openPidfd(process.pid);
  try {
    return await posixSpawn(request);
  } finally {
    linuxSystem.close(reserved);
  }
}

const RETRY_MS = 100;
/** Other code took the last descriptor, or this user watches as many as it may. */
const SHORTAGES: readonly (string | undefined)[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

async function waitFor(pid: number): Promise<ProcessExit> {
  try {
    return await watch(pid);
  } catch (error) {
    if (!SHORTAGES.includes(errnoCodeOf(error))) throw error;
    return await lookForExit(pid);
  }
}

async function watch(pid: number): Promise<ProcessExit> {
  const pidfd = linuxSystem.openPidfd(pid);
  try {
    return await exits.wait(pidfd);
  } finally {
    linuxSystem.close(pidfd);
  }
}

/** Where its exit cannot be watched. Needs no descriptor: the program remains a child until it is waited for. */
async function lookForExit(pid: number): Promise<ProcessExit> {
  for (;;) {
    const exit = linuxSystem.waitChild(pid);
    if (exit !== undefined) return exit;
    await pause(RETRY_MS);
  }
}

/** Ends a program that leads a process group, with all that is in it. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (errnoCodeOf(error) !== 'ESRCH') throw error;
  }
}

// The environment of programs that root starts: never the caller's own.

/** Where programs are looked for, in this order, as sudo's `secure_path` has them. */
export const SYSTEM_FOLDERS: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

export const SYSTEM_PATH = SYSTEM_FOLDERS.join(':');

/** For programs that read no configuration. */
export const PLAIN_ENVIRONMENT = { PATH: SYSTEM_PATH, LC_ALL: 'C' } as const;

/** The caller's proxies, for programs that speak to other machines. */
export const PROXY_VARIABLES = [
  ...['http_proxy', 'https_proxy', 'no_proxy'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
] as const;

/** Those of the variables named that are set in `env`. */
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
  /** After that the program is killed. Default: it may take any time. */
  readonly timeoutMs?: number | undefined;
  /** Kills the program when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a program was killed. */
export type GivenUp = 'timeout' | 'aborted';

export interface BoundedEnd<End> {
  readonly end: End;
  /** Undefined: nobody killed it here. */
  readonly givenUp: GivenUp | undefined;
}

/** Resolves when the program has ended, by itself or killed. Rejects as `exited` does. */
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

/** A detached mount of this thread. Its nodes have lost their names: only who has a node open can reach it. */
let place: Fd | undefined;
let made = 0;

/**
 * Opens a null device of the caller's own. The host's node is not for runtimes and tasks: crun gives each stream that it is handed to the
 * task's user, who may then change the mode of what everybody on the host uses.
 *
 * A node that nobody else has, on a filesystem that is attached nowhere. `input`: it can be read from, which gives the end at
 * once, and not be written to. The caller closes it with `node:fs`.
 */
export function openNullDevice(use: keyof typeof FLAGS): Fd {
  place ??= mountPlace();
  made += 1;
  const path = entryOf(place, String(made));
  linuxSystem.makeDeviceNode(path, NULL);
  try {
    // The mode of the host's device: a program may open its descriptor again by name.
    chmodSync(path, 0o666);
    return openSync(path, FLAGS[use] | constants.O_NOFOLLOW);
  } finally {
    unlinkSync(path);
  }
}

/** Called once for each thread: releasing a mount takes the kernel longer than everything else here. */
function mountPlace(): Fd {
  const system = linuxSystem;
  const context = system.fsOpen('tmpfs');
  try {
    system.fsConfigString(context, 'size', '4k');
    system.fsConfigCreate(context);
    return system.fsMount(context, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC);
  } finally {
    system.close(context);
  }
}

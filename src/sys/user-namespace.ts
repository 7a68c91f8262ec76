/** User namespaces that only carry an id mapping, for idmapped mounts. A bind mount pins one until the next boot. */
import { closeSync, constants, openSync, statfsSync, writeFileSync } from 'node:fs';
import type { IdMap, IdMaps, IdRange } from '../core/mount.ts';
import { fdPath } from './paths.ts';
import { drainPipe } from './pipes.ts';
import { openNullDevice, type StartedProgram, startProgram } from './start-program.ts';
import type { Fd, System } from './system.ts';

const NSFS_MAGIC = 0x6e73_6673;

/** Opens the namespace pinned at `path`. Undefined where nothing is pinned (first use since boot). */
export function openPinnedUserNamespace(path: string): Fd | undefined {
  let fd: Fd;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (statfsSync(path).type === NSFS_MAGIC) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** A user namespace that maps nothing yet, kept by a process. */
export interface HeldUserNamespace {
  /** Gives it its mapping, once, and opens it. */
  map(maps: IdMaps): Fd;
  /** Ends the process, and resolves when it is gone: the namespace stays as long as it is open or pinned. Never rejects. */
  release(): Promise<void>;
}

/** Makes a user namespace for {@link HeldUserNamespace.map}: that takes 3 to 10 ms, in which the caller can do something else. */
export async function holdUserNamespace(system: System): Promise<HeldUserNamespace> {
  const { holder, keeper, output } = await startHolder(system);
  const ended = holder.exited.catch(() => null);
  const release = async () => {
    system.close(keeper);
    await ended;
  };
  const isReady = await hasWritten(output);
  const pid = await holder.running;
  if (isReady) return { map: (maps) => mapNamespace(pid, maps), release };
  await release();
  throw new Error(`unshare --user: exit code ${(await holder.exited).exitCode}`);
}

interface Holder {
  readonly holder: StartedProgram;
  /** It ends when this is closed, at the latest when this process dies. */
  readonly keeper: Fd;
  /** It writes here once it has its namespace. */
  readonly output: Fd;
}

async function startHolder(system: System): Promise<Holder> {
  const [input, keeper] = system.createPipe();
  const toClose = [input];
  let silent: Fd | undefined;
  try {
    const [output, told] = system.createPipe();
    toClose.push(told);
    try {
      silent = openNullDevice('both');
      const holder = startProgram({
        path: '/usr/bin/unshare',
        args: ['--user', '--', '/bin/sh', '-c', 'echo ready; read -r _'],
        env: {},
        stdio: [input, told, silent],
      });
      await holder.running;
      return { holder, keeper, output };
    } catch (error) {
      toClose.push(output);
      throw error;
    }
  } catch (error) {
    toClose.push(keeper);
    throw error;
  } finally {
    for (const fd of toClose) system.close(fd);
    if (silent !== undefined) closeSync(silent);
  }
}

/** Whether anything comes before the end. */
function hasWritten(output: Fd): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const drain = drainPipe(output, () => {
      resolve(true);
      drain.finish();
    });
    drain.ended.then(() => resolve(false), reject);
  });
}

function mapNamespace(pid: number, { uids, gids }: IdMaps): Fd {
  writeFileSync(`/proc/${pid}/uid_map`, toMapText(uids));
  writeFileSync(`/proc/${pid}/gid_map`, toMapText(gids));
  return openSync(`/proc/${pid}/ns/user`, constants.O_RDONLY);
}

const toMapText = (maps: readonly IdMap[]) =>
  maps.map(({ from, to, size }) => `${from} ${to} ${size}\n`).join('');

/**
 * Makes a user namespace that maps ids 0…size-1 to `range`, and with `pin` keeps it under that path (a plain file, made when missing)
 * until the next boot. Precondition: the caller holds the lock of what the path belongs to. Takes 5-10 ms.
 * The namespace is for idmapped mounts only: a process that joined it would share keyrings with every other one.
 */
export async function createUserNamespace(
  system: System,
  range: IdRange,
  pin?: string,
): Promise<Fd> {
  const held = await holdUserNamespace(system);
  try {
    const namespace = held.map(toIdMaps(range));
    try {
      if (pin !== undefined) pinNamespace(system, fdPath(namespace), pin);
    } catch (error) {
      closeSync(namespace);
      throw error;
    }
    return namespace;
  } finally {
    await held.release();
  }
}

/** Shows the ids 0…size-1 of a layer as the ids of a range. */
function toIdMaps({ base, size }: IdRange): IdMaps {
  const map = [{ from: 0, to: base, size }];
  return { uids: map, gids: map };
}

function pinNamespace(system: System, namespace: string, path: string): void {
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  system.bindMount(namespace, path);
}
